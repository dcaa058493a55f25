from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from train.toy import toy

from leanformer.data import Encoded, Examples, Task, Words, encode_examples
from leanformer.models.tiny import tiny_model
from leanformer.models.tiny_tokenizers import TEXTS
from leanformer.train.evaluate import head_output, make_evaluator, outputs, quality, statistics


@pytest.mark.parametrize("kind", ["classification", "regression", "tokens", "embedding"])
def test_outputs_are_those_of_each_example_alone(kind: Any) -> None:
    if kind == "embedding":
        model, tokenizer = tiny_model("bert", head="embedding")
        encoded = encode_examples(Examples(texts=list(TEXTS)), tokenizer, kind, 32)
    else:
        model, encoded = toy(kind)
    found = outputs(model, encoded, kind, precision="fp32", batch_size=3)
    assert len(found) == len(encoded)
    for index, ours in enumerate(found):
        with torch.no_grad():
            alone = head_output(model, encoded.batch([index]).inputs, kind)[0]
        np.testing.assert_allclose(ours, alone.numpy(), atol=1e-5)
        if kind == "embedding":
            assert np.linalg.norm(ours) == pytest.approx(1, abs=1e-5)


def rows(*values: Any) -> list[Any]:
    return [np.array(value, dtype=np.float32) for value in values]


def labelled(kind: Any, labels: list[Any]) -> Encoded:
    return Encoded([{"input_ids": [1]}] * len(labels), labels, 0, 0, kind)


def test_quality_of_hand_cases() -> None:
    task = Task(kind="classification", labels=("a", "b"))
    found = rows([2, 1], [0, 1], [3, 9], [1, 0])
    assert quality(found, labelled("classification", [0, 1, 0, 0]), task) == 0.75
    scores = rows([0.1], [0.9], [0.4])
    assert quality(scores, labelled("regression", [1.0, 3.0, 2.0]), Task(kind="regression")) == 1.0
    tags = Task(kind="tokens", labels=("B-X", "O"))
    words = rows([[9, 0], [9, 0], [0, 9], [9, 0]], [[9, 0], [0, 9], [9, 0], [9, 0]])
    gold = [Words((1, 2), (0, 1)), Words((1, 2), (1, 1))]
    assert quality(words, replace(labelled("tokens", [[], []]), words=gold), tags) == 2 / 3
    cut = [Words((1, 2, None), (0, 1, 0)), Words((1, None, 2), (1, 0, 1))]
    assert quality(words, replace(labelled("tokens", [[], []]), words=cut), tags) == 2 / 5
    vectors = rows([1, 0], [0, 1])
    targets = np.array([[1, 0], [0, -1]], dtype=np.float32)
    bare = Encoded([{"input_ids": [1]}] * 2, None, 0, 0, "embedding")
    assert quality(vectors, bare, Task(kind="embedding"), targets) == pytest.approx(0)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [("accuracy", 0.75), ("macro-f1", (0.8 + 2 / 3) / 2), ("f1:b", 2 / 3), ("mcc", 3**-0.5)],
)
def test_quality_is_by_the_metric_of_the_task(metric: str, expected: float) -> None:
    task = Task(kind="classification", labels=("a", "b"), metric=metric)
    found, encoded = rows([2, 1], [0, 1], [3, 9], [1, 0]), labelled("classification", [0, 1, 0, 0])
    assert quality(found, encoded, task) == pytest.approx(expected)
    totals = statistics(found, encoded, task).sum(0)
    assert task.scorer().value(totals) == pytest.approx(expected)


def test_pearson_sees_more_than_ranks() -> None:
    found, encoded = rows([0.0], [1.0], [9.0]), labelled("regression", [0.0, 1.0, 2.0])
    assert quality(found, encoded, Task(kind="regression")) == 1
    task = Task(kind="regression", metric="pearson")
    assert quality(found, encoded, task) == pytest.approx(np.corrcoef([0, 1, 9], [0, 1, 2])[0, 1])


def test_a_judge_evaluates_without_dropout_or_gradient() -> None:
    model, encoded = toy()
    evaluate = make_evaluator(encoded, Task(kind="classification", labels=("a", "b")))
    model.train()
    first = evaluate(model)
    assert first == evaluate(model)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_texts_of_a_batch_are_few_where_the_vocabulary_is_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, tokenizer = tiny_model("llama", head="causal")
    encoded = encode_examples(Examples(texts=list(TEXTS)), tokenizer, "causal-lm", 32)
    whole = outputs(model, encoded, "causal-lm", precision="fp32")
    sizes: list[int] = []
    model.register_forward_pre_hook(
        lambda _, __, inputs: sizes.append(len(inputs["input_ids"])), with_kwargs=True
    )
    longest = max(map(encoded.length, range(len(encoded))))
    monkeypatch.setattr("leanformer.train.evaluate._LOGITS", 2 * longest * len(tokenizer))
    parts = outputs(model, encoded, "causal-lm", precision="fp32")
    assert max(sizes) == 2
    for ours, theirs in zip(parts, whole, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4)
