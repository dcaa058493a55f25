"""Every technique of the family."""
