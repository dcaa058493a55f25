"""A served folder opened, tried in a child, and its answers."""
