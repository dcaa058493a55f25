from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from leanformer.search.students.climb import Trial, climb
from leanformer.search.students.ladder import Rung, ladder

DEPTHS = st.integers(2, 24)


@dataclass
class World:
    """A world in which rungs down to `last` hold (-1 = none), and what was asked of it."""

    rungs: Sequence[Rung]
    last: int
    broken: tuple[int, ...] = ()
    starts: dict[Rung, Rung | None] = field(default_factory=dict)
    skipped: list[Rung] = field(default_factory=list)
    budget: int = 99
    slow: int = 99
    first: int | None = None

    def attempt(self, rung: Rung, start: Rung | None) -> Trial | None:
        if len(self.starts) >= self.slow:
            return None
        assert rung not in self.starts, "tried twice"
        self.starts[rung] = start
        place = self.rungs.index(rung)
        usable = place not in self.broken
        return Trial(
            rung=rung, quality=1 - place / 10, kept=usable and place <= self.last, seconds=1.0,
            usable=usable,
        )  # fmt: skip

    def affordable(self, rung: Rung, start: Rung | None, trials: Sequence[Trial]) -> bool:
        return len(trials) < self.budget

    def run(self, **settings: Any) -> list[Trial]:
        return climb(
            self.rungs,
            self.attempt,
            self.affordable,
            self.skipped.append,
            first=self.first,
            **settings,
        )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    rungs = ladder(draw(DEPTHS))
    first = draw(st.none() | st.integers(0, len(rungs) - 1))
    return World(rungs, draw(st.integers(-1, len(rungs) - 1)), first=first)


@given(worlds())
def test_the_smallest_rung_that_holds_is_found_in_few_trials(world: World) -> None:
    trials = world.run()
    kept = [world.rungs.index(trial.rung) for trial in trials if trial.kept]
    assert max(kept, default=-1) == world.last
    assert len(trials) <= 6
    assert not world.skipped
    if world.first is not None:
        assert trials[0].rung == world.rungs[world.first]


@given(worlds())
def test_a_rung_begins_from_the_smallest_larger_student(world: World) -> None:
    tried: list[Rung] = []
    world.run()
    for rung, start in world.starts.items():
        larger = [other for other in tried if _whole(other, rung)]
        assert start == min(larger, key=lambda other: other.cost, default=None)
        tried.append(rung)


def _whole(other: Rung, rung: Rung) -> bool:
    """Whether nothing of `rung` is missing in `other`."""
    fields = ("layers", "heads", "ffn")
    return all(getattr(other, field) >= getattr(rung, field) for field in fields)


@given(worlds(), st.integers(0, 3))
def test_what_there_is_no_time_for_is_skipped_and_ends_the_walk(world: World, budget: int) -> None:
    world.budget = budget
    trials = world.run()
    assert len(trials) <= budget
    assert not set(world.skipped) & set(world.starts)
    if world.skipped:
        assert len(trials) == budget


def test_without_time_for_a_rung_one_nearer_to_the_teacher_is_tried() -> None:
    world = World(ladder(6), last=10, first=5)
    costly = world.rungs[2:]  # these take too long

    def affordable(rung: Rung, start: Rung | None, trials: Sequence[Trial]) -> bool:
        return rung not in costly

    trials = climb(world.rungs, world.attempt, affordable, world.skipped.append, first=5)
    assert [world.rungs.index(rung) for rung in world.skipped] == [5, 2]
    assert [world.rungs.index(trial.rung) for trial in trials] == [1]


def test_after_one_that_held_a_rung_without_time_ends_the_walk() -> None:
    world = World(ladder(6), last=10, first=4, budget=1)
    assert [trial.rung for trial in world.run()] == [world.rungs[4]]
    assert len(world.skipped) == 1


def test_what_gains_too_little_is_not_tried() -> None:
    world = World(ladder(6), last=10, first=5)
    trials = world.run(worthwhile=lambda kept, rung: kept.cost >= 3 * rung.cost)
    assert [world.rungs.index(trial.rung) for trial in trials] == [5, 8]  # 2, 1, and 0.5 is left
    assert not world.skipped


def test_a_rung_of_which_no_model_came_starts_nothing() -> None:
    rungs = [Rung(layers=layers) for layers in (8, 7, 6, 5, 4, 3)]
    world = World(rungs, 5, broken=(2,))
    trials = world.run()
    assert trials[0].rung == rungs[2]
    assert all(start != rungs[2] for start in world.starts.values())


def test_an_empty_ladder_needs_no_trial() -> None:
    assert World([], -1).run() == []


@given(worlds(), st.integers(0, 2))
def test_a_student_that_is_too_slow_ends_the_climb(world: World, slow: int) -> None:
    world.slow = slow
    assert len(world.run()) <= slow
    assert not world.skipped  # whoever found out has said so
