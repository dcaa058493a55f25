"""The plan of a search or a recipe, and all that comes before the work."""
