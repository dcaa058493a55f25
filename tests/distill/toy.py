"""A toy task for students: its labels, texts without labels, and models for each kind."""

from dataclasses import replace
from typing import Any

from train.toy import FAST

from leanformer.data import Examples
from leanformer.models.tiny import tiny_model

LABELS = {"classification": ("music", "rice"), "tokens": ("O", "rice")}
SETUP = replace(FAST, epochs=8, checkpoint_seconds=60.0)
SPARE = Examples(texts=["rice and music for two people", "the quiet mountains"])


def model_for(kind: str, seed: int = 0, **settings: Any) -> Any:
    head = {"tokens": "tokens", "embedding": "embedding"}.get(kind, "classification")
    width = 1 if kind == "regression" else 2
    return tiny_model("bert", head=head, num_labels=width, seed=seed, **settings)[0]
