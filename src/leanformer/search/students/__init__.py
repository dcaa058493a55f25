"""The students of a search: which shapes are tried, in which order, and how each one is made."""
