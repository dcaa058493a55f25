"""Fields that were renamed read by their old names, once, with a note."""

import dataclasses
from dataclasses import dataclass
from typing import get_type_hints

import pytest

from leanformer.core import codec, renamed
from leanformer.core.renamed import Renamed


@dataclass(frozen=True)
class _Base:
    sparsity: float = 0.5
    num_hashes: int = 1


@dataclass(frozen=True)
class _Layer(_Base):
    size: int = 2


@pytest.fixture(autouse=True)
def _rows(monkeypatch):
    rows = {
        "_Base": {
            "keep": Renamed("sparsity", lambda keep: round(1 - keep, 12)),
            "rounds": Renamed("num_hashes"),
        }
    }
    monkeypatch.setattr(renamed, "FIELDS", rows)


def test_old_name_is_read_with_a_note_that_names_the_new_one():
    with pytest.warns(FutureWarning, match=r"^steps\[0\]\.rounds is called num_hashes now$"):
        assert codec.decode(_Base, {"rounds": 4}, "steps[0]") == _Base(num_hashes=4)


def test_value_turns_round_with_its_name():
    with pytest.warns(FutureWarning, match="sparsity"):
        assert codec.decode(_Layer, {"keep": 0.3, "size": 3}) == _Layer(sparsity=0.7, size=3)


def test_both_names_at_once_are_refused():
    with pytest.raises(ValueError, match=r"here\.rounds: it is called num_hashes now, which is"):
        codec.decode(_Base, {"rounds": 4, "num_hashes": 4}, "here")


def test_new_names_say_nothing(recwarn):
    assert codec.decode(_Layer, {"num_hashes": 4}) == _Layer(num_hashes=4)
    assert not recwarn.list


@dataclass(frozen=True)
class _Whole:
    part: str = ""


@pytest.mark.parametrize(
    ("table", "nested"),
    [
        ({"rate": 2.0}, {"use": "usual", "rate": 2.0}),
        ({"rate": 2.0, "part": "other"}, {"use": "other", "rate": 2.0}),
        ({"rate": 2.0, "part": {"decay": 1.0}}, {"use": "usual", "decay": 1.0, "rate": 2.0}),
        ({"rate": 2.0, "part": {"use": "other"}}, {"use": "other", "rate": 2.0}),
        ({"rate": 2.0, "part": 3}, 3),
    ],
)
def test_a_field_that_went_into_a_nested_technique(table, nested, monkeypatch, recwarn):
    row = Renamed("part.rate", technique="usual", short=True)
    monkeypatch.setattr(renamed, "FIELDS", {"_Whole": {"rate": row}})
    before = repr(table)
    assert renamed.with_new_names(_Whole, table, "here") == {"part": nested}
    assert repr(table) == before
    assert not recwarn.list


def test_a_nested_field_that_is_given_in_both_places_is_refused(monkeypatch):
    row = Renamed("part.rate", technique="usual")
    monkeypatch.setattr(renamed, "FIELDS", {"_Whole": {"rate": row}})
    with pytest.raises(
        ValueError, match=r"here\.rate: it is called part\.rate now, which is given"
    ):
        renamed.with_new_names(_Whole, {"rate": 1.0, "part": {"rate": 1.0}}, "here")
    with pytest.warns(FutureWarning, match=r"^here\.rate is called part\.rate now$"):
        renamed.with_new_names(_Whole, {"rate": 1.0}, "here")
    monkeypatch.setattr(
        renamed, "FIELDS", {"_Whole": {"rate": dataclasses.replace(row, short=True)}}
    )
    with pytest.raises(
        ValueError, match=r"it is short for part\.rate, which is given too; remove one"
    ):
        renamed.with_new_names(_Whole, {"rate": 1.0, "part": {"rate": 1.0}}, "here")


def test_every_row_leads_to_a_field_that_is_there(monkeypatch):
    monkeypatch.undo()
    import leanformer.recipe  # noqa: F401  (registers all techniques)
    from leanformer.core.technique import families

    classes = {cls.__name__: cls for cls in _dataclasses()}
    for name, rows in renamed.FIELDS.items():
        fields = {field.name for field in dataclasses.fields(classes[name])}
        for old, row in rows.items():
            outer, _, inner = row.new.rpartition(".")
            if outer:
                family = get_type_hints(classes[name])[outer].family
                nested = dataclasses.fields(families()[family][row.technique])
                assert inner in {field.name for field in nested}, f"{name}.{row.new}"
            assert (outer or inner) in fields, f"{name}.{row.new}"
            assert old not in fields, f"{name}.{old} is a field again"


def _dataclasses():
    from leanformer.core.technique import families
    from leanformer.recipe import Recipe
    from leanformer.train.setup import TrainSetup

    listed = [cls for members in families().values() for cls in members.values()]
    return [base for cls in [*listed, Recipe, TrainSetup] for base in cls.__mro__]
