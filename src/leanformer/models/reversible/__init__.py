"""Models with reversible residual layers."""
