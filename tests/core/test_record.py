import math
import os
from pathlib import Path

import numpy as np
import pytest

from leanformer.core import record
from leanformer.core.proof import NoEffect, Proof, require
from leanformer.core.quantity import Quantity
from leanformer.core.record import Record, read
from leanformer.core.storage.disk import DiskFull


def test_events_come_back_in_order(tmp_path: Path) -> None:
    record = Record(tmp_path / "deep" / "record.jsonl")
    record.write("run", path=tmp_path, loss=math.nan, sizes=(1, 2), scalar=np.float32(0.5))
    record.write("model", latency=Quantity(0.5, "s", low=0.4))
    first, second = read(record.path)
    assert first["event"] == "run"
    assert first["path"] == str(tmp_path)
    assert first["loss"] is None
    assert first["sizes"] == [1, 2]
    assert first["scalar"] == 0.5
    assert second["latency"] == {"value": 0.5, "unit": "s", "low": 0.4}


def test_a_line_cut_short_is_dropped_and_the_next_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    record = Record(path)
    record.write("one")
    with path.open("a") as file:
        file.write('{"event": "two", "ti')
    assert [event["event"] for event in read(path)] == ["one"]
    record.write("three")
    assert [event["event"] for event in read(path)] == ["one", "three"]


@pytest.mark.parametrize("label", ["new\u2028line", "next\x85line", "a\x0bb\x0cc\x1cd\ne\rf", "ü"])
def test_labels_may_hold_any_character(tmp_path: Path, label: str) -> None:
    record = Record(tmp_path / "record.jsonl")
    record.write("verdict", label=label)
    record.write("end")
    assert [event.get("label") for event in read(record.path)] == [label, None]


def test_half_a_character_does_not_end_a_run(tmp_path: Path) -> None:
    record = Record(tmp_path / "record.jsonl")
    record.write("run", command="leanformer compress caf\udce9")
    assert read(record.path)[0]["command"] == "leanformer compress caf?"


def test_what_is_no_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such record"):
        read(tmp_path / "record.jsonl")
    (tmp_path / "list.jsonl").write_text("[1]\n")
    with pytest.raises(ValueError, match=r"list.jsonl:1: .* is no event"):
        read(tmp_path / "list.jsonl")


@pytest.mark.parametrize("at", [0, 1, 12, 40, -12, -4, -2, -1])
def test_a_line_that_was_altered_is_refused(tmp_path: Path, at: int) -> None:
    record = Record(tmp_path / "record.jsonl")
    for name in ("a", "b", "c"):
        record.write("model", name=name)
    lines = record.path.read_bytes().splitlines()
    changed = bytearray(lines[1])
    changed[at] ^= 1
    record.path.write_bytes(b"\n".join([lines[0], bytes(changed), lines[2], b""]))
    with pytest.raises(ValueError, match=r"record\.jsonl:2: (the line was altered|.* is no event)"):
        read(record.path)


def test_lines_of_earlier_versions_have_no_checksum(tmp_path: Path) -> None:
    (tmp_path / "record.jsonl").write_text('{"event": "one", "loss": 0.5}\n{"event": "two"}\n')
    assert read(tmp_path / "record.jsonl") == [{"event": "one", "loss": 0.5}, {"event": "two"}]


def test_a_claim_that_did_not_come_true_is_an_error() -> None:
    good = Proof(claim="size", before=4.0, after=1.0, unit="MB", ok=True)
    bad = Proof(claim="integer kernels", before=None, after=0, unit="nodes", ok=False, asked=36)
    assert require([good]) == [good]
    with pytest.raises(NoEffect, match="integer kernels: is 0 nodes, asked for 36"):
        require([good, bad])


@pytest.mark.parametrize("fault", [OSError(28, "No space left"), KeyboardInterrupt()])
def test_a_line_without_room_leaves_the_record_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    path = tmp_path / "record.jsonl"
    Record(path).write("one")
    before = path.read_bytes()

    def half(handle: int, data: bytes) -> None:
        os.write(handle, data[: len(data) // 2])
        raise fault

    expected = DiskFull if isinstance(fault, OSError) else KeyboardInterrupt
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record, "write_all", half)
        with pytest.raises(expected):
            Record(path).write("two")
    assert path.read_bytes() == before
    Record(path).write("three")
    assert [event["event"] for event in read(path)] == ["one", "three"]
