from dataclasses import replace

import pytest
from report import rivals_sample

from leanformer.report.drawing.families import families
from leanformer.report.events import load
from leanformer.report.lineup import lineup


@pytest.fixture
def field(record):
    return lineup(load(record("rivals")))


def test_families_look_apart_and_each_system_is_in_one(field):
    made = families(field, field.systems)
    names = [system.name for family in made for system in family.systems]
    assert sorted(names) == sorted(system.name for system in field.systems)
    looks = {(f.symbol, f.color, f.hollow) for f in made}
    assert len(looks) == len(made)
    assert made[-1].name == f"Chosen: {rivals_sample.CASCADE}"


def test_what_is_proven_is_filled(field):
    made = {family.name: family for family in families(field, field.systems)}
    assert [s.name for s in made["Students, proven"].systems] == ["L4-h100-f100"]
    assert not made["Students, proven"].hollow
    assert made["n-grams, not proven"].hollow
    assert [s.name for s in made["Cascades, not proven"].systems] == [rivals_sample.BEHIND]
    assert not made["TF-IDF · linear model"].hollow


def test_where_nothing_was_asked_nothing_is_hollow(field):
    made = families(replace(field, keep=None), field.systems)
    assert not any(family.hollow for family in made)
    assert "Cascades" in [family.name for family in made]
