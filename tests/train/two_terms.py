"""A toy training whose loss has a parameter of its own, and what two trainings are compared by."""

from typing import Any

import torch
from torch import Tensor, nn
from train.toy import FAST, toy

from leanformer.data import Batch, Task
from leanformer.train import Fitted, Loss, Supervised, Term, TrainSetup, fit
from leanformer.train.evaluate import make_evaluator

TASK = Task(kind="classification", labels=("music", "rice"))


class TwoTerms(Loss):
    """A loss with a parameter of its own, and means over different units."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(2))

    def forward(self, model: nn.Module, batch: Batch) -> list[Term]:
        output = model(**batch.inputs, output_hidden_states=True)
        keep = batch.inputs["attention_mask"].bool()
        (labels,) = Supervised("classification")(_Shifted(output.logits + self.bias), batch)
        size = output.hidden_states[-1][keep].pow(2).mean()
        return [
            labels,
            Term("size", size, 0.3, "token"),
            Term("one", self.bias.sum(), 0.1, "example"),
        ]


class _Shifted(nn.Module):
    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, **inputs: Tensor) -> Any:
        return self


def trained(setup: TrainSetup = FAST, **settings: Any) -> tuple[Fitted, dict[str, Tensor]]:
    model, encoded = toy()
    evaluate = make_evaluator(encoded, TASK, precision="fp32")
    fitted = fit(model, encoded, TwoTerms(), setup, evaluate=evaluate, **settings)
    return fitted, model.state_dict()


def same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> bool:
    return all(torch.equal(ours[key], theirs[key]) for key in theirs)
