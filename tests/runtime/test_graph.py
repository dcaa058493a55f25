import pytest
import torch

from leanformer.models.tiny import tiny_model
from leanformer.runtime.graph import InferenceGraph, example_inputs, exported


@pytest.mark.parametrize(
    ("kind", "head", "shape"),
    [("classification", "classification", (2, 3)), ("tokens", "tokens", (2, 8, 3))],
)
def test_the_graph_ends_where_the_task_ends(kind, head, shape):
    graph = InferenceGraph(tiny_model("bert", head=head)[0], kind)
    assert graph(**example_inputs(graph)).shape == shape


def test_embeddings_have_unit_length_and_ignore_what_stands_in_the_padding():
    graph = InferenceGraph(tiny_model("bert", head="embedding")[0], "embedding")
    inputs = example_inputs(graph)
    before = graph(**inputs)
    inputs["input_ids"][1, 5:] = 7
    torch.testing.assert_close(graph(**inputs), before)
    torch.testing.assert_close(before.norm(dim=1), torch.ones(2))


def test_token_types_are_an_input_only_of_pairs_and_only_where_the_model_has_them():
    bert, roberta = tiny_model("bert")[0], tiny_model("roberta")[0]
    assert "token_type_ids" in InferenceGraph(bert, "classification", pairs=True).inputs
    assert "token_type_ids" not in InferenceGraph(bert, "classification").inputs
    assert "token_type_ids" not in InferenceGraph(roberta, "classification", pairs=True).inputs


def test_the_wrapper_itself_is_in_evaluation_mode_or_exporters_would_switch_dropout_on():
    model = tiny_model("bert")[0].train()
    graph = InferenceGraph(model, "classification")
    assert not any(module.training for module in graph.modules())


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="kind: 'topics' is not one of causal-lm, classification"):
        InferenceGraph(tiny_model("bert")[0], "topics")


def test_a_decoder_answers_log_likelihoods_and_has_no_graph_to_export():
    model, tokenizer = tiny_model("llama", head="causal")
    graph = InferenceGraph(model, "causal-lm")
    ids = torch.tensor([tokenizer("the quick brown fox")["input_ids"]])
    (row,) = graph(ids, torch.ones_like(ids))
    loss = model(input_ids=ids, labels=ids).loss
    torch.testing.assert_close(-row[:-1].mean(), loss)
    assert row[-1] == torch.inf
    with pytest.raises(ValueError, match="kind 'causal-lm' has no graph that could be exported"):
        exported(graph)
