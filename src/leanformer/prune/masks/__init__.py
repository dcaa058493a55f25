"""Linear layers whose weights are held at zero by a mask while the model is trained."""
