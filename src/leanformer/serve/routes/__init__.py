"""The routes, one file each: how a request is read, computed and answered."""
