"""Layer 1: where the parts of a known architecture sit, how they are cut away, and how the result
is saved and loaded.
"""
