"""A training's state on disk, and what tells one training from another."""
