from pathlib import Path
from typing import Any

import pytest
from runtime_samples import TEXTS, plain_folder

from leanformer.measure.flops import flops_per_token
from leanformer.measure.folders import measure_folders
from leanformer.measure.systems import LOADS, System
from leanformer.models.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.runtime.manifest import read_manifest, write_manifest
from leanformer.runtime.torch_backend import TorchSession

ALL = {*LOADS, "cpu_time", "memory", "size", "flops"}


@pytest.mark.slow
def test_every_folder_has_every_quantity(classifier: Path) -> None:
    found, measured = measure_folders(
        {"ours": (classifier, "pytorch", "fp32"), "bf16": (classifier, "pytorch", "bf16")},
        TEXTS * 3, rounds=2, threads=1,
    )  # fmt: skip
    assert list(found) == ["ours", "bf16"]
    for quantities in found.values():
        assert set(quantities) == ALL
        assert quantities["memory"].value > 20 * 2**20
        files = sum(path.stat().st_size for path in classifier.rglob("*") if path.is_file())
        assert quantities["size"].value == files
        assert quantities["flops"] == flops_per_token(tiny_model("bert")[0])
    assert measured.pins["ours"]["threads"] == 1
    assert found["ours"]["throughput"] == measured.quantities["ours"]["throughput"]


@pytest.mark.parametrize("kind", ["regression", "tokens", "embedding"])
def test_other_tasks_are_opened_with_their_head(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain_folder(tmp_path, kind, labels=("O", "X", "Y") if kind == "tokens" else ())
    asked: list[Any] = []

    def memory(folder: Path, texts: Any, pairs: Any, **named: Any) -> str:
        asked.append((folder, named))
        return "memory"

    monkeypatch.setattr("leanformer.measure.folders.peak_memory", memory)
    served = {"one": (tmp_path, "pytorch", "fp32")}
    found, _ = measure_folders(served, TEXTS, rounds=1, threads=1)  # type: ignore[arg-type]
    assert set(found["one"]) == ALL
    assert found["one"]["flops"].value > 0
    assert asked == [(tmp_path, {"backend": "pytorch", "precision": "fp32", "threads": 1})]


def test_systems_without_a_folder_are_timed_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain_folder(tmp_path)
    monkeypatch.setattr("leanformer.measure.folders.peak_memory", lambda *_, **__: None)
    model, tokenizer = tiny_model("bert")
    other = System(
        open=lambda: TorchSession(model, "classification"), tokenizer=tokenizer, max_length=64
    )
    served = {"one": (tmp_path, "pytorch", "fp32")}
    found, measured = measure_folders(served, TEXTS, others={"two": other}, rounds=1, threads=1)  # type: ignore[arg-type]
    assert set(found["one"]) == ALL
    assert set(found["two"]) == {*LOADS, "cpu_time"}
    assert measured.speedup("one", "two").value > 0


def test_pairs_are_measured_as_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain_folder(tmp_path, pairs=True)
    monkeypatch.setattr("leanformer.measure.folders.peak_memory", lambda *_, **__: None)
    served = {"one": (tmp_path, "pytorch", "fp32")}
    _, alone = measure_folders(served, TEXTS, rounds=1, threads=1)  # type: ignore[arg-type]
    _, both = measure_folders(served, TEXTS, TEXTS[::-1], rounds=1, threads=1)  # type: ignore[arg-type]
    assert both.padding["one"]["throughput"][0] > alone.padding["one"]["throughput"][0]


def test_texts_are_cut_as_each_folder_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain_folder(tmp_path / "long")
    model, tokenizer = tiny_model("bert")
    save_model(model, tokenizer, tmp_path / "short")
    manifest = read_manifest(tmp_path / "long")
    write_manifest(tmp_path / "short", type(manifest)(**{**vars(manifest), "max_length": 8}))
    monkeypatch.setattr("leanformer.measure.folders.peak_memory", lambda *_, **__: None)
    served: Any = {name: (tmp_path / name, "pytorch", "fp32") for name in ("long", "short")}
    _, measured = measure_folders(served, TEXTS, rounds=1, threads=1)
    real = {name: measured.padding[name]["throughput"][0] for name in served}
    assert real["short"] < real["long"]


def test_refusals(tmp_path: Path, classifier: Path) -> None:
    served: Any = {"one": (tmp_path, "pytorch", "fp32")}
    with pytest.raises(FileNotFoundError, match=r"leanformer.json is missing: .* was not exported"):
        measure_folders(served, TEXTS)
    with pytest.raises(ValueError, match="texts: a load is made of the caller's texts"):
        measure_folders({"one": (classifier, "pytorch", "fp32")}, [])
