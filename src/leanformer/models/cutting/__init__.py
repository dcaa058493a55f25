"""Parts of a model removed physically: heads, neurons, layers, positions, vocabulary."""
