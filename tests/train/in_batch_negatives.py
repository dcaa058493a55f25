"""A loss that compares the texts of a batch with each other: each with its own second reading."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from leanformer.data import Batch
from leanformer.train import Loss, Term
from leanformer.train.loss import Carry


class InBatchNegatives(Loss):
    """Of the texts of a batch, each must find itself (van den Oord et al. 2018, InfoNCE)."""

    additive = False

    def outputs(self, model: Any, batch: Batch, carry: Carry) -> Tensor:
        hidden_BTD = model(**batch.inputs, output_hidden_states=True).hidden_states
        vectors: Tensor = F.normalize(
            torch.stack([hidden_BTD[0][:, 1], hidden_BTD[-1][:, 0]]), dim=-1
        )
        return vectors

    def terms(self, outputs: Tensor, batch: Batch) -> list[Term]:
        anchors_BD, positives_BD = outputs
        scores_BB = 20 * anchors_BD @ positives_BD.T
        total = F.cross_entropy(scores_BB, torch.arange(len(scores_BB)), reduction="sum")
        return [Term("contrast", total, unit="example")]
