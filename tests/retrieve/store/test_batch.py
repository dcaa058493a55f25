import numpy as np
import pytest

from leanformer.retrieve.store.batch import check_keys, check_records, check_vectors
from leanformer.retrieve.store.manifest import Manifest

NAN = [[1, 0, 0], [0, np.nan, 0]]


def manifest(dtype="float32", normalized=False):
    return Manifest("s", 3, dtype, "", normalized, 4)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("ab", "keys is one text, 'ab'; give a list"),
        (["a", ""], r"keys\[1\] is ''; a key is a text that is not empty"),
        (["a", 3], r"keys\[1\] is 3"),
        (["a", "b", "a"], r"keys\[2\] is 'a', as keys\[0\] is"),
        (["\ud800"], r"keys\[0\]: .* has half a character"),
    ],
)
def test_keys_are_refused(keys, said):
    with pytest.raises(ValueError, match=said):
        check_keys(keys)


@pytest.mark.parametrize(
    ("vectors", "settings", "said"),
    [
        (NAN, {}, r"vectors\[1\]\[1\] is nan; leave the row out"),
        ([[1, 0, 0], [0, 0, -np.inf]], {}, r"vectors\[1\]\[2\] is -inf"),
        ([[1, 0, 0], [0, 7e4, 0]], {"dtype": "float16"}, r"vectors\[1\] has an element of 70000"),
        ([[1, 0, 0], [0, 1e39, 0]], {}, r"an element of 1e\+39, which float32 cannot hold"),
        ([[1, 0], [0, 1]], {}, r"have shape \[2, 2\]; 2 keys in a store of width 3 take \[2, 3\]"),
        ([1, 0, 0], {}, r"have shape \[3\]"),
        ([["a", "b", "c"]] * 2, {}, "the vectors are of <U1; give floating-point numbers"),
        ([[1, 0, 0], [0, 0.99, 0]], {"normalized": True}, r"vectors\[1\] has length 0.99, and"),
        (np.zeros((2, 3)), {"normalized": True}, r"vectors\[0\] has length 0, .*normalized=False"),
    ],
)
def test_vectors_are_refused(vectors, settings, said):
    with pytest.raises(ValueError, match=said):
        check_vectors(vectors, 2, manifest(**settings))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32"])
def test_vectors_of_any_number_become_those_of_the_disk(dtype):
    given = np.array([[1, 2, 3], [4, 5, 6]], dtype)[:, ::-1]
    found = check_vectors(given, 2, manifest("float16"))
    assert (found.dtype, found.tolist()) == (np.float16, [[3, 2, 1], [6, 5, 4]])


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([{}], "there are 1 records for 2 keys; give one per key"),
        ([{}, {"txt": "a"}], r"records\[1\] is {'txt': 'a'}; a record is"),
        ([{}, "text"], r"records\[1\] is 'text'; a record is"),
        ([{}, {"text": None}], r"records\[1\]: its text is None; give a text"),
        ([{}, {"text": "\udc00"}], r"records\[1\]: .* half a character"),
        ([{}, {"metadata": [1]}], r"records\[1\]: its metadata is \[1\]; give a dictionary"),
        ([{}, {"metadata": {"a": np.nan}}], r"records\[1\]: metadata\['a'\] is nan; metadata has"),
        ([{}, {"metadata": {"a": [1, [2]]}}], r"metadata\['a'\] is \[1, \[2\]\]"),
        ([{}, {"metadata": {"a": {"b": 1}}}], r"metadata\['a'\] is {'b': 1}"),
        ([{}, {"metadata": {3: 1}}], r"metadata\[3\] is 1; metadata has names of text"),
    ],
)
def test_records_are_refused(records, said):
    with pytest.raises(ValueError, match=said):
        check_records(records, 2)
