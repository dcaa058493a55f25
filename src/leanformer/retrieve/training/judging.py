"""What a bi-encoder is judged by on dev, as the data allow.

    scores      Spearman's correlation of the cosines with the scores
    classes     accuracy of the classifier that is trained along
    pairs       MRR@10 of the positive among all candidates of dev, by cosine; recall@1 and @10 too

Candidates are the different positives and negatives of dev. All texts that are known to belong to
an anchor are right for it, and its own text is not a candidate. An anchor counts once, however many
positives it has.

Legend: U text, D width, A anchor, M candidate.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from leanformer.core.machine.device import device_of
from leanformer.data import by_length
from leanformer.numerics.metrics import accuracy, spearman
from leanformer.retrieve.objectives import Columns, VectorObjective
from leanformer.retrieve.training.cached import pooled_vectors
from leanformer.retrieve.training.loss import VectorLoss
from leanformer.retrieve.training.tuples import Tuples
from leanformer.train.precision import Precision

_ROWS = 64  # texts that are encoded at once
_ANCHORS = 256  # anchors whose candidates are ranked at once


@dataclass(frozen=True)
class Judge:
    """How a bi-encoder is judged.

    Attributes:
        name: Name of the quality.
        evaluate: Model → quality, higher is better.
    """

    name: str
    evaluate: Callable[[nn.Module], float]


@dataclass(frozen=True)
class Found:
    """How well the texts that belong to anchors are found.

    Attributes:
        mrr: Mean of 1 / rank of the first of them, 0 where it is beyond rank 10.
        recall: Share of the anchors with one of them in the first 1 and in the first 10.
        anchors: How many anchors were asked for.
    """

    mrr: float
    recall: dict[int, float]
    anchors: int


def judge_of(objective: VectorObjective, dev: Tuples, loss: VectorLoss, precision: str) -> Judge:
    """What models that are trained by `objective` are judged by on `dev`."""
    kind = objective.described.targets
    if kind == "scores":
        return Judge(
            "spearman",
            lambda model: spearman(cosines(model, dev, precision).tolist(), dev.targets or []),
        )
    if kind == "classes":
        return Judge("accuracy", lambda model: _accuracy(model, dev, loss, precision))
    return Judge("mrr@10", lambda model: find_positives(model, dev, precision).mrr)


def text_matrix(model: Any, tuples: Tuples, precision: str = "bf16") -> Tensor:
    """The vector of each text of `tuples`, not normalized, [U, D] in fp32 on the CPU."""
    model.eval()
    texts, device = tuples.texts, device_of(model)
    cast = Precision(precision, device.type)
    found = torch.zeros(len(texts), int(model.config.hidden_size))
    with torch.no_grad():
        for rows in by_length(texts, _ROWS):
            inputs = texts.batch(rows).to(device).inputs
            with cast.autocast():
                vectors = pooled_vectors(model, inputs, inputs["input_ids"].numel())
            found[rows] = vectors.float().cpu()
    return found


def cosines(model: Any, tuples: Tuples, precision: str = "bf16") -> NDArray[np.float32]:
    """The cosine of anchor and second text of each tuple."""
    vectors_UD = F.normalize(text_matrix(model, tuples, precision), dim=-1)
    first, second = (torch.tensor([own[place] for own in tuples.places]) for place in (0, 1))
    found: NDArray[np.float32] = (vectors_UD[first] * vectors_UD[second]).sum(-1).numpy()
    return found


def find_positives(model: Any, tuples: Tuples, precision: str = "bf16") -> Found:
    """How well the texts that belong to the anchors are found among all candidates."""
    vectors_UD = F.normalize(text_matrix(model, tuples, precision), dim=-1)
    candidates = sorted({text for own in tuples.places for text in own[1:]})
    column = {text: place for place, text in enumerate(candidates)}
    anchors = list(tuples.belongs)
    ranks: list[float] = []
    for start in range(0, len(anchors), _ANCHORS):
        asked = anchors[start : start + _ANCHORS]
        scores_AM = vectors_UD[asked] @ vectors_UD[candidates].T
        for row, anchor in enumerate(asked):
            right = [column[text] for text in tuples.belongs[anchor] - {anchor}]
            if not right:  # the positive is the anchor's own text
                continue
            best = scores_AM[row, right].max()
            # other right texts do not stand in the way, and of equal scores half are before it
            scores_AM[row, [*right, *([column[anchor]] if anchor in column else [])]] = -torch.inf
            above = int((scores_AM[row] > best).sum())
            ranks.append(1 + above + int((scores_AM[row] == best).sum()) / 2)
    found = np.array(ranks) if ranks else np.array([np.inf])
    return Found(
        mrr=float(np.where(found <= 10, 1 / found, 0.0).mean()),
        recall={k: float((found <= k).mean()) for k in (1, 10)},
        anchors=len(ranks),
    )


def _accuracy(model: Any, dev: Tuples, loss: VectorLoss, precision: str) -> float:
    pooled_UD = text_matrix(model, dev, precision)
    places = torch.tensor([own[:2] for own in dev.places])
    device = device_of(loss)
    columns = Columns(pooled_UD.to(device), places.to(device))
    with torch.no_grad():
        predicted = loss.classifier.logits(columns).argmax(-1).tolist()
    return accuracy(predicted, dev.targets or [])
