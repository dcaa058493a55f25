"""A training small enough to run a dozen times: a random BERT and texts whose label is a word."""

from typing import Any

from leanformer.data import Encoded, Examples, encode_examples
from leanformer.models.tiny import tiny_model
from leanformer.train import TrainSetup
from leanformer.train.schedules import LinearDecay

ENDS = ("", "the lights", "in the mountains today", "and the dog jumps over it tomorrow evening")
TEXTS = [f"{word} {end}" for end in ENDS for word in ("music", "rice", "music play", "rice bowl")]
LABELS = [0, 1] * 8
FAST = TrainSetup(
    epochs=3,
    batch_size=4,
    learning_rate=2e-3,
    precision="fp32",
    checkpoint_seconds=0,
    schedule=LinearDecay(warmup=0.1),
)


def toy(kind: Any = "classification", **settings: Any) -> tuple[Any, Encoded]:
    """A tiny model with dropout, and its encoded examples of unequal lengths."""
    head = "tokens" if kind == "tokens" else "classification"
    labels = 1 if kind == "regression" else 2
    model, tokenizer = tiny_model("bert", head=head, num_labels=labels, **settings)
    return model, encode_examples(examples(kind), tokenizer, kind, 32)


def examples(kind: Any = "classification") -> Examples:
    """Sixteen texts; word labels say whether a word is "rice", numbers are halves."""
    if kind == "tokens":
        words = [text.split() for text in TEXTS]
        tags = [[int(word == "rice") for word in row] for row in words]
        return Examples(texts=TEXTS, words=words, labels=tags)
    labels = [label / 2 for label in LABELS] if kind == "regression" else LABELS
    return Examples(texts=TEXTS, labels=labels)
