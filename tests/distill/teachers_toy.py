"""Models that can be teachers: with a head for each kind, and the labels of the toy task."""

from typing import Any

from distill.toy import LABELS
from train.toy import TEXTS, examples

from leanformer.data import Examples
from leanformer.models.tiny import tiny_model

HEADS = {"tokens": "tokens", "embedding": "embedding", "masked-lm": "masked"}


def model_for(kind: str, seed: int = 0, **settings: Any) -> Any:
    width = 1 if kind == "regression" else 2
    head = HEADS.get(kind, "classification")
    model, _ = tiny_model("bert", head=head, num_labels=width, seed=seed, **settings)
    if kind in LABELS:
        model.config.id2label = dict(enumerate(LABELS[kind]))
        model.config.label2id = {name: index for index, name in enumerate(LABELS[kind])}
    return model


def texts_for(kind: Any) -> Examples:
    return Examples(texts=TEXTS) if kind in ("embedding", "masked-lm") else examples(kind)
