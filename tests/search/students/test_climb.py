from collections.abc import Sequence
from dataclasses import dataclass, field

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

    def affordable(self, rung: Rung, trials: Sequence[Trial]) -> bool:
        return len(trials) < self.budget

    def run(self) -> list[Trial]:
        return climb(self.rungs, self.attempt, self.affordable, self.skipped.append)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    rungs = ladder(draw(DEPTHS))
    return World(rungs, draw(st.integers(-1, len(rungs) - 1)))


@given(worlds())
def test_the_smallest_rung_that_holds_is_found_in_few_trials(world: World) -> None:
    trials = world.run()
    kept = [world.rungs.index(trial.rung) for trial in trials if trial.kept]
    assert max(kept, default=-1) == world.last
    assert len(trials) <= 4
    assert not world.skipped


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
    assert len(world.skipped) <= 1
    if world.skipped:
        assert len(trials) == budget
        assert world.skipped[0] not in world.starts


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
