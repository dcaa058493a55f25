"""Fine-tuning as a step: a pretrained model learns the labels of the task and becomes the
teacher."""

from contextlib import nullcontext
from dataclasses import field

from leanformer.core.technique import technique
from leanformer.core.workspace import Workspace
from leanformer.data import encode_examples
from leanformer.train.dropout import without_dropout
from leanformer.train.evaluate import judge
from leanformer.train.loss import Supervised
from leanformer.train.setup import TrainSetup
from leanformer.train.trained import Choice, Training, trained


@technique("finetune", paper="Devlin et al. 2019 (BERT), arXiv:1810.04805")
class Finetune(Training):
    """Train all weights on the labels: what makes a teacher of a pretrained model."""

    makes_teacher = True

    train: TrainSetup = field(default_factory=TrainSetup)
    """How to train."""
    max_length: int = 128
    """Longer texts are cut to this many tokens."""
    choose: Choice = "best"
    """Which weights the model ends with: those of the best evaluation, or the last ones."""
    dropout: bool = True
    """Train with the model's dropout. Long texts train faster and in less memory without it, and
    attention that writes no weights down cannot drop any."""
    regain: bool = True
    """Fail when the model ends no better than it began."""

    def apply(self, workspace: Workspace) -> Workspace:
        """Train the model on the training split; it ends at the best quality on the development
        split.

        Raises:
            ValueError: The task has no labels, or the loss is not finite.
            NoEffect: `regain` is set and the trained model is no better than the untrained one.
        """
        task = workspace.dataset.task
        if task.kind == "embedding":
            raise ValueError(
                "finetune: an embedding task has no labels; its model is its own teacher"
            )
        if task.kind == "masked-lm":
            raise ValueError("finetune: plain text has no labels; the step for it is pretrain")
        train, dev = (
            encode_examples(split, workspace.tokenizer, task.kind, self.max_length)
            for split in (workspace.dataset.train, workspace.dataset.dev)
        )
        evaluate = judge(dev, task, precision=self.train.precision)
        with nullcontext() if self.dropout else without_dropout(workspace.model):
            return trained(
                workspace,
                train,
                Supervised(task.kind),
                self.train,
                evaluate,
                max_length=self.max_length,
                choose=self.choose,
                needed=self.regain,
            )
