"""Training of models that find: bi-encoders by any objective, from data or from a cross-encoder."""
