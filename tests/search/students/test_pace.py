"""A training that would not end in time is found out by its first steps, and shortened."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanformer.core.record import Record
from leanformer.search.contest import Contest
from leanformer.search.students import pace as module
from leanformer.search.students.pace import Pace, TooLong, decided, later_share
from leanformer.train.loop import Progress

STEPS, EPOCHS = 100, 4.0


class World(Contest):
    """A contest with so many free seconds, in which each step takes one."""

    def __init__(self, folder: Path, free: float) -> None:
        self.record, self.seconds, self.told = Record(folder / "record.jsonl"), free, list[Any]()
        self.clock, self.now = None, 0.0

    def watch(self, name: str, news: Any) -> None:
        self.told.append((name, news))

    @property
    def free(self) -> float:
        return self.seconds

    def train(
        self,
        monkeypatch: pytest.MonkeyPatch,
        *,
        begin: int = 1,
        second: float = 1.0,
        **settings: Any,
    ) -> int:
        """The last step of a training of 100 steps, which cost `second` after the first 25."""
        monkeypatch.setattr(module.time, "monotonic", lambda: self.now)
        pace = Pace(self, "L3", EPOCHS, **settings)
        for step in range(begin, STEPS + 1):
            self.now += 50 if step <= 2 else 1 if step <= 25 else second  # cold caches at first
            pace("L3", Progress(step, STEPS, step / 25, 0.5, self.now))
        return step


def test_a_training_that_fits_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, free=90.0)
    assert world.train(monkeypatch) == STEPS
    assert decided(world, "L3") == EPOCHS
    assert decided(world, "L2") is None
    assert len(world.told) == STEPS  # all news are passed on


def test_one_that_does_not_fit_is_shortened_to_what_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, free=50.0)
    with pytest.raises(TooLong, match="its training would not end in time") as found:
        world.train(monkeypatch)
    assert found.value.epochs == 2.0  # of 25 steps each
    assert decided(world, "L3") == 2.0
    (said,) = [news for name, news in world.told if name == "search"]
    assert said == "L3: 89 s of training, and it may take 50 s; shortened to 2 epochs"
    assert world.train(monkeypatch) == STEPS  # it is judged once: a resumed search trains as it was


def test_one_without_time_for_half_an_epoch_is_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, free=-3.0)
    with pytest.raises(TooLong) as found:
        world.train(monkeypatch)
    assert found.value.epochs == 0
    assert world.told[-1][1] == "L3: 89 s of training, and it may take 0 s; none is begun"


def test_a_part_of_an_epoch_is_a_training_where_most_texts_have_no_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TooLong) as found:
        World(tmp_path, free=7.0).train(monkeypatch, least=0.1)
    assert found.value.epochs == 0.28  # of 25 steps, a second each
    with pytest.raises(TooLong) as found:
        World(tmp_path / "other", free=2.0).train(monkeypatch, least=0.1)
    assert found.value.epochs == 0


def test_a_resumed_training_is_judged_by_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert World(tmp_path, free=30.0).train(monkeypatch, begin=70) == STEPS


def test_a_share_of_the_time_is_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TooLong):
        World(tmp_path, free=120.0).train(monkeypatch, share=0.5)


@pytest.mark.parametrize(
    ("free", "enough", "most", "epochs"),
    [
        (100.0, 0.0, 1.0, 2.0),  # half of the time
        (100.0, 3.0, 1.0, 3.0),  # more, where that is too little
        (60.0, 3.0, 1.0, 2.4),  # as much as there is
        (100.0, 3.0, 0.6, 2.4),  # or as it may take
        (190.0, 3.0, 1.0, None),
    ],
)
def test_it_takes_its_share_of_the_time_and_more_only_for_enough_epochs(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    free: float,
    enough: float,
    most: float,
    epochs: float | None,
) -> None:
    world, asked = World(tmp_path, free=free), {"share": 0.5, "enough": enough, "most": most}
    if epochs is None:
        assert world.train(monkeypatch, **asked) == STEPS
        return
    with pytest.raises(TooLong) as found:
        world.train(monkeypatch, **asked)
    assert found.value.epochs == epochs


def test_later_epochs_that_cost_less_let_more_of_them_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert World(tmp_path, free=55.0).train(monkeypatch, later=0.5) == STEPS


def test_where_the_guess_decides_the_second_epoch_is_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, free=30.0)
    assert world.train(monkeypatch, later=0.5, second=0.3) == STEPS
    (event,) = world.known("pace")
    assert event["seconds"] == pytest.approx(65 * 0.3)  # after step 35
    world = World(tmp_path / "slow", free=30.0)
    with pytest.raises(TooLong) as found:
        world.train(monkeypatch, later=0.5, second=0.5)
    assert found.value.epochs == 2.4  # all of which cost what the second did
    assert world.told[-2][1].step == 35


def test_a_hopeless_training_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, free=10.0)
    with pytest.raises(TooLong):
        world.train(monkeypatch, later=0.5, second=0.01)
    assert world.told[-2][1].step == 11


@given(
    free=st.floats(0, 1e4),
    epoch=st.floats(0.1, 1e3),
    later=st.floats(0.1, 1),
    least=st.floats(0.01, 0.5),
)
def test_what_fits_fits(free: float, epoch: float, later: float, least: float) -> None:
    epochs = module._fitting(free, epoch, later, least)
    takes = epoch * (min(1.0, epochs) + later * max(0.0, epochs - 1))
    assert takes <= free + 1e-6 * epoch
    assert epochs == 0 or epochs >= least


def test_a_student_of_the_teachers_size_spares_a_quarter() -> None:
    assert later_share(6, 6) == 0.75
    assert later_share(3, 6) == 0.6
