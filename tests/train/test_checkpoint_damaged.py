"""Checkpoints that something happened to: each damage is refused by name, none is read."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from train.two_terms import trained

from leanformer.train.checkpoints import checkpoint

Damage = Callable[[Path], object]


def state(folder: Path) -> Path:
    """A checkpoint with every kind of part."""
    groups = {
        "model": {"w": torch.arange(6.0).reshape(2, 3), "n": torch.tensor(3)},
        "loss": {},
        "random": {"cpu": torch.get_rng_state(), "cuda:0": torch.arange(16, dtype=torch.uint8)},
    }
    checkpoint.save(folder, groups, {"step": 2, "losses": [0.5, 0.25], "best": None})
    return folder


def flipped(file: Path, at: int) -> None:
    data = bytearray(file.read_bytes())
    data[at] ^= 1 << at % 8
    file.write_bytes(data)


def swapped(one: Path, other: Path) -> None:
    aside = one.with_suffix(".aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


def damages(folder: Path) -> Iterator[tuple[str, Damage]]:
    """Every way to damage the files of `folder`, applied to a copy of it."""
    names = sorted(path.name for path in folder.iterdir())
    for name in names:
        size = (folder / name).stat().st_size
        for length in {0, 1, size // 2, size - 1}:
            yield (
                f"cut {name} {length}",
                lambda f, n=name, s=length: (f / n).write_bytes((f / n).read_bytes()[:s]),
            )
        yield f"longer {name}", lambda f, n=name: (f / n).write_bytes((f / n).read_bytes() + b" ")
        for at in range(0, size, max(1, size // 40)):
            yield f"flip {name} {at}", lambda f, n=name, a=at: flipped(f / n, a)
        yield f"delete {name}", lambda f, n=name: (f / n).unlink()
        yield f"folder {name}", lambda f, n=name: ((f / n).unlink(), (f / n).mkdir())
        yield f"rename {name}", lambda f, n=name: (f / n).rename(f / f"x{n}")
        for other in names:
            if other > name:
                yield f"swap {name} {other}", lambda f, n=name, o=other: swapped(f / n, f / o)
    for stranger in ("best.safetensors", "notes.txt", ".hidden"):
        yield f"stranger {stranger}", lambda f, s=stranger: (f / s).write_bytes(b"stranger")
    yield "all but one", lambda f: [path.unlink() for path in f.iterdir() if path.name[0] != "m"]


def test_every_damage_of_every_file_is_refused(tmp_path: Path) -> None:
    whole = state(tmp_path / "whole")
    tried = list(damages(whole))
    for name, damage in tried:
        place = tmp_path / "damaged"
        shutil.copytree(whole, place)
        damage(place)
        with pytest.raises(ValueError, match=r"damaged.*remove the folder to begin anew"):
            checkpoint.load(place)
            pytest.fail(name)
        shutil.rmtree(place)
    assert len(tried) > 200
    assert checkpoint.load(whole) is not None


def test_a_training_does_not_go_on_from_damage(tmp_path: Path) -> None:
    trained(folder=tmp_path / "c")
    for name in sorted(path.name for path in (tmp_path / "c").iterdir()):
        shutil.copytree(tmp_path / "c", tmp_path / name)
        flipped(tmp_path / name / name, (tmp_path / name / name).stat().st_size // 2)
        with pytest.raises(ValueError, match=rf"{name}.*remove the folder to begin anew"):
            trained(folder=tmp_path / name)


def test_what_is_no_checkpoint_is_neither_read_nor_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years")
    with pytest.raises(ValueError, match=r"parts\.json is missing: the folder holds something"):
        trained(folder=tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years"
    with pytest.raises(ValueError, match="is a file and not the folder of a checkpoint"):
        checkpoint.load(tmp_path / "thesis.txt")


@pytest.mark.parametrize("name", ["state.json", "model.safetensors"])
def test_a_list_that_agrees_with_other_files_does_not_help(tmp_path: Path, name: str) -> None:
    from leanformer.core.storage.parts import list_parts

    folder = state(tmp_path / "c")
    (folder / name).write_bytes(b"{")
    list_parts(folder)
    with pytest.raises(ValueError, match=r"c: broken checkpoint \(.*remove the folder"):
        checkpoint.load(folder)


def test_a_checkpoint_that_lost_its_name_is_found_again(tmp_path: Path) -> None:
    state(tmp_path / "c").rename(tmp_path / ".c.finished")
    found = checkpoint.load(tmp_path / "c")
    assert found is not None
    assert found[1]["step"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["c"]
