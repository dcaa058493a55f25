from pathlib import Path
from typing import Any

import pytest
from runtime.systems.cascades import TEXTS as SOME
from runtime.systems.cascades import cascade, halfway, ngrams, transformer
from runtime_samples import TEXTS, plain_folder

from leanformer.core.quantity import Quantity
from leanformer.data import Examples, Task
from leanformer.measure.flops import flops_per_token
from leanformer.measure.folders import _ruler, folder_system, measure_folders
from leanformer.measure.systems import LATENCIES, LOADS
from leanformer.measure.tfidf import fit_tfidf
from leanformer.models.tiny import tiny_model
from leanformer.runtime.batching import batches_in_order, plan_batches

ALL = {*LOADS, *LATENCIES, "cpu_time", "memory", "size", "flops"} - {"latency_each"}


@pytest.mark.slow
def test_every_folder_has_every_quantity(classifier: Path) -> None:
    found, measured = measure_folders(
        {"ours": (classifier, "pytorch", "fp32"), "bf16": (classifier, "pytorch", "bf16")},
        TEXTS * 3, rounds=1, requests=8, threads=1,
    )  # fmt: skip
    assert list(found) == ["ours", "bf16"]
    for quantities in found.values():
        assert set(quantities) == ALL
        assert quantities["memory"].value > 20 * 2**20
        files = sum(path.stat().st_size for path in classifier.rglob("*") if path.is_file())
        assert quantities["size"].value == files
        assert quantities["flops"] == flops_per_token(tiny_model("bert")[0])
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
    assert asked == [
        (tmp_path, {"backend": "pytorch", "precision": "fp32", "threads": 1, "requests": 200})
    ]


def test_what_is_no_transformer_is_measured_beside_but_for_its_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain_folder(tmp_path / "one")
    task = Task(kind="classification", labels=("no", "yes"))
    rival = fit_tfidf(Examples(texts=list(TEXTS), labels=[0, 1] * 3), task)
    rival.save(tmp_path / "two")
    monkeypatch.setattr("leanformer.measure.folders.peak_memory", lambda *_, **__: None)
    served: Any = {
        "one": (tmp_path / "one", "pytorch", "fp32"),
        "two": (tmp_path / "two", "scikit-learn", "fp64"),
    }
    found, measured = measure_folders(served, TEXTS, rounds=1, threads=1)
    assert set(found["one"]) == ALL
    assert set(found["two"]) == ALL - {"flops"}
    files = sum(path.stat().st_size for path in (tmp_path / "two").iterdir())
    assert found["two"]["size"].value == files
    assert measured.speedup("one", "two").value > 0


def test_a_cascade_is_measured_with_the_share_that_it_passes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = ngrams(tmp_path / "a"), transformer(tmp_path / "b")
    made = cascade(tmp_path / "c", first, second, halfway(first))
    monkeypatch.setattr("leanformer.measure.folders.peak_memory", lambda *_, **__: None)
    served: Any = {"c": (made, "cascade", "fp32"), "a": (first, "scikit-learn", "fp64")}
    found, _ = measure_folders(served, SOME, rounds=1, threads=1)
    assert set(found["c"]) == ALL - {"flops"} | {"deferral"}
    assert found["c"]["deferral"] == Quantity(0.5, "")
    assert "deferral" not in found["a"]
    known = {"c": {"deferral": Quantity(0.25, "")}}  # of all of dev, not of the texts timed here
    again, _ = measure_folders(served, SOME, known=known, rounds=1, threads=1)
    assert again["c"]["deferral"] == Quantity(0.25, "")
    length, most = _ruler(made)
    assert (length("dog fox"), most) == (_ruler(second)[0]("dog fox"), 32)
    assert _ruler(first)[0]("dog fox") == 2


def test_what_is_known_of_a_folder_is_not_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain_folder(tmp_path)
    asked: list[Path] = []

    def memory(folder: Path, *_: Any, **__: Any) -> Quantity:
        asked.append(folder)
        return Quantity(7.0, "bytes")

    monkeypatch.setattr("leanformer.measure.folders.peak_memory", memory)
    served: Any = dict.fromkeys(("one", "two"), (tmp_path, "pytorch", "fp32"))
    known = {"one": {"memory": Quantity(5.0, "bytes"), "size": Quantity(3.0, "bytes")}}
    found, _ = measure_folders(served, TEXTS, known=known, rounds=1, threads=1)
    assert asked == [tmp_path]
    assert (found["one"]["memory"], found["one"]["size"]) == tuple(known["one"].values())
    assert set(found["one"]) == ALL - {"flops"}
    assert found["two"]["memory"] == Quantity(7.0, "bytes")


def test_a_folder_is_answered_from_strings_in_its_own_batches_or_in_order(tmp_path: Path) -> None:
    plain_folder(tmp_path, pairs=True)
    system = folder_system(tmp_path, "pytorch", "fp32")
    planned: Any = system(1, None)
    ordered: Any = system(1, 16)
    assert ordered.system.plan([5, 3, 4] * 7) == batches_in_order([5, 3, 4] * 7, 16)
    assert planned.system.plan([5, 3, 4] * 7) == plan_batches([5, 3, 4] * 7, 32)
    assert planned.system.threads == 1
    assert len(planned.answer(TEXTS, TEXTS[::-1])) == len(TEXTS)
    assert planned.system.max_length == 32
    assert (
        planned.system.padding(TEXTS, TEXTS[::-1]).real
        > planned.system.padding(TEXTS, ["x"] * 6).real
    )


def test_refusals(tmp_path: Path, classifier: Path) -> None:
    served: Any = {"one": (tmp_path, "pytorch", "fp32")}
    with pytest.raises(FileNotFoundError, match=r"leanformer.json is missing: .* was not exported"):
        measure_folders(served, TEXTS)
    with pytest.raises(ValueError, match="texts: a load is made of the caller's texts"):
        measure_folders({"one": (classifier, "pytorch", "fp32")}, [])
