"""Charts, and the axes that they share."""
