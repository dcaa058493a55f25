"""The kernel is compiled where a compiler is found, and nothing breaks where none is."""

import ctypes
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from leanformer.runtime.hashed_ngrams import build as building
from leanformer.runtime.hashed_ngrams.build import build, compiler, library, main

ROOT = Path(__file__).parents[3]
needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C compiler is found")


@needs_compiler
def test_the_kernel_is_built_whole_and_named_by_its_source(tmp_path: Path) -> None:
    made = build(tmp_path)
    assert made == library(tmp_path)
    assert list(tmp_path.iterdir()) == [made]
    assert ctypes.CDLL(str(made)).leanformer_ngrams_version() == 1
    assert build(tmp_path) == made


def test_another_source_has_another_name(tmp_path: Path, monkeypatch: Any) -> None:
    source = tmp_path / "kernel.c"
    source.write_text("int other;")
    before = library(tmp_path)
    monkeypatch.setattr(building, "SOURCE", source)
    assert library(tmp_path) != before


@needs_compiler
def test_a_source_that_does_not_compile_leaves_nothing(tmp_path: Path, monkeypatch: Any) -> None:
    source = tmp_path / "kernel.c"
    source.write_text("no C at all")
    monkeypatch.setattr(building, "SOURCE", source)
    with pytest.raises(OSError, match=r"cannot compile .*kernel.c"):
        build(tmp_path)
    assert list(tmp_path.iterdir()) == [source]


def test_without_a_compiler_it_is_said_and_forgiven(monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(building, "COMPILERS", ())
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(OSError, match=r"no C compiler .*apt-get install gcc"):
        build()
    main()
    assert "n-grams are computed by numpy, which is slow" in capsys.readouterr().err


@needs_compiler
def test_the_command_says_what_it_built(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(building, "build", lambda: tmp_path / "kernel.so")
    main()
    assert capsys.readouterr().out == f"built {tmp_path / 'kernel.so'}\n"
    monkeypatch.setenv("CC", "no-such-compiler")
    assert compiler() is not None


@pytest.mark.parametrize("with_compiler", [True, False])
def test_a_wheel_holds_the_kernel_or_is_pure(with_compiler: bool, tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    if with_compiler and compiler() is None:
        pytest.skip("no C compiler is found")
    path = os.environ["PATH"] if with_compiler else str(tmp_path)
    ended = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")],
        cwd=ROOT, check=False, capture_output=True, text=True, env={"PATH": path, "PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    (wheel,) = (tmp_path / "dist").iterdir()
    held = [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".library")]
    assert held == ([f"leanformer/runtime/hashed_ngrams/{library().name}"] * with_compiler)
    assert wheel.name.endswith("-py3-none-any.whl") != with_compiler
    assert "py3-none-" in wheel.name
