"""Search texts: cut into passages, found by terms and vectors, fused, ordered anew."""
