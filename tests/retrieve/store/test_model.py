"""Any sequence of changes gives what a dictionary gives."""

import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanformer.retrieve.store import VectorStore

keys = st.lists(st.sampled_from("abcdefé\0"), unique=True, max_size=5)
steps = st.lists(
    st.tuples(
        st.sampled_from(["add", "add", "update", "keep", "upsert", "delete", "compact", "reopen"]),
        keys,
    ),
    max_size=12,
)


@settings(max_examples=25, deadline=None)
@given(steps, st.integers(1, 4), st.sampled_from(["float32", "float16"]))
def test_equal_to_a_dictionary(tmp_path_factory, steps, segment_rows, dtype):
    place = tmp_path_factory.mktemp("model")
    create = {"width": 3, "dtype": dtype, "normalized": False, "segment_rows": segment_rows}
    store, model = VectorStore.create(place / "s", **create), {}
    held = []
    for number, (verb, names) in enumerate(steps):
        store = change(store, model, verb, names, number)
        check(store.snapshot(), model)
        held.append((store.snapshot(), dict(model)))
    for snapshot, former in held:  # none of them has changed
        check(snapshot, former)
    store.verify()
    store.close()
    check(VectorStore.open(place / "s").snapshot(), model)
    shutil.rmtree(place)


def change(store, model, verb, names, number):
    """Do a step with the store and the model; returns the store to go on with."""
    values = np.array([[number, place, ord(name)] for place, name in enumerate(names)], float)
    records = [{"text": f"{name} {number}", "metadata": {"n": number}} for name in names]
    there = [name in model for name in names]
    if verb == "reopen":
        store.close()
        return VectorStore.open(store.folder, write=True)
    if verb == "compact":
        store.compact()
    elif verb == "delete":
        assert store.delete(names) == sum(there)
        for name in names:
            model.pop(name, None)
    elif verb == "upsert":
        gone = [name for name in model if name not in names][:1]
        store.upsert(names, values.reshape(-1, 3), records, delete=[*gone, "none"])
        for name in [*gone, *names]:
            model.pop(name, None)
        model |= dict(zip(names, zip(values, records, strict=True), strict=True))
    elif any(there) if verb == "add" else not all(there):
        with pytest.raises(ValueError, match=r"which (no )?row"):
            getattr(store, "add" if verb == "add" else "update")(names, values.reshape(-1, 3))
    else:
        if verb == "keep":
            records = [model[name][1] for name in names]
        given = None if verb == "keep" else records
        written = store.add if verb == "add" else store.update
        written(names, values.reshape(-1, 3), given)
        for name, value, record in zip(names, values, records, strict=True):
            model.pop(name, None)
            model[name] = value, record
    return store


def check(snapshot, model):
    rows = np.flatnonzero(snapshot.alive())
    assert len(snapshot) == len(rows) == len(model)
    assert snapshot.keys(rows) == list(model)
    assert snapshot.records(rows) == [record for _, record in model.values()]
    expected = np.array([value for value, _ in model.values()], np.float32).reshape(-1, 3)
    assert np.array_equal(snapshot.vectors(rows), expected)
    assert snapshot.rows_of([*model, "none"]).tolist() == [*rows, -1]
    numbers = {record["metadata"]["n"] for _, record in model.values()}
    for number in numbers:
        ours = [r for r, (_, one) in zip(rows, model.values(), strict=True)
                if one["metadata"]["n"] == number]  # fmt: skip
        assert np.flatnonzero(snapshot.matching({"n": number})).tolist() == ours
