import json

import pytest

from leanformer.runtime.manifest import Manifest
from leanformer.serve import Settings, open_served
from leanformer.serve.served import Asked, is_index


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
        type(model.predictor), "encode", lambda self, texts: __import__("numpy").array([[1e400]])
    )
    with pytest.raises(ValueError, match="not finite"):
        model.answer(None, [("a", None)])


@pytest.mark.parametrize("answer", [{"score": float("nan")}, {"labels": [{"score": 1e400}]}])
def test_answers_that_json_cannot_hold_are_a_fault(opened, monkeypatch, answer):
    model = opened("classifier")
    monkeypatch.setattr(type(model.predictor.about), "plain", lambda self, one: answer)
    with pytest.raises(ValueError, match="an answer holds"):
        model.answer(None, [("a", None)])


def test_the_part_of_a_cascade_is_named(opened, monkeypatch):
    from leanformer.runtime.serving.answers import Sourced

    model = opened("classifier")
    plain = model.predictor.predict(["jump"])
    monkeypatch.setattr(model.predictor.system, "sources", ("cheap", "dear"), raising=False)
    found = model.answer(None, [("jump", None)])
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
