import json
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from index_cases import clustered

from leanformer.core.storage.parts import LIST, list_parts
from leanformer.retrieve.indexes import (
    Binary,
    Exact,
    Hnsw,
    Index,
    Int8Codes,
    Ivf,
    IvfPq,
    IvfRabitq,
    Scalar,
    StoredIndex,
    build_index,
    faiss_index,
    vector_rows,
)
from leanformer.retrieve.indexes.advice import Truth, Tuned, true_answers, tune
from leanformer.retrieve.indexes.building import NAME, load_derived
from leanformer.retrieve.indexes.vector_rows import StoredRows
from leanformer.retrieve.store import VectorStore

pytest.importorskip("faiss")
ROWS = 2500


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "store"
    with VectorStore.create(folder, width=36, encoder="minilm") as store:
        store.add([f"key {row}" for row in range(ROWS)], clustered(ROWS))
        store.delete(["key 7"])
    build_index(folder, Hnsw(links=8, ef_construction=30), threads=1)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "store"))


def test_what_is_written_says_of_what_it_is_and_how_good(folder: Path) -> None:
    about = json.loads((folder / NAME / "index.json").read_text())
    assert about["index"]["use"] == "hnsw"
    assert (about["rows"], about["width"]) == (ROWS - 1, 36)
    assert about["built_of"] | {"vectors": "", "store": ""} == {
        "store": "", "generation": 0, "version": 2, "encoder": "minilm", "vectors": "",
    }  # fmt: skip
    assert about["recall"]["value"] > 0.95
    assert (about["recall"]["k"], about["recall"]["queries"]) == (10, 200)
    assert about["asked"]["index"]["use"] == "hnsw"
    derived, snapshot = load_derived(VectorStore.open(folder), folder / NAME, 1)
    assert 7 not in derived.rows_N
    assert snapshot.version == 2


