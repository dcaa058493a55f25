import json

import numpy as np
import pytest

from leanformer.runtime.manifest import Manifest
from leanformer.serve import Settings, open_served
from leanformer.serve.served import Asked, is_index


def rounded(answer):
    """The same with numbers that the other texts of a batch do not change."""
    if isinstance(answer, dict):
        return {name: rounded(value) for name, value in answer.items()}
    if isinstance(answer, list):
        return [rounded(value) for value in answer]
    return pytest.approx(answer, abs=1e-5) if isinstance(answer, float) else answer


def test_a_folder_that_is_neither_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has neither leanformer\.json nor search\.json"):
        open_served(tmp_path, Settings())
    (tmp_path / "search.json").write_text("{}")
    assert is_index(tmp_path)


def test_settings_that_do_not_fit_are_refused(folders):
    with pytest.raises(ValueError, match="makes no embeddings"):
        open_served(folders["classifier"], Settings(dimensions=(8,)))
    with pytest.raises(ValueError, match="dimensions: 4096 is not between 1 and 32"):
        open_served(folders["embedder"], Settings(dimensions=(4096,)))
    with pytest.raises(ValueError, match="is not a search index; leave the reranker out"):
        open_served(folders["classifier"], Settings(reranker="x"))
    with pytest.raises(ValueError, match="seconds: 0 is not above 0"):
        Settings(seconds=0)


def test_a_model_is_described_and_named(folders, opened):
    assert opened("classifier").name == "classifier"
    assert open_served(folders["regressor"], Settings(name="sts")).name == "sts"
    assert opened("classifier").about["task"] == "classification"
    assert opened("embedder").widths == (8, 16, 32)


def test_vectors_that_are_not_finite_are_not_served(opened, monkeypatch):
    model = opened("embedder")
    monkeypatch.setattr(
        type(model.predictor.system), "_run", lambda self, read: [np.array([1e400])]
    )
    with pytest.raises(ValueError, match="not finite"):
        model.answer(None, model.prepare(["a"]))


@pytest.mark.parametrize("name", ["classifier", "regressor", "tagger", "embedder"])
def test_a_text_is_tokenized_once_and_answered_as_the_predictor_does(opened, monkeypatch, name):
    model, texts = opened(name), ["where is the film", "jump", "film " * 99]
    pairs = ["the bowl", "un answer", "jump"] if model.pairs else None
    predictor, system, calls = model.predictor, type(model.predictor.system), []
    lengths, embeds = predictor.lengths(texts, pairs), name == "embedder"
    right = list(predictor.encode(texts)) if embeds else predictor.predict(texts, pairs)
    read = system._read
    monkeypatch.setattr(system, "_read", lambda *args: calls.append(args) or read(*args))
    first = model.prepare(texts[:1], pairs and pairs[:1])
    given = [*model.prepare(texts[1:], pairs and pairs[1:]), *first]  # of two requests
    found = model.answer(None, given)
    assert len(calls) == 2
    assert [one.tokens for one in given] == [*lengths[1:], *lengths[:1]]
    for ours, theirs in zip(found, [*right[1:], *right[:1]], strict=True):
        if embeds:
            np.testing.assert_allclose(ours, theirs, atol=1e-6)
        else:
            assert ours == rounded(predictor.about.plain(theirs))


@pytest.mark.parametrize("answer", [{"score": float("nan")}, {"labels": [{"score": 1e400}]}])
def test_answers_that_json_cannot_hold_are_a_fault(opened, monkeypatch, answer):
    model = opened("classifier")
    monkeypatch.setattr(type(model.predictor.about), "plain", lambda self, one: answer)
    with pytest.raises(ValueError, match="an answer holds"):
        model.answer(None, model.prepare(["a"]))


def test_the_part_of_a_cascade_is_named(opened, monkeypatch):
    from leanformer.runtime.serving.answers import Sourced

    model = opened("classifier")
    plain = model.predictor.predict(["jump"])
    monkeypatch.setattr(model.predictor.system, "sources", ("cheap", "dear"), raising=False)
    found = model.answer(None, model.prepare(["jump"]))
    assert found == [{"label": plain[0].label, "score": plain[0].score, "source": "transformer"}]
    assert Sourced(plain[0], "transformer").answer.label == found[0]["label"]


def test_an_index_answers_queries_and_says_what_it_cannot(opened):
    from leanformer.serve.errors import Refused

    index = opened("index")
    hits = index.answer(Asked(1, "bm25", False, "null"), ["the lazy dog", "my card"])
    assert [one[0].key for one in hits] == ["0", "2"]
    assert index.lengths(["", "12345678"]) == [1, 3]
    with pytest.raises(Refused, match="no passage has the field 'year'") as refused:
        index.answer(Asked(1, "bm25", False, json.dumps({"year": 3})), ["a"])
    assert refused.value.status == 400
    assert Manifest(kind="ranking").kind == "ranking"
