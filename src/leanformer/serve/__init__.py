"""A server for every exported folder and every search index, over HTTP."""
