import pytest

from leanformer.runtime import uneven
from leanformer.runtime.serving.opening import open_session
from leanformer.runtime.uneven import run_uneven, uneven_rows


def test_rows_are_as_uneven_as_the_model_allows():
    rows = uneven_rows(50, 128, pad=30)
    lengths = [len(row.ids) for row in rows]
    assert (max(lengths), min(lengths)) == (128, 3)
    assert all(30 not in row.ids and max(row.ids) < 50 for row in rows)


def test_numbers_that_are_not_finite_fail(classifier, monkeypatch):
    session, feed = open_session(classifier, threads=1), uneven.feed
    monkeypatch.setattr(uneven, "feed", lambda *args: feed(*args) * float("nan"))
    with pytest.raises(ValueError, match="numbers that are not finite"):
        run_uneven(session, 50, 32, 0)


def test_rows_that_are_lost_fail(classifier, monkeypatch):
    session, feed = open_session(classifier, threads=1), uneven.feed
    monkeypatch.setattr(uneven, "feed", lambda *args: feed(*args)[1:])
    with pytest.raises(ValueError, match="answers 6 rows with"):
        run_uneven(session, 50, 32, 0)
