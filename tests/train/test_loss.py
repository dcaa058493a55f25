import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from train.toy import toy

from leanformer.data import IGNORE, Batch
from leanformer.train.loss import (
    Loss,
    Supervised,
    Term,
    against_labels,
    count,
    detached,
    loss_share,
    summed,
)

UNITS = ("example", "token", "target")


def batch(lengths: list[int], labels: Any) -> Batch:
    mask = torch.tensor([[1] * n + [0] * (max(lengths) - n) for n in lengths])
    return Batch({"attention_mask": mask}, labels, tuple(range(len(lengths))))


@pytest.mark.parametrize(
    ("labels", "targets"),
    [
        (None, 2),
        (torch.tensor([1, IGNORE]), 1),
        (torch.tensor([0.5, math.nan]), 1),
        (torch.tensor([[1, IGNORE, 0], [IGNORE] * 3]), 2),
        (torch.tensor([IGNORE, IGNORE]), 0),
    ],
)
def test_units_are_counted(labels: Any, targets: int) -> None:
    counts = [count(batch([3, 1], labels), unit) for unit in UNITS]  # type: ignore[arg-type]
    assert [int(found) for found in counts] == [2, 4, targets]
    assert Loss().counts(batch([3, 1], labels)) == dict(zip(UNITS, counts, strict=True))


def test_cross_entropy_equals_its_equation() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 5, 4, dtype=torch.float64, generator=generator)
    labels = torch.tensor([[0, 3, IGNORE, 2, IGNORE], [IGNORE] * 5, [1, 1, 1, 1, 3]])
    losses = [
        math.log(sum(math.exp(z) for z in logits[b, t])) - logits[b, t, labels[b, t]].item()
        for b in range(3)
        for t in range(5)
        if labels[b, t] != IGNORE
    ]
    found = against_labels(logits, labels, "tokens").item()
    assert found == pytest.approx(sum(losses) / 8, abs=1e-12)
    assert against_labels(logits, torch.full((3, 5), IGNORE), "tokens").item() == 0.0


def test_regression_is_the_mean_squared_error() -> None:
    logits, scores = torch.tensor([[1.0], [4.0]]), torch.tensor([0.5, 1.0])
    assert against_labels(logits, scores, "regression").item() == pytest.approx((0.25 + 9) / 2)


def test_gradients() -> None:
    logits = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 2, IGNORE, 1, 1])
    assert torch.autograd.gradcheck(
        lambda z: against_labels(z, labels, "classification"), (logits,)
    )
    scores = torch.randn(5, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda z: against_labels(z[:, :1], scores, "regression"), (logits,)
    )


def test_half_precision_logits_are_compared_in_single() -> None:
    logits = torch.randn(4, 3).bfloat16()
    labels = torch.tensor([0, 1, 2, 0])
    assert against_labels(logits, labels, "classification").dtype == torch.float32
    assert against_labels(logits[:, :1], labels.float(), "regression").dtype == torch.float32


@given(
    values=st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=2, max_size=9),
    cut=st.integers(1, 8),
    weights=st.tuples(*[st.floats(0.1, 3)] * 3),
)
def test_parts_of_a_batch_sum_to_the_whole_whatever_the_units(
    values: list[tuple[int, bool]], cut: int, weights: tuple[float, ...]
) -> None:
    """A mean over each unit, mixed: the parts' shares add up to the loss of the undivided batch."""

    def terms(part: Batch) -> list[Term]:
        assert part.labels is not None
        sizes = part.inputs["attention_mask"].sum(1).double()
        known = part.labels != IGNORE
        sums = {
            "example": sizes.pow(2).sum(),
            "token": sizes.pow(3).sum(),
            "target": (sizes * known).sum(),
        }
        return [
            Term(unit, sums[unit], weight, unit)
            for unit, weight in zip(UNITS, weights, strict=True)
        ]

    def made(rows: list[tuple[int, bool]]) -> Batch:
        return batch(
            [n for n, _ in rows], torch.tensor([0 if known else IGNORE for _, known in rows])
        )

    whole = made(values)
    loss = Loss()
    parts = [made(part) for part in (values[:cut], values[cut:]) if part]
    counts = summed([loss.counts(part) for part in parts])
    assert counts == loss.counts(whole)
    total = sum(loss_share(terms(part), counts) for part in parts)
    expected = sum(
        term.weight * term.total / max(1, int(counts[term.unit])) for term in terms(whole)
    )
    torch.testing.assert_close(total, expected)


@pytest.mark.parametrize("kind", ["classification", "regression", "tokens"])
def test_supervised_is_the_loss_that_transformers_computes(kind: Any) -> None:
    model, encoded = toy(kind)
    part = encoded.batch([0, 5, 15])
    (term,) = Supervised(kind)(model, part)
    assert term.unit == "target"
    theirs: Tensor = model(**part.inputs, labels=part.labels).loss
    torch.testing.assert_close(term.total / count(part, "target"), theirs)
    torch.testing.assert_close(Supervised(kind).mean(model, part), theirs)


def test_a_loss_must_say_its_outputs_and_terms() -> None:
    with pytest.raises(NotImplementedError):
        Loss()(torch.nn.Identity(), batch([1], None))
    with pytest.raises(NotImplementedError):
        Loss().terms(None, batch([1], None))


def test_a_carry_stays_as_it_is_unless_a_loss_adds_to_it() -> None:
    memory = torch.ones(2, requires_grad=True)
    carry = Loss().next_carry(None, batch([1], None), {"memory": memory * 2})
    assert carry["memory"].requires_grad
    assert not detached(carry)["memory"].requires_grad
    assert detached(carry)["memory"].tolist() == [2, 2]
