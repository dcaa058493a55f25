"""Files and folders: whole or absent, known by their parts, with one writer at a time."""
