"""Pre-training as a step: the model learns to fill in words that are hidden from it."""

from dataclasses import field
from typing import Any

from torch import Tensor, nn

from leanformer.core import codec
from leanformer.core.step import Step
from leanformer.core.technique import technique
from leanformer.core.workspace import Workspace
from leanformer.data import Batch, encode_examples
from leanformer.data.task import joined
from leanformer.train.evaluate import make_evaluator
from leanformer.train.loss import Carry, Loss, Supervised, Term
from leanformer.train.masking import Masking, masking
from leanformer.train.setup import TrainSetup
from leanformer.train.steps.trained import train_and_prove


@technique(
    "pretrain", paper="Devlin et al. 2019, arXiv:1810.04805; Liu et al. 2019, arXiv:1907.11692"
)
class Pretrain(Step):
    """Train a masked language model on plain text, before any task or to fit it to a domain."""

    makes_teacher = True

    train: TrainSetup = field(default_factory=lambda: TrainSetup(learning_rate=5e-4))
    """How to train."""
    mlm_probability: float = 0.15
    """Probability of masking a token."""
    max_length: int = 128
    """Longer texts are cut to this many tokens."""

    def __post_init__(self) -> None:
        if not 0 < self.mlm_probability < 1:
            raise ValueError(
                f"mlm_probability: {self.mlm_probability} is not a probability in (0, 1)"
            )

    def apply(self, workspace: Workspace) -> Workspace:
        """Train the model on the training and unlabelled texts; it ends at its best on dev.

        Raises:
            ValueError: The task is not "masked-lm", or the tokenizer has no mask token.
            NoEffect: The trained model fills in no better than before.
        """
        dataset, task = workspace.dataset, workspace.dataset.task
        if not task.about.hides_words:
            raise ValueError(
                f"pretrain: the task is {task.kind}; plain text has kind = 'masked-lm' in [data]"
            )
        hide = masking(workspace.tokenizer, self.mlm_probability)
        texts = joined(dataset.train, dataset.unlabelled, task.kind)
        train = encode_examples(texts, workspace.tokenizer, task.kind, self.max_length)
        dev = encode_examples(dataset.dev, workspace.tokenizer, task.kind, self.max_length)
        evaluate = make_evaluator(hide.encoded(dev), task, precision=self.train.precision)
        return train_and_prove(
            workspace, train, MaskedLanguage(hide), self.train, evaluate, max_length=self.max_length
        )


class MaskedLanguage(Loss):
    """Cross entropy at the hidden tokens."""

    def __init__(self, hide: Masking) -> None:
        super().__init__()
        self._hide = hide
        self._supervised = Supervised("masked-lm")

    def identity(self) -> dict[str, Any]:
        """How tokens are hidden."""
        return {"masking": codec.encode(self._hide)}

    def transform_batch(self, batch: Batch) -> Batch:
        """The batch with tokens hidden."""
        return self._hide.batch(batch)

    def outputs(self, model: nn.Module, batch: Batch, carry: Carry) -> Tensor:
        """Logits, [B, T, V]."""
        return self._supervised.outputs(model, batch, carry)

    def terms(self, outputs: Tensor, batch: Batch) -> list[Term]:
        """One term, summed over the hidden tokens."""
        return self._supervised.terms(outputs, batch)
