import pytest

from leanformer.prune.schedules import Cubic


def test_it_is_the_law_of_the_paper_between_hold_and_cool() -> None:
    schedule = Cubic(hold=0.2, cool=0.3)
    assert schedule.progress(0.2) == 0
    assert schedule.progress(0.7) == schedule.progress(1.0) == 1
    start, final, first, last = 0.0, 0.9, 20, 70  # sparsities and steps of a training of 100
    for step in range(first, last + 1):
        sparsity = final + (start - final) * (1 - (step - first) / (last - first)) ** 3
        assert final * schedule.progress(step / 100) == pytest.approx(sparsity)


def test_it_never_falls() -> None:
    values = [Cubic().progress(step / 50) for step in range(51)]
    assert values == sorted(values)
    assert values[0] == 0
    assert values[-1] == 1


def test_a_training_without_a_step_to_prune_in_is_refused() -> None:
    with pytest.raises(ValueError, match=r"hold \+ cool: 1\.1 leaves no step to prune in"):
        Cubic(hold=0.5, cool=0.6)
    with pytest.raises(ValueError, match=r"hold: -0\.1 is not at least 0 and below 1"):
        Cubic(hold=-0.1)
