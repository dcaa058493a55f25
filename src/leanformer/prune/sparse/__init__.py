"""Weights with zeros, stored and run as such."""
