"""Models in folders: checked, loaded and saved whole."""
