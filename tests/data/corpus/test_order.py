from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanformer.data.corpus import order as module
from leanformer.data.corpus.order import Order
from leanformer.data.corpus.packing import ROW, Plan, RowForm

LENGTHS = st.lists(st.integers(1, 20), min_size=1, max_size=80)


@dataclass(frozen=True)
class Lengths:
    """Rows of these lengths, each token of which is a target, in place of `Rows`."""

    plan: Plan

    def __len__(self) -> int:
        return len(self.plan.rows)

    def lengths(self, indices: Any) -> Any:
        return self.plan.rows["tokens"][indices].astype(np.int64)

    targets = lengths


def order(
    lengths: list[int],
    *,
    packing: Any = "packed",
    size: int | None = None,
    steps: int = 1,
    seed: int = 0,
) -> Order:
    rows = np.zeros(len(lengths), ROW)
    rows["tokens"] = rows["targets"] = lengths
    form = RowForm(packing, 20, 0, True)
    total = sum(lengths)
    plan = Plan(form, np.empty(0), rows, total, total, max(lengths), 0)
    steps = -(-len(lengths) // size) if size else min(steps, len(lengths))
    return Order(Lengths(plan), seed, steps, size)  # type: ignore[arg-type]


@settings(max_examples=40)
@given(
    lengths=LENGTHS,
    packing=st.sampled_from(["packed", "grouped"]),
    size=st.none() | st.integers(1, 9),
    steps=st.integers(1, 30),
    chunk=st.integers(1, 50),
)
def test_an_epoch_holds_each_row_once(
    lengths: list[int], packing: Any, size: int | None, steps: int, chunk: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CHUNK", chunk)
        patch.setattr(module, "_POOL", 1 + chunk % 3)
        made = order(lengths, packing=packing, size=size, steps=steps)
        for epoch in range(3):
            batches = [made.at(epoch * made.steps + step) for step in range(made.steps)]
            assert all(len(batch) for batch in batches)
            seen = np.concatenate(batches).tolist()
            assert sorted(seen) == list(range(len(lengths)))
            if size:
                assert sorted(map(len, batches))[1:] == [size] * (made.steps - 1)
        again = order(lengths, packing=packing, size=size, steps=steps)
        for step in (made.steps * 2, 0, made.steps * 3 - 1):
            assert again.at(step).tolist() == made.at(step).tolist()


@settings(max_examples=40)
@given(
    lengths=st.lists(st.integers(5, 20), min_size=8, max_size=200),
    packing=st.sampled_from(["packed", "grouped"]),
    share=st.floats(0.05, 0.3),
)
def test_steps_have_as_many_targets_as_whole_rows_allow(
    lengths: list[int], packing: Any, share: float
) -> None:
    steps = max(1, round(share * len(lengths) / 2))
    made = order(lengths, packing=packing, steps=steps)
    wanted, ends = sum(lengths) / made.steps, []
    for step in range(made.steps):
        cuts = made._cuts_of(0)
        rows = made._between(0, 0, int(cuts[step + 1]))
        ends.append(int(made.rows.targets(rows).sum()))
    for step, end in enumerate(ends, 1):  # no error adds up
        assert abs(end - step * wanted) <= max(lengths) / 2
    counts = [int(made.rows.targets(made.at(step)).sum()) for step in range(made.steps)]
    assert max(abs(count - wanted) for count in counts) <= max(lengths)
    assert sum(counts) == sum(lengths)


def test_epochs_and_seeds_differ() -> None:
    lengths = list(range(1, 21)) * 3
    for packing in ("packed", "grouped"):
        for settings_ in ({"size": 4}, {"steps": 9}):
            made = order(lengths, packing=packing, **settings_)
            one, two = (
                [made.at(epoch * made.steps + step).tolist() for step in range(made.steps)]
                for epoch in (0, 1)
            )
            assert one != two
            assert one[0] != order(lengths, packing=packing, seed=1, **settings_).at(0).tolist()


def test_rows_of_like_length_share_a_batch() -> None:
    draw = np.random.default_rng(0)
    lengths = draw.integers(1, 1000, 4000).tolist()
    made = order(lengths, packing="grouped", size=8)
    padded = sum(
        len(batch) * int(made.rows.lengths(batch).max())
        for batch in map(made.at, range(made.steps))
    )
    assert padded < 1.05 * sum(lengths)
    longest = [int(made.rows.lengths(made.at(step)).max()) for step in range(made.steps)]
    assert abs(np.corrcoef(longest[:-1], longest[1:])[0, 1]) < 0.2  # short and long ones mixed


def test_cuts_of_few_epochs_are_kept() -> None:
    made = order([3] * 50, steps=7)
    for epoch in range(5):
        made.at(epoch * 7)
    assert list(made._cuts) == [3, 4]
