import pytest

from leanformer.serve import Settings
from leanformer.serve.bodies import EmbeddingsBody, PredictBody, SearchBody
from leanformer.serve.description import form_of

LIMITS = Settings(max_texts=7, max_characters=11)


def test_limits_stand_in_the_description(opened):
    texts = form_of(PredictBody, opened("classifier"), LIMITS)["properties"]["texts"]
    assert (texts["minItems"], texts["maxItems"]) == (1, 7)
    assert texts["items"]["maxLength"] == 11
    query = form_of(SearchBody, opened("index"), LIMITS)["properties"]["query"]
    assert query["anyOf"][0]["maxLength"] == query["anyOf"][1]["items"]["maxLength"] == 11


@pytest.mark.parametrize(("name", "pairs"), [("classifier", False), ("regressor", True)])
def test_pairs_are_described_where_they_are_read(opened, name, pairs):
    form = form_of(PredictBody, opened(name), LIMITS)
    assert ("pairs" in form["properties"]) == pairs
    assert ("pairs" in form["required"]) == pairs


def test_the_model_and_its_widths_are_named(opened):
    fields = form_of(EmbeddingsBody, opened("embedder"), LIMITS)["properties"]
    assert fields["model"]["anyOf"] == [{"const": "embedder"}, {"type": "null"}]
    assert fields["dimensions"]["anyOf"] == [{"enum": [8, 16, 32]}, {"type": "null"}]
