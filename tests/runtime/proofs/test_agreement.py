import numpy as np
import pytest

from leanformer.core.proof import NoEffect, require
from leanformer.runtime.proofs.agreement import agreeing_outputs, agreement, equal_outputs


def rows(*values):
    return [np.array(value, dtype=np.float32) for value in values]


def test_labels_agree_by_share():
    assert agreement("classification", rows([1, 2], [3, 1]), rows([0, 9], [1, 2])) == 0.5


def test_tokens_agree_word_by_word():
    first = rows([[1, 0], [1, 0], [0, 1]], [[1, 0]])
    second = rows([[1, 0], [0, 1], [0, 1]], [[1, 0]])
    assert agreement("tokens", first, second) == 0.75


def test_scores_agree_by_correlation():
    assert agreement("regression", rows([1], [2], [3]), rows([2], [4], [6])) == pytest.approx(1)
    assert agreement("regression", rows([1], [2], [3]), rows([3], [2], [1])) == pytest.approx(-1)
    assert agreement("regression", rows([1], [1]), rows([1], [1])) == 1


def test_embeddings_agree_by_cosine_and_the_lowest_is_told():
    first, second = rows([1, 0], [0, 1]), rows([1, 0], [1, 0])
    assert agreement("embedding", first, second) == 0.5
    proof = agreeing_outputs("embedding", first, second, least=0.4, backend="x")
    assert "lowest 0.0000; lengths 1.0000 of PyTorch's" in proof.note
    longer = agreeing_outputs("embedding", first, rows([2, 0], [0, 1]), least=0.4, backend="x")
    assert "lengths 1.5000" in longer.note
    with pytest.raises(NoEffect, match=r"agreement with PyTorch fp32: is 0.5"):
        require([agreeing_outputs("embedding", first, second, least=0.9, backend="x")])


def test_equality_names_the_worst_difference():
    assert equal_outputs(rows([1.0]), rows([1.0]), tolerance=1e-6, backend="x").ok
    with pytest.raises(NoEffect, match=r"largest difference to PyTorch: is 0.5"):
        require([equal_outputs(rows([1.0]), rows([1.5]), tolerance=0.1, backend="x")])


def test_as_many_outputs_are_needed():
    with pytest.raises(ValueError, match="outputs: 1 and 0; give as many"):
        agreement("embedding", rows([1]), [])
