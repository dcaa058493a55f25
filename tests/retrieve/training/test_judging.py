import numpy as np
import pytest
import torch
from retrieve.training.pairs import encoder, related
from torch.nn import functional as F

from leanformer.data.relations import Relations
from leanformer.numerics.metrics import spearman
from leanformer.retrieve.objectives import (
    CosineScore,
    InBatchNegatives,
    Matryoshka,
    PairClassification,
)
from leanformer.retrieve.training.judging import cosines, find_positives, judge_of, text_matrix
from leanformer.retrieve.training.loss import VectorLoss
from leanformer.retrieve.training.tuples import Tuples, encode_tuples


def tuples(relations: Relations, targets: object = None) -> Tuples:
    return encode_tuples(relations, targets, encoder()[1], 32)  # type: ignore[arg-type]


def test_ranks_are_counted_one_by_one() -> None:
    model, _ = encoder()
    found = tuples(
        Relations(
            anchors=("the fox", "the fox", "my card", "rice", "music"),
            positives=("fox back", "fox over", "card twice", "the fox", "music"),
            negatives=(("lazy dog",), (), ("people", "table"), (), ()),
        )
    )
    unit = F.normalize(text_matrix(model, found, "fp32"), dim=-1).numpy()
    candidates = {text for own in found.places for text in own[1:]}
    ranks = []
    for anchor, belongs in found.belongs.items():
        right = belongs - {anchor}
        if not right:
            continue
        scores = {text: float(unit[anchor] @ unit[text]) for text in candidates - {anchor}}
        best = max(scores[text] for text in right)
        ranks.append(1 + sum(scores[text] > best for text in scores.keys() - right))
    judged = find_positives(model, found, "fp32")
    assert judged.anchors == len(ranks) == 3  # of "music", the positive is its own text
    assert judged.mrr == pytest.approx(np.mean([1 / rank for rank in ranks]))
    assert judged.recall[1] == pytest.approx(np.mean([rank == 1 for rank in ranks]))
    assert judged.recall[10] == 1


def test_vectors_that_are_all_equal_find_by_chance() -> None:
    model, _ = encoder()
    for parameter in model.parameters():
        parameter.data.zero_()
    found = tuples(related())
    judged = find_positives(model, found, "fp32")
    others = len({own[1] for own in found.places}) - 1
    assert judged.mrr <= 1 / (1 + others / 4)


def test_scores_are_judged_by_their_order_and_classes_by_the_classifier() -> None:
    model, _ = encoder()
    targets = [row / 24 for row in range(24)]
    scored = tuples(related(), targets)
    loss = VectorLoss(CosineScore(), model, max_tokens=1000)
    judge = judge_of(CosineScore(), scored, loss, "fp32")
    assert judge.name == "spearman"
    expected = spearman(cosines(model, scored, "fp32").tolist(), targets)
    assert judge.evaluate(model) == pytest.approx(expected)
    objective = Matryoshka(objective=PairClassification(), widths=(8,))
    classed = tuples(related(), [row % 3 for row in range(24)])
    loss = VectorLoss(objective, model, classes=3, max_tokens=1000)
    judge = judge_of(objective, classed, loss, "fp32")
    assert judge.name == "accuracy"
    assert judge.evaluate(model) < 1
    pooled = text_matrix(model, classed, "fp32")
    u, v = (pooled[[own[side] for own in classed.places]] for side in (0, 1))
    logits = torch.cat([u, v, (u - v).abs()], 1) @ loss.classifier.linear.weight.T
    right = (logits.argmax(1) == torch.tensor(classed.targets)).float().mean()
    assert judge.evaluate(model) == pytest.approx(float(right))
    assert judge_of(InBatchNegatives(), scored, loss, "fp32").name == "mrr@10"
