"""Layer 1: the parts of known architectures, how they are cut away, saved and loaded."""
