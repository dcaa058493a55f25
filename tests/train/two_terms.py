"""A toy training whose loss has a parameter of its own, and what two trainings are compared by."""

from typing import Any

import torch
from torch import Tensor, nn
from train.toy import FAST, toy

from leanformer.data import Batch, Task
from leanformer.train import Fitted, Loss, Supervised, Term, TrainSetup, fit
from leanformer.train.evaluate import make_evaluator
from leanformer.train.loss import Carry

TASK = Task(kind="classification", labels=("music", "rice"))


class TwoTerms(Loss):
    """A loss with a parameter of its own, and means over different units."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(2))

    def outputs(self, model: nn.Module, batch: Batch, carry: Carry) -> Any:
        return model(**batch.inputs, output_hidden_states=True)

    def terms(self, outputs: Any, batch: Batch) -> list[Term]:
        keep = batch.inputs["attention_mask"].bool()
        (labels,) = Supervised("classification").terms(outputs.logits + self.bias, batch)
        size = outputs.hidden_states[-1][keep].pow(2).mean(-1).sum()
        return [
            labels,
            Term("size", size, 0.3, "token"),
            Term("one", self.bias.sum() * len(batch.index), 0.1, "example"),
        ]


def trained(setup: TrainSetup = FAST, **settings: Any) -> tuple[Fitted, dict[str, Tensor]]:
    model, encoded = toy()
    evaluate = make_evaluator(encoded, TASK, precision="fp32")
    fitted = fit(model, encoded, TwoTerms(), setup, evaluate=evaluate, **settings)
    return fitted, model.state_dict()


def same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> bool:
    return all(torch.equal(ours[key], theirs[key]) for key in theirs)
