"""What proves that a graph runs as it should: executed precision, agreement with PyTorch."""
