import base64

import numpy as np
import pytest

from leanformer.serve.routes.embeddings import cut

TEXTS = ["the film was slow", "jump", "the acting was wonderful and the answer is light"]


def vectors(response):
    assert response.status_code == 200, response.text
    data = response.json()["data"]
    assert [one["index"] for one in data] == list(range(len(data)))
    return np.array([one["embedding"] for one in data], np.float32)


def test_vectors_are_those_of_the_predictor_in_both_formats(server):
    own = server("embedder")
    right = own.served.predictor.encode(TEXTS)
    response = own.post("/v1/embeddings", {"input": TEXTS})
    np.testing.assert_allclose(vectors(response), right, atol=1e-6)
    used = sum(own.served.predictor.lengths(TEXTS))
    assert response.json()["usage"] == {"prompt_tokens": used, "total_tokens": used}
    found = own.post("/v1/embeddings", {"input": TEXTS, "encoding_format": "base64"}).json()
    for one, vector in zip(found["data"], right, strict=True):
        raw = np.frombuffer(base64.b64decode(one["embedding"]), "<f4")
        np.testing.assert_allclose(raw, vector, atol=1e-6)
    one = vectors(own.post("/v1/embeddings", {"input": TEXTS[0], "user": "me"}))
    np.testing.assert_allclose(one, right[:1], atol=1e-6)


def test_shorter_vectors_are_prefixes_of_length_one(server, refused):
    own = server("embedder")
    right = own.served.predictor.encode(TEXTS)[:, :8]
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    found = vectors(own.post("/v1/embeddings", {"input": TEXTS, "dimensions": 8}))
    np.testing.assert_allclose(found, right, atol=1e-6)
    response = own.post("/v1/embeddings", {"input": TEXTS, "dimensions": 9})
    assert refused(response, 400) == "dimensions: 9 is not one of 8, 16, 32"


def test_a_model_without_shorter_vectors_refuses_them(server, opened, refused, monkeypatch):
    own = server("embedder")
    monkeypatch.setattr(own.served, "widths", (32,))
    response = own.post("/v1/embeddings", {"input": TEXTS, "dimensions": 8})
    assert "8 is not 32" in refused(response, 400)
    assert "Matryoshka" in refused(response, 400)
    assert own.post("/v1/embeddings", {"input": TEXTS, "dimensions": 32}).status_code == 200


def test_a_vector_that_is_not_of_length_one_is_cut_alone():
    np.testing.assert_array_equal(cut(np.array([3, 4, 12], np.float32), 2), [3, 4])
    unit = np.array([0.6, 0.0, 0.8], np.float32)
    np.testing.assert_allclose(cut(unit, 2), [1, 0])
    np.testing.assert_array_equal(cut(unit, 3), unit)
    np.testing.assert_array_equal(cut(np.array([0, 0, 1], np.float32), 2), [0, 0])


@pytest.mark.parametrize("given", [[1, 2, 3], [[1, 2], [3]]])
def test_token_ids_are_refused(server, refused, given):
    response = server("embedder").post("/v1/embeddings", {"input": given})
    assert "token ids, which belong to another tokenizer" in refused(response, 400)


@pytest.mark.parametrize("given", [None, {}, [], "", [""], [True], [["a"]], ["a", 1], "a\0"])
def test_what_is_not_texts_is_refused(server, refused, given):
    response = server("embedder").post("/v1/embeddings", {"input": given})
    assert refused(response, 400).startswith("input")


def test_another_format_is_refused(server, refused):
    body = {"input": "a", "encoding_format": "int8"}
    message = refused(server("embedder").post("/v1/embeddings", body), 400)
    assert message == "encoding_format: 'int8': input should be 'float' or 'base64'"
