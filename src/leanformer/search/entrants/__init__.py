"""Who takes part in a search beside its students: baselines, n-grams, cascades."""
