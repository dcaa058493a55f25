"""One pass with hooks over real texts: what each layer sees, and what matters in it."""