def test_the_adviser_chooses_and_says_what_it_tried(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from leanformer.retrieve.indexes import building
    from leanformer.retrieve.indexes.advice import advise

    def quick(*args: object, **settings: object) -> object:
        given = {"candidates": (Exact(), Ivf(lists=30)), "rounds": 1, "fast_enough_s": 0.0}
        return advise(*args, **settings, **given)  # type: ignore[arg-type]

    monkeypatch.setattr(building, "advise", quick)
    about = build_index(
        folder, prefer="memory", target_recall=0.9, threads=1, queries_QD=clustered(30, seed=1)
    )
    assert about["index"]["use"] == "ivf"
    assert [one["index"]["use"] for one in about["candidates"]] == ["exact", "ivf"]
    assert about["recall"]["value"] >= 0.9
    assert (about["recall"]["of"], about["recall"]["queries"]) == (
        "given queries, which its effort was tuned on",
        30,
    )


def test_recall_is_not_measured_on_the_rows_that_the_effort_was_tuned_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from types import SimpleNamespace

    from leanformer.retrieve.indexes import building

    tuned_on = []

    def note(built: object, truth: Truth, target_recall: float) -> Tuned:
        tuned_on.append(truth.own_Q)
        return tune(built, truth, target_recall)  # type: ignore[arg-type]

    chosen = SimpleNamespace(index=Ivf(lists=30), target_recall=0.8, candidates=())
    monkeypatch.setattr(building, "advise", lambda *args, **settings: chosen)
    monkeypatch.setattr(building, "tune", note)
    about = build_index(folder, threads=1)
    stored = StoredRows(VectorStore.open(folder).snapshot())
    rows, vectors = stored.rows_N, np.concatenate(list(stored.blocks()))
    derived, _ = load_derived(VectorStore.open(folder), folder / NAME, 1)
    assert derived.index is not None
    own = np.random.default_rng(0).permutation(len(rows))[:200]
    assert not set(own.tolist()) & set(tuned_on[0].tolist())
    measured = true_answers(vectors, vectors[own], 10, own_Q=own).recall(derived.index)
    assert about["recall"]["value"] == measured
    assert about["recall"]["queries"] == 200


INDEXES = [
    Ivf(lists=20), IvfPq(lists=20), IvfRabitq(lists=20), Hnsw(links=4, ef_construction=8),
    Scalar(), Int8Codes(), Binary(),
]  # fmt: skip


@pytest.mark.parametrize("index", INDEXES, ids=lambda index: type(index).__name__)
def test_an_index_of_a_store_is_that_of_its_vectors_in_memory(
    index: Index, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_rows, "BLOCK_ROWS", 700)
    monkeypatch.setattr(faiss_index, "_TRAINED", 900)
    about = build_index(folder, index, threads=1)
    rows = np.delete(clustered(ROWS), 7, axis=0)
    held = index.build(rows, threads=1)
    held.save(tmp_path / "held")
    for name in ("index.faiss", "space.safetensors"):
        assert (folder / NAME / name).read_bytes() == (tmp_path / "held" / name).read_bytes()
    own = np.random.default_rng(0).permutation(len(rows))[:200]
    measured = true_answers(rows, rows[own], 10, own_Q=own).recall(held)
    assert about["recall"]["value"] == pytest.approx(measured, abs=1e-3)


def test_vectors_of_a_store_stay_on_the_disk_while_an_index_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from leanformer.retrieve.indexes import building

    rows, width = 20_000, 64
    with VectorStore.create(tmp_path / "s", width=width) as store:
        store.add([str(row) for row in range(rows)], clustered(rows, width))
    monkeypatch.setattr(vector_rows, "BLOCK_ROWS", 512)
    monkeypatch.setattr(faiss_index, "_TRAINED", 1000)
    monkeypatch.setattr(building, "_QUERIES", 20)
    build_index(tmp_path / "s", Ivf(lists=16), threads=1)  # what is imported
    tracemalloc.start()
    try:
        build_index(tmp_path / "s", Ivf(lists=16), threads=1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < rows * width * 4 / 3


def test_an_exact_search_and_an_empty_store_need_no_files(folder: Path, tmp_path: Path) -> None:
    assert build_index(folder, Exact())["recall"]["value"] == 1.0
    assert sorted(file.name for file in (folder / NAME).iterdir()) == ["index.json", "parts.json"]
    VectorStore.create(tmp_path / "empty", width=4).close()
    assert build_index(tmp_path / "empty")["rows"] == 0
    scores, rows, _ = StoredIndex.open(tmp_path / "empty").search(np.ones((1, 4)), 3)
    assert rows.tolist() == [[-1, -1, -1]]
    assert np.isneginf(scores).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"built_of": None}, "does not say of what it was built"),
        ({"built_of": {"store": "5e"}}, "of store '5e', and the store is of '[0-9a-f]{16}'"),
        ({"built_of": {"generation": 1}}, "of generation 1, and the store is of 0"),
        ({"built_of": {"encoder": "other"}}, "of encoder 'other', and the store is of 'minilm'"),
        ({"built_of": {"version": 3}}, "of version 3, width 36, and the store is of version 2"),
        ({"built_of": {"vectors": "00"}}, "of the vectors of another store"),
        ({"rows": 9}, r"rows is not I64 of shape \(9,\)"),
        ({"width": 35}, "of version 2, width 35"),
    ],
)
def test_an_index_of_anything_else_is_not_applied(folder: Path, change: dict, message: str) -> None:
    file = folder / NAME / "index.json"
    about = json.loads(file.read_text())
    for key, value in change.items():
        about[key] = {**about[key], **value} if isinstance(value, dict) else value
    file.write_text(json.dumps(about))
    (folder / NAME / LIST).unlink()
    list_parts(folder / NAME)
    with pytest.raises(ValueError, match=message):
        load_derived(VectorStore.open(folder), folder / NAME, 1)


def test_rows_out_of_order_are_refused(folder: Path) -> None:
    from leanformer.retrieve.indexes.saving import write_arrays

    write_arrays(folder / NAME / "rows.safetensors", {"rows": np.zeros(ROWS - 1, np.int64)})
    (folder / NAME / LIST).unlink()
    list_parts(folder / NAME)
    with pytest.raises(ValueError, match="the rows are not ascending"):
        load_derived(VectorStore.open(folder), folder / NAME, 1)


def test_settings_are_checked_before_anything_is_built(folder: Path) -> None:
    with pytest.raises(ValueError, match="k: 0 is not at least 1"):
        build_index(folder, k=0)
    with pytest.raises(FileNotFoundError):
        build_index(folder / "nowhere")
