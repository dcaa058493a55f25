from pathlib import Path

import pytest

from leanformer.core.machine import processor
from leanformer.core.machine.processor import (
    cpuinfo,
    instructions,
    multiplies_bf16,
    multiplies_int8_exactly,
)


def describe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flags: str) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(f"processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu {flags} sse\n")
    monkeypatch.setattr(processor, "_CPUINFO", file)
    monkeypatch.setattr(processor.platform, "machine", lambda: "x86_64")


@pytest.mark.parametrize(
    ("flags", "exact"),
    [
        ("avx2", False),
        ("avx2 avx512f", False),
        ("avx2 avx512f avx512_vnni", True),
        ("avx2 avx_vnni", True),
        ("avx512f amx_int8", True),
    ],
)
def test_int8_products_are_exact_with_vnni_or_amx(
    flags: str, exact: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    describe(monkeypatch, tmp_path, flags)
    assert instructions() == flags.split()
    assert multiplies_int8_exactly() == exact


@pytest.mark.parametrize(
    ("flags", "native"),
    [
        ("avx2", False),
        ("avx2 avx512f avx512_vnni", False),
        ("avx512_bf16", True),
        ("amx_bf16", True),
    ],
)
def test_bf16_products_need_instructions_of_their_own(
    flags: str, native: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    describe(monkeypatch, tmp_path, flags)
    assert multiplies_bf16() == native
    monkeypatch.setattr(processor.platform, "machine", lambda: "aarch64")
    assert multiplies_bf16()


def test_other_processors_are_taken_to_be_exact(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    describe(monkeypatch, tmp_path, "avx2")
    assert cpuinfo("model name") == "Some CPU"
    monkeypatch.setattr(processor.platform, "machine", lambda: "aarch64")
    assert multiplies_int8_exactly()
    monkeypatch.setattr(processor.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(processor, "_CPUINFO", tmp_path / "absent")
    assert cpuinfo("flags") == ""
    assert multiplies_int8_exactly()
