"""Where the rows of each split are: files, folders, the hub."""
