from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanformer.data.corpus import packing as module
from leanformer.data.corpus.packing import Plan, RowForm, check_plan, plan_rows

LENGTHS = st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=30), min_size=1, max_size=3)


class Lengths:
    """Documents of these lengths, per shard, in place of a `TokenFile`."""

    def __init__(self, lengths: list[list[int]]) -> None:
        self._ends = [np.cumsum(own) for own in lengths]
        self.shards = len(lengths)
        self.begins = np.concatenate([[0], np.cumsum([ends[-1] for ends in self._ends])])

    def ends(self, shard: int) -> Any:
        return self._ends[shard]


def plan(lengths: list[list[int]], form: RowForm, folder: Path, name: str = "x") -> Plan:
    return plan_rows(Lengths(lengths), form, folder, {"name": name})  # type: ignore[arg-type]


@settings(max_examples=20)
@given(lengths=LENGTHS, packed=st.booleans(), causal=st.booleans(), window=st.integers(1, 9))
def test_each_token_is_in_one_row_and_no_document_is_split_in_vain(
    tmp_path_factory: pytest.TempPathFactory,
    lengths: list[list[int]],
    packed: bool,
    causal: bool,
    window: int,
) -> None:
    form = RowForm("packed" if packed else "grouped", 12, 0 if causal else 2, causal)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_WINDOW", window)
        found = plan(lengths, form, tmp_path_factory.mktemp("p") / "plan")
    documents = [n for own in lengths for n in own]
    starts = np.concatenate([[0], np.cumsum(documents)]).tolist()
    expected = []
    for begin, length in zip(starts, documents, strict=False):
        for at in range(0, length, form.room):
            size = min(form.room, length - at)
            expected.append((begin + at, size, int(at + size == length)))
    assert sorted(map(tuple, found.pieces.tolist())) == expected
    begins = [0, *found.rows["end"].tolist()[:-1]]
    assert found.rows["end"][-1] == len(found.pieces)
    for begin, (end, tokens, targets) in zip(begins, found.rows.tolist(), strict=True):
        own = found.pieces[begin:end]
        assert tokens == own["length"].sum() + form.specials * len(own) <= 12
        assert targets == own["length"].sum() - (own["last"].sum() if causal else 0)
        assert packed or len(own) == 1
    assert found.tokens == found.rows["tokens"].sum()
    assert found.targets == found.rows["targets"].sum()
    assert found.longest == found.rows["tokens"].max()
    assert found.split == sum(length > form.room for length in documents)


def test_rows_are_filled_well(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    lengths = draw.integers(1, 200, 5000).tolist()
    found = plan([lengths], RowForm("packed", 128, 0, True), tmp_path / "plan")
    assert found.tokens > 0.99 * 128 * len(found.rows)


def test_a_plan_is_used_again_for_the_same_documents_alone(tmp_path: Path) -> None:
    form, folder = RowForm("packed", 12, 0, True), tmp_path / "plan"
    plan([[3, 4, 20]], form, folder)
    before = (folder / "pieces").stat().st_mtime_ns
    plan([[3, 4, 20]], form, folder)
    assert (folder / "pieces").stat().st_mtime_ns == before
    assert len(plan([[5]], form, folder, "y").pieces) == 1
    check_plan(folder)
    raw = (folder / "pieces").read_bytes()
    (folder / "pieces").write_bytes(raw[::-1])
    with pytest.raises(ValueError, match=r"pieces was altered .*; remove the folder and prepare"):
        check_plan(folder)
    (folder / "pieces").write_bytes(raw[:-1])
    with pytest.raises(ValueError, match="pieces has 15 bytes and had 16"):
        plan([[5]], form, folder, "y")


@pytest.mark.parametrize(("causal", "specials", "least"), [(True, 0, 2), (False, 2, 3)])
def test_a_row_must_have_room(tmp_path: Path, causal: bool, specials: int, least: int) -> None:
    form = RowForm("packed", least - 1, specials, causal)
    with pytest.raises(ValueError, match=f"max_length: {least - 1} is too short .*; {least} or mo"):
        plan([[3]], form, tmp_path / "plan")
    assert len(plan([[3]], RowForm("packed", least, specials, causal), tmp_path / "plan").rows) > 1
