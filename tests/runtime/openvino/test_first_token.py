"""The last layer for the first token alone: the same answers, from fewer products."""

import numpy as np
import pytest
import torch
from torch import nn

from leanformer.models.anatomy import anatomy_of, layers_of
from leanformer.models.tiny import tiny_model
from leanformer.runtime.graph import InferenceGraph, example_inputs
from leanformer.runtime.openvino.export import export_openvino
from leanformer.runtime.openvino.first_token import first_token_alone
from leanformer.runtime.openvino.session import OpenVinoSession, openvino_file

KNOWN = ["bert", "roberta", "xlm-roberta", "electra", "distilbert"]


def ffn_widths(graph: InferenceGraph) -> list[int]:
    """Tokens that the FFN of each layer computes."""
    anatomy, seen = anatomy_of(graph.model), []
    points = [anatomy.ffn_point(layer) for layer in layers_of(graph.model)]
    hooks = [p.register_forward_pre_hook(lambda _, x: seen.append(x[0].shape[1])) for p in points]
    with torch.no_grad():
        graph(**example_inputs(graph))
    for hook in hooks:
        hook.remove()
    return seen


@pytest.mark.parametrize("family", KNOWN)
def test_the_last_layer_computes_one_token_and_the_answers_are_the_same(family):
    model, _ = tiny_model(family)
    graph = InferenceGraph(model, "classification")
    example = example_inputs(graph)
    with torch.no_grad():
        whole = graph(**example)
        with first_token_alone(graph) as applied:
            short, widths = graph(**example), ffn_widths(graph)
    assert applied
    assert widths == [8] * (len(widths) - 1) + [1]
    torch.testing.assert_close(short, whole, atol=1e-6, rtol=1e-5)
    assert ffn_widths(graph) == [8] * len(widths), "the model is as it was"


@pytest.mark.parametrize(
    ("family", "head", "kind"),
    [
        ("bert", "tokens", "tokens"),
        ("bert", "embedding", "embedding"),
        ("mpnet", "classification", "classification"),
        ("modernbert", "classification", "classification"),
    ],
)
def test_a_task_or_a_model_that_needs_every_token_stays_whole(family, head, kind):
    model, _ = tiny_model(family, head=head)
    with first_token_alone(InferenceGraph(model, kind)) as applied:
        assert not applied
        assert "forward" not in layers_of(model)[-1].__dict__


class _MeanHead(nn.Module):
    """Reads the mean of all tokens."""

    def forward(self, hidden_BTD):
        return hidden_BTD.mean(1)


class _SecondToken(nn.Module):
    """Reads a token that is left out."""

    def forward(self, hidden_BTD):
        return hidden_BTD[:, 1]


@pytest.mark.parametrize("head", [_MeanHead, _SecondToken])
def test_a_head_that_pools_another_way_is_found_out(head):
    model, _ = tiny_model("bert")
    model.bert.pooler = head()
    graph = InferenceGraph(model, "classification")
    with first_token_alone(graph) as applied:
        assert not applied
        assert ffn_widths(graph) == [8] * len(layers_of(model))


def test_the_model_is_put_back_after_an_error():
    model, _ = tiny_model("bert")
    with (
        pytest.raises(KeyboardInterrupt),
        first_token_alone(InferenceGraph(model, "classification")),
    ):
        raise KeyboardInterrupt
    assert "forward" not in layers_of(model)[-1].__dict__


@pytest.mark.parametrize(("family", "pairs"), [("bert", True), ("distilbert", False)])
def test_the_exported_graph_answers_like_the_whole_model_beside_longer_mates(
    family, pairs, tmp_path
):
    model, _ = tiny_model(family)
    export_openvino(model, "classification", tmp_path, pairs=pairs)
    session = OpenVinoSession(tmp_path / openvino_file("fp32"), "fp32", threads=1)
    ids = np.random.default_rng(0).integers(3, model.config.vocab_size, (4, 13))
    mask = np.ones_like(ids)
    mask[0, 3:], mask[2, 1:] = 0, 0
    types = np.zeros_like(ids)
    types[:, 5:] = 1
    arrays = (ids, mask, types) if pairs else (ids, mask, None)
    graph = InferenceGraph(model, "classification", pairs=pairs)
    with torch.no_grad():
        expected = graph(*[torch.from_numpy(a) for a in arrays if a is not None]).numpy()
    np.testing.assert_allclose(session.answer(arrays), expected, atol=1e-5)
