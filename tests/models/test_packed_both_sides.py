"""Packed rows in models that see both sides: each text as if it stood alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from data.corpus.corpora import prepared, texts_of
from models.softmax import exact_softmax  # noqa: F401  # a fixture

from leanformer.data import IGNORE, Batch
from leanformer.models.packed import model_inputs, packs
from leanformer.models.tiny import tiny_model
from leanformer.train.masking import Masking, masking

FAMILIES = ["bert", "roberta", "xlm-roberta", "distilbert", "electra", "modernbert", "mpnet"]
LENGTH = 40


@pytest.fixture(scope="module", params=FAMILIES)
def packed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A float64 model, a batch of packed rows with tokens hidden, and its texts one by one."""
    model, tokenizer = tiny_model(request.param, head="masked")
    folder: Path = tmp_path_factory.mktemp(request.param)
    corpus = prepared(
        folder,
        texts_of(12, most=14),
        family=request.param,
        kind="masked-lm",
        max_length=LENGTH,
    )
    rows = corpus.rows.batch(np.arange(len(corpus.rows)))
    hidden = masking(tokenizer, 0.4).batch(rows, torch.Generator().manual_seed(0))
    assert len(rows.index) < 12
    assert rows.inputs["attention_mask"].min() == 0  # a row is padded
    return model.double(), rows, hidden


def alone(batch: Batch) -> list[tuple[int, slice, dict[str, Any], Any]]:
    """Row and place of each text of a packed batch, with its own inputs and labels."""
    found = []
    assert batch.labels is not None
    for row, segments in enumerate(batch.inputs["segment_ids"].tolist()):
        for number in range(1, max(segments) + 1):
            begin = segments.index(number)
            place = slice(begin, begin + segments.count(number))
            ids = batch.inputs["input_ids"][row, place][None]
            own = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
            found.append((row, place, own, batch.labels[row, place]))
    return found


def loss(logits: Any, labels: Any) -> Any:
    flat = labels.reshape(-1)
    return torch.nn.functional.cross_entropy(
        logits.reshape(len(flat), -1), flat, ignore_index=IGNORE, reduction="sum"
    )


@pytest.mark.usefixtures("exact_softmax")
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_packed_equals_unpacked_with_all_gradients(packed: Any, attention: str) -> None:
    model, _, batch = packed
    model.set_attn_implementation(attention)
    texts = alone(batch)
    assert len(texts) == 12
    model.zero_grad()
    logits = model(**model_inputs(batch.inputs, model)).logits
    total = loss(logits, batch.labels)
    total.backward()
    ours = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    for row, place, inputs, labels in texts:
        single = model(**inputs).logits[0]
        torch.testing.assert_close(logits[row, place], single, rtol=1e-10, atol=1e-12)
        loss(single, labels).backward()
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(ours[name], parameter.grad, rtol=1e-9, atol=1e-11)


def test_special_tokens_and_padding_are_never_hidden(packed: Any) -> None:
    _, rows, batch = packed
    shown, hidden = rows.inputs["input_ids"], batch.labels != IGNORE
    assert hidden.any()
    segments, places = rows.inputs["segment_ids"], rows.inputs["position_ids"]
    following = torch.cat([places[:, 1:], torch.zeros_like(places[:, :1])], 1)
    ends = (places == 0) | (following == 0) | (segments == 0)  # [CLS], [SEP], padding
    assert not (hidden & ends).any()
    assert torch.equal(batch.inputs["input_ids"][~hidden], shown[~hidden])
    for name in ("attention_mask", "position_ids", "segment_ids"):
        assert torch.equal(batch.inputs[name], rows.inputs[name])


def test_masking_sees_special_tokens_in_the_middle_of_a_row() -> None:
    ids = torch.tensor([[1, 7, 2, 1, 8, 2]])
    batch = Batch({"input_ids": ids, "attention_mask": torch.ones_like(ids)}, None, (0,))
    everything = Masking(mask=3, vocabulary=9, special=(1, 2), share=1.0)
    assert everything.batch(batch).labels.tolist() == [[IGNORE, 7, IGNORE, IGNORE, 8, IGNORE]]


@pytest.mark.parametrize("family", FAMILIES)
def test_models_that_keep_texts_apart_are_known(family: str) -> None:
    model, _ = tiny_model(family, head="masked")
    model.train()
    assert packs(model, causal=False)
    assert model.training


def test_models_that_do_not_are_known() -> None:
    deberta, _ = tiny_model("deberta-v2", head="masked")
    assert not packs(deberta, causal=False)
    bert, _ = tiny_model("bert", head="masked")
    assert not packs(bert)  # read as a causal model, it would mix them


def test_half_precision_and_autocast_take_the_masks(packed: Any) -> None:
    model, rows, _ = packed
    model.set_attn_implementation("sdpa")
    expected = model(**model_inputs(rows.inputs, model)).logits
    real = rows.inputs["attention_mask"].bool()
    for attention in ("sdpa", "eager"):
        model.float().set_attn_implementation(attention)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            found = model(**model_inputs(rows.inputs, model)).logits
        error = (found.double() - expected)[real].abs().max() / expected[real].abs().max()
        assert error < 0.1
    model.double()
