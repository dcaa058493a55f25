"""Tensor mathematics that several families share, one named idea a file."""
