"""Find texts by what they mean: encoders, vector stores, indexes, search."""

STEPS: tuple[str, ...] = ("training.train_bi_encoder.TrainBiEncoder",)
"""What recipes may do to train for retrieval; see `leanformer.core.step`."""
