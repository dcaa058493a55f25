"""Mechanisms in models of transformers: put into place, taken out, saved and loaded."""
