"""What all divergences share: their zero, where they compare, their unit, what they refuse."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from distill.objectives.naive import KEEP, STUDENT, TEACHER, outputs, padded, random
from hypothesis import given
from hypothesis import strategies as st

from leanformer.data import IGNORE
from leanformer.distill.objectives import JensenShannon, ReverseKl, SoftTargets
from leanformer.distill.objectives.jensen_shannon import jensen_shannon
from leanformer.distill.objectives.reverse_kl import reverse_kl
from leanformer.distill.objectives.soft_targets import soft_targets

ALL = pytest.mark.parametrize(
    ("kind", "function"),
    [
        (SoftTargets, soft_targets),
        (ReverseKl, reverse_kl),
        (partial(JensenShannon, beta=0.3), partial(jensen_shannon, beta=0.3)),
    ],
    ids=["soft-targets", "reverse-kl", "jensen-shannon"],
)


def both():
    return outputs(random(2, 7, 4)), outputs(random(2, 7, 4, seed=1), TEACHER)


@ALL
def test_gradient(kind, function):
    theirs = random(5, 3, seed=1)
    assert torch.autograd.gradcheck(
        lambda z: function(z, theirs, temperature=2.0), (random(5, 3).requires_grad_(),)
    )


@ALL
@given(seed=st.integers(0, 99), temperature=st.floats(0.2, 20), shift=st.floats(-50, 50))
def test_it_is_zero_at_the_teacher_and_positive_elsewhere(kind, function, seed, temperature, shift):
    ours, theirs = random(4, 6, seed=seed), random(4, 6, seed=seed + 100)
    same = function(ours + shift, ours, temperature=temperature)
    assert same.item() == pytest.approx(0, abs=1e-9)
    assert function(ours, theirs, temperature=temperature).item() > 0


@ALL
def test_every_real_token_counts_and_padding_does_not(kind, function):
    module = kind(temperature=2.0).build(STUDENT, TEACHER)
    ours, theirs = both()
    expected = function(ours.logits[KEEP], theirs.logits[KEEP], temperature=2.0)
    torch.testing.assert_close(module(ours, theirs, None), expected)
    for noise in (0.0, 1e6):
        found = module(padded(ours, noise), padded(theirs, -noise), None)
        torch.testing.assert_close(found, expected)


@ALL
def test_only_labelled_tokens_can_be_compared_and_the_unit_says_so(kind, function):
    masked = kind(temperature=2.0, tokens="masked")
    assert (kind().unit, masked.unit) == ("output", "target")
    module = masked.build(STUDENT, TEACHER)
    ours, theirs = both()
    labels = torch.full((2, 7), IGNORE)
    assert module(ours, theirs, labels).item() == 0
    labels[0, 2], labels[1, 1] = 3, 0
    some = [0, 1], [2, 1]
    expected = function(ours.logits[some], theirs.logits[some], temperature=2.0)
    torch.testing.assert_close(module(ours, theirs, labels), expected)


@ALL
@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_a_temperature_that_is_not_positive_is_refused(kind, function, temperature):
    with pytest.raises(ValueError, match=f"temperature: {temperature} is not above 0"):
        kind(temperature=temperature)


@ALL
@pytest.mark.parametrize("task", ["multi-label", "ranking"])
def test_decisions_are_compared_one_by_one(kind, function, task):
    """The divergence of independent decisions is the sum of those of each."""
    width = 1 if task == "ranking" else 3
    ours, theirs = random(5, width), random(5, width, seed=1)
    dims = replace(STUDENT, kind=task)
    module = kind(temperature=2.0).build(dims, dims)
    found = module(outputs(ours, keep=KEEP[:1].expand(5, 7)), outputs(theirs, TEACHER), None)
    each = [
        function(
            *(torch.stack([z[:, label], 0 * z[:, label]], -1) for z in (ours, theirs)),
            temperature=2.0,
        )
        for label in range(width)
    ]
    torch.testing.assert_close(found, sum(each))
