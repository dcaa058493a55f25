"""Remove layers, heads, neurons, word pieces and weights."""

STEPS = (
    "cut_vocabulary.CutVocabulary",
    "shrink.Shrink",
    "sparsify.Sparsify",
    "sparse_gpt.SparseGpt",
    "lottery.Lottery",
    "drop_empty.DropEmpty",
    "pack_sparse.PackSparse",
)
"""What recipes may do to remove something; see `leanformer.core.step`."""
