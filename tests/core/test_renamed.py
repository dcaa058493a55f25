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


def test_old_name_of_a_technique_is_read_with_a_note():
    from leanformer.quantize.bit_choice import BitChoice
    from leanformer.quantize.fixed_bits import FixedBits

    with pytest.warns(FutureWarning, match=r"^bits\.use: listed-bits is called fixed-bits now$"):
        read = codec.decode(BitChoice, {"use": "listed-bits", "bits": [4, 2]}, "bits")
    assert read == FixedBits(bits=(4, 2))


@pytest.mark.parametrize(
    ("per", "granularity"),
    [("tensor", "tensor"), ("row", "row"), ("rows", "row-group"), ("columns", "group")],
)
def test_what_shares_a_scale_reads_by_its_old_words(per, granularity, monkeypatch):
    monkeypatch.undo()
    from leanformer.quantize.quantizers import Uniform

    size = 0 if per in ("tensor", "row") else 4
    with pytest.warns(FutureWarning, match="group is called group_size now"):
        read = codec.decode(Uniform, {"per": per, "group": size, "groups": 0, "ends": "mse"})
    assert read == Uniform(granularity=granularity, group_size=size, clipping="mse")


def test_every_technique_that_is_renamed_is_there_by_its_new_name(monkeypatch):
    monkeypatch.undo()
    import leanformer.recipe  # noqa: F401  (registers all techniques)
    from leanformer.core.technique import families

    for family, rows in renamed.TECHNIQUES.items():
        for old, new in rows.items():
            assert new in families()[family]
            assert old not in families()[family]


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


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            {"use": "finetune", "choose": "last", "regain": False},
            {"use": "finetune", "load_best_at_end": False, "require_improvement": False},
        ),
        ({"use": "finetune", "choose": "best"}, {"use": "finetune", "load_best_at_end": True}),
        ({"use": "pretrain", "share": 0.2}, {"use": "pretrain", "mlm_probability": 0.2}),
        (
            {"use": "distill", "masked": 0.2, "keep_outputs": "kept"},
            {"use": "distill", "mlm_probability": 0.2, "teacher_cache": "kept"},
        ),
        (
            {"use": "progressive", "masked": 0.2, "attention": 0.0, "keep_outputs": "kept"},
            {"use": "progressive", "mlm_probability": 0.2, "attention": 0.0}
            | {"teacher_cache": "kept"},
        ),
        (
            {"use": "cut-vocabulary", "needed": False},
            {"use": "cut-vocabulary", "missing_ok": True},
        ),
        (
            {"use": "sparsify", "by": "finetune", "keep": 0.15}
            | {"saliency": {"use": "brain-surgeon", "block": 8, "damping": 0.2}}
            | {"pattern": {"use": "hybrid", "block": 8}},
            {"use": "sparsify", "by": "finetune", "sparsity": 0.85}
            | {"criterion": {"use": "brain-surgeon", "block_size": 8, "damp_percent": 0.2}}
            | {"pattern": {"use": "hybrid", "block_size": 8}},
        ),
        (
            {"use": "sparse-gpt", "keep": 0.7, "span": 16, "damping": 0.1},
            {"use": "sparse-gpt", "sparsity": 0.3, "block_size": 16, "damp_percent": 0.1},
        ),
        (
            {"use": "lottery", "by": "finetune", "remove": 0.3},
            {"use": "lottery", "by": "finetune", "prune_fraction": 0.3},
        ),
    ],
    ids=lambda table: table["use"],
)
def test_steps_of_an_earlier_version_read(monkeypatch, recwarn, old, new):
    monkeypatch.undo()
    import leanformer.recipe  # noqa: F401  (registers all techniques)
    from leanformer.core.step import Step

    made = codec.decode(Step, new)
    assert not recwarn.list
    with pytest.warns(FutureWarning, match="is called"):
        assert codec.decode(Step, old) == made


@pytest.mark.parametrize(
    ("old", "match"),
    [
        ({"use": "finetune", "choose": "some"}, "load_best_at_end: 'some' is not true or false"),
        ({"use": "sparse-gpt", "keep": "half"}, "sparsity: 'half' is not a number"),
        ({"use": "cut-vocabulary", "needed": 1}, "missing_ok: 1 is not true or false"),
    ],
)
def test_a_wrong_value_by_an_old_name_is_refused_by_the_new_one(monkeypatch, old, match):
    monkeypatch.undo()
    import leanformer.recipe  # noqa: F401  (registers all techniques)
    from leanformer.core.step import Step

    with pytest.raises(ValueError, match=match), pytest.warns(FutureWarning):
        codec.decode(Step, old)


def _dataclasses():
    from leanformer.core.technique import families
    from leanformer.recipe import Recipe
    from leanformer.train.setup import TrainSetup

    listed = [cls for members in families().values() for cls in members.values()]
    return [base for cls in [*listed, Recipe, TrainSetup] for base in cls.__mro__]
