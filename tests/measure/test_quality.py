from typing import Any

import numpy as np
import pytest
import torch
from train.toy import TEXTS, examples

from leanformer.data import Examples, encode_examples
from leanformer.measure.quality import session_outputs
from leanformer.models.tiny import tiny_model
from leanformer.runtime.session import Arrays, Session
from leanformer.runtime.torch_backend import TorchSession

KINDS = ("classification", "regression", "tokens", "embedding")


def texts_of(kind: Any) -> Examples:
    return Examples(texts=TEXTS) if kind == "embedding" else examples(kind)


@pytest.mark.parametrize("size", [1, 5, 32])
@pytest.mark.parametrize("kind", KINDS)
def test_each_example_has_its_own_output_in_the_callers_order(kind: Any, size: int) -> None:
    head = {"tokens": "tokens", "embedding": "embedding"}.get(kind, "classification")
    model, tokenizer = tiny_model("bert", head=head, num_labels=1 if kind == "regression" else 2)
    encoded = encode_examples(texts_of(kind), tokenizer, kind, 32)
    found = session_outputs(TorchSession(model, kind), encoded, size)
    assert len(found) == len(TEXTS)
    for text, ours in zip(TEXTS, found, strict=True):
        with torch.no_grad():
            output = model(**tokenizer(text, return_tensors="pt"))
        if kind == "embedding":
            mean = output.last_hidden_state[0].mean(0)
            theirs = (mean / mean.norm()).numpy()
        else:
            theirs = output.logits[0].numpy()
        assert ours.shape == theirs.shape  # of tokens, none of the padding
        np.testing.assert_allclose(ours, theirs, atol=2e-5)


class Echo(Session):
    """Gives back what it was fed."""

    backend, precision = "onnxruntime", "fp32"
    inputs = ("input_ids", "attention_mask", "token_type_ids")

    def __init__(self) -> None:
        self.pins = {}
        self.fed: list[dict[str, np.ndarray]] = []

    def answer(self, arrays: Arrays) -> np.ndarray:
        ids, _, types = arrays
        assert types is not None
        self.fed.append({"ids": ids, "types": types})
        return np.stack([ids.sum(1), types.sum(1)], axis=1).astype(np.float32)


def test_token_types_are_zeros_for_single_texts_and_true_for_pairs() -> None:
    _, tokenizer = tiny_model("bert")
    for pairs in (None, TEXTS[::-1]):
        given = Examples(texts=TEXTS, pairs=pairs, labels=[0] * 16)
        session = Echo()
        found = session_outputs(session, encode_examples(given, tokenizer, "classification", 64), 4)
        for index, row in enumerate(found):
            one = tokenizer(TEXTS[index], None if pairs is None else pairs[index])
            assert row.tolist() == [sum(one["input_ids"]), sum(one["token_type_ids"])]
        assert (sum(fed["types"].sum() for fed in session.fed) > 0) == (pairs is not None)


def test_batches_hold_like_lengths() -> None:
    _, tokenizer = tiny_model("bert")
    session = Echo()
    session_outputs(session, encode_examples(examples(), tokenizer, "classification", 32), 4)
    widths = [fed["ids"].shape[1] for fed in session.fed]
    assert [len(fed["ids"]) for fed in session.fed] == [4, 4, 4, 4]
    assert widths == sorted(widths)
    assert widths[0] < widths[-1]
