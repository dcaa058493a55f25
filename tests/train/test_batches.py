from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from train.toy import FAST, toy

from leanformer.data import Batch, Encoded, by_length
from leanformer.train import Supervised, fit
from leanformer.train.batches import Batches, Duration, ShuffledBatches, in_parts, shuffled

LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=60)


def of_lengths(lengths: list[int]) -> Encoded:
    rows = [{"input_ids": [7] * n, "attention_mask": [1] * n} for n in lengths]
    return Encoded(rows, None, 99, 0, "classification")


def batches_of(
    lengths: list[int], size: int = 3, budget: int = 12, seed: int = 0
) -> ShuffledBatches:
    return ShuffledBatches(of_lengths(lengths), batch_size=size, max_tokens=budget, seed=seed)


def rows(parts: list[Batch]) -> list[int]:
    return [index for part in parts for index in part.index]


@given(lengths=LENGTHS, size=st.integers(1, 7), seed=st.integers(0, 99), pool=st.integers(1, 5))
def test_an_epoch_holds_each_example_once(
    lengths: list[int], size: int, seed: int, pool: int
) -> None:
    encoded = of_lengths(lengths)
    batches = shuffled(encoded, size, seed, pool)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert len(batches) == -(-len(lengths) // size)
    assert sum(len(batch) < size for batch in batches) <= 1
    assert batches == shuffled(encoded, size, seed, pool)


@given(lengths=LENGTHS, size=st.integers(1, 7))
def test_one_pool_of_everything_pads_as_little_as_sorting(lengths: list[int], size: int) -> None:
    encoded = of_lengths(lengths)

    def padded(batches: list[list[int]]) -> int:
        return sum(len(batch) * max(lengths[index] for index in batch) for batch in batches)

    assert padded(shuffled(encoded, size, 0, pool=60)) == padded(by_length(encoded, size))


@given(lengths=LENGTHS, ranks=st.integers(1, 4))
def test_ranks_see_one_order_and_fill_their_microbatches(lengths: list[int], ranks: int) -> None:
    alone = batches_of(lengths, size=7, budget=12)
    shared = ShuffledBatches(of_lengths(lengths), batch_size=7, max_tokens=12, seed=0, ranks=ranks)
    assert shared.identity() == alone.identity()
    assert shared.state() == alone.state()
    for step in range(alone.steps_per_epoch):
        parts = shared.at(step)
        assert sorted(rows(parts)) == sorted(rows(alone.at(step)))
        for part in parts:
            most = -(-len(part.index) // ranks)  # rows of the rank that has most
            assert most == 1 or most * max(lengths[index] for index in part.index) <= 12
        for part, following in pairwise(parts):  # no row of the next one had room
            rest = [*part.index, following.index[0]]
            most = -(-len(rest) // ranks)
            assert most > 1
            assert most * max(lengths[index] for index in rest) > 12


def test_epochs_differ() -> None:
    encoded = of_lengths(list(range(1, 41)))
    assert shuffled(encoded, 4, 0) != shuffled(encoded, 4, 1)


@given(lengths=LENGTHS, budget=st.integers(1, 99))
def test_parts_hold_each_example_once_and_keep_the_budget(lengths: list[int], budget: int) -> None:
    encoded = of_lengths(lengths)
    parts = in_parts(encoded, list(range(len(lengths))), budget)
    assert sorted(index for part in parts for index in part) == list(range(len(lengths)))
    for part in parts:
        assert len(part) * max(lengths[index] for index in part) <= budget or len(part) == 1
    longest = max(lengths)
    assert (len(parts) == 1) == (len(lengths) * longest <= budget or len(lengths) == 1)


@given(lengths=LENGTHS, size=st.integers(1, 7), budget=st.integers(1, 40))
def test_the_steps_of_an_epoch_hold_each_example_once(
    lengths: list[int], size: int, budget: int
) -> None:
    batches = batches_of(lengths, size, budget)
    for epoch in (0, 1):
        steps = range(epoch * batches.steps_per_epoch, (epoch + 1) * batches.steps_per_epoch)
        seen = [index for step in steps for index in rows(batches.at(step))]
        assert sorted(seen) == list(range(len(lengths)))
        assert sum(map(batches.tokens, steps)) == sum(lengths) == batches.epoch_tokens
    assert batches.longest == max(lengths)


@given(order=st.permutations(range(12)))
def test_a_step_is_the_same_whatever_was_asked_for_before(order: list[int]) -> None:
    batches, again = batches_of([1, 2, 3, 4, 5] * 2), batches_of([1, 2, 3, 4, 5] * 2)
    expected = [rows(batches.at(step)) for step in range(12)]
    assert {step: rows(again.at(step)) for step in order} == dict(enumerate(expected))


@given(lengths=LENGTHS, size=st.integers(1, 7), budget=st.integers(1, 40))
def test_batches_are_whole_where_a_microbatch_may_hold_as_much_as_it_says(
    lengths: list[int], size: int, budget: int
) -> None:
    batches = batches_of(lengths, size, budget)
    if needed := batches.whole_tokens:
        assert needed > budget
        batches = batches_of(lengths, size, needed)
    assert not batches.whole_tokens
    assert all(len(batches.at(step)) == 1 for step in range(batches.steps_per_epoch))


def test_another_seed_gives_another_order() -> None:
    lengths = list(range(1, 41))
    assert rows(batches_of(lengths, seed=0).at(0)) != rows(batches_of(lengths, seed=1).at(0))


def test_the_tokens_of_a_step_are_those_of_its_parts() -> None:
    batches = batches_of([1, 2, 3, 4, 5])
    for step in range(4):
        assert batches.tokens(step) == sum(part.tokens for part in batches.at(step))
        assert super(ShuffledBatches, batches).tokens(step) == batches.tokens(step)


@pytest.mark.parametrize(("epochs", "steps"), [(1, 4), (0.5, 2), (0.01, 1), (2.25, 9)])
def test_epochs_are_steps(epochs: float, steps: int) -> None:
    batches = batches_of([2] * 10)
    assert batches.steps(Duration(epochs)) == steps
    assert batches.epochs(Duration(epochs)) == epochs


@given(lengths=LENGTHS, size=st.integers(1, 7), amount=st.integers(1, 999))
def test_a_duration_in_tokens_ends_with_the_step_that_reaches_them(
    lengths: list[int], size: int, amount: int
) -> None:
    batches = batches_of(lengths, size)
    steps = batches.steps(Duration(amount, "token"))
    read = sum(map(batches.tokens, range(steps)))
    assert read - batches.tokens(steps - 1) < amount <= read


def test_a_duration_in_steps_is_taken_as_it_is() -> None:
    assert batches_of([2] * 10).steps(Duration(7, "step")) == 7
    assert batches_of([2] * 10).epochs(Duration(7, "step")) == 7 / 4


def test_state_goes_on_with_the_same_data_alone() -> None:
    batches = batches_of([1, 2, 3])
    batches.restore(batches_of([3, 2, 1]).state())
    for other in (batches_of([1, 2, 4]), batches_of([1, 2, 3, 0]), batches_of([1, 2, 3], seed=1)):
        with pytest.raises(ValueError, match="the checkpoint is of other data: "):
            batches.restore(other.state())


@pytest.mark.parametrize(
    ("fields", "steps"), [({"steps": 5}, 5), ({"tokens": 1}, 1), ({"epochs": 0.5}, 2)]
)
def test_the_loop_trains_as_long_as_asked(fields: dict[str, float], steps: int) -> None:
    model, encoded = toy()
    assert fit(model, encoded, Supervised("classification"), replace(FAST, **fields)).steps == steps


def test_batches_of_ones_own_are_taken_as_they_are() -> None:
    model, encoded = toy()
    own = ShuffledBatches(encoded, batch_size=16, max_tokens=10**6, seed=3)
    assert fit(model, own, Supervised("classification"), FAST).steps == 3


def test_a_checkpoint_of_other_data_is_refused(tmp_path: Path) -> None:
    model, encoded = toy()
    loss, setup = Supervised("classification"), replace(FAST, steps=2)
    fit(model, encoded, loss, setup, folder=tmp_path / "c")
    fewer = encoded.take(list(range(15)))
    with pytest.raises(ValueError, match=r"number of training examples \(16 → 15\)"):
        fit(model, fewer, loss, setup, folder=tmp_path / "c")


def test_batches_of_ones_own_are_told_apart_by_their_sizes() -> None:
    _, encoded = toy()
    ours, theirs = (
        Batches.identity(ShuffledBatches(encoded, batch_size=size, max_tokens=99, seed=0))
        for size in (4, 8)
    )
    assert ours == {**theirs, "steps_per_epoch": 4}
    assert theirs["use"] == "ShuffledBatches"
