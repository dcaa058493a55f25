"""Where the outputs of teachers come from: several models, models by name, a cache on disk."""
