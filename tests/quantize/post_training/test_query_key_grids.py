import pytest
import torch

from leanformer.models.tiny import tiny_model
from leanformer.quantize.post_training.query_key_grids import query_key_grids

QUERY = "bert.encoder.layer.1.attention.self.query"
KEY = "bert.encoder.layer.1.attention.self.key"


def batches(tokenizer):
    texts = ["the film was slow", "jump", "how many calories are there in a bowl of rice?"]
    return [dict(tokenizer(texts, padding=True, return_tensors="pt"))]


def test_grids_reach_to_the_largest_output_on_real_tokens():
    model, tokenizer = tiny_model("bert")
    data = batches(tokenizer)
    names = [n for n, _ in model.named_modules() if n.endswith((".query", ".key", ".value"))]
    said = {}
    for name in names:
        model.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output, name=name: said.update({name: output.abs()})
        )
    grids = query_key_grids(model, data, names)
    assert set(grids) == {name for name in names if not name.endswith(".value")}
    with torch.no_grad():
        model(**data[0])
    real = data[0]["attention_mask"].bool()
    for name, grid in grids.items():
        torch.testing.assert_close(grid.scale, said[name][real].max() / 127)
        assert (grid.low, grid.high) == (-127, 127)
    assert any(said[name].max() > said[name][real].max() for name in grids)  # padding is louder


def test_more_texts_never_narrow_a_grid():
    model, tokenizer = tiny_model("bert")
    data = batches(tokenizer)
    few = [{name: tensor[1:2] for name, tensor in data[0].items()}]
    narrow, wide = (query_key_grids(model, found, [QUERY, KEY]) for found in (few, few + data))
    assert all(narrow[name].scale < wide[name].scale for name in (QUERY, KEY))


@pytest.mark.parametrize("family", ["modernbert", "gpt2"])
def test_rotated_and_fused_queries_have_none(family):
    model, tokenizer = tiny_model(family)
    names = [name for name, _ in model.named_modules()]
    assert query_key_grids(model, batches(tokenizer), names) == {}
