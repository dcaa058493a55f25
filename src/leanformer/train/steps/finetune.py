"""Fine-tuning as a step: a pretrained model learns the labels of the task and becomes the
teacher."""

from contextlib import nullcontext
from dataclasses import field

from leanformer.core.ranges import Length
from leanformer.core.step import Sketch
from leanformer.core.technique import technique
from leanformer.core.workspace import Workspace
from leanformer.data import encode_examples
from leanformer.train.dropout import without_dropout
from leanformer.train.evaluate import make_evaluator
from leanformer.train.loss import Supervised
from leanformer.train.setup import TrainSetup
from leanformer.train.steps.trained import Training, train_and_prove


@technique("finetune", paper="Devlin et al. 2019 (BERT), arXiv:1810.04805")
class Finetune(Training):
    """Train all weights on the labels: what makes a teacher of a pretrained model."""

    makes_teacher = True

    train: TrainSetup = field(default_factory=TrainSetup)
    """How to train."""
    max_length: Length = 128
    """Longer texts are cut to this many tokens."""
    load_best_at_end: bool = True
    """End with the weights of the best evaluation; false = with the last ones."""
    dropout: bool = True
    """Train with the model's dropout. Long texts train faster and in less memory without it, and
    attention that writes no weights down cannot drop any."""
    require_improvement: bool = True
    """Fail when the model ends no better than it began."""

    def foresee(self, sketch: Sketch) -> Sketch:
        """See `Step.foresee`: the layers stay."""
        return sketch

    def apply(self, workspace: Workspace) -> Workspace:
        """Train the model on the training split; it ends at the best quality on the development
        split.

        Raises:
            ValueError: The task has no labels, or the loss is not finite.
            NoEffect: The model did not improve, and `require_improvement` is set.
        """
        task = workspace.dataset.task
        if task.about.form is None:
            raise ValueError(f"finetune: {task.about.no_labels}")
        train, dev = (
            encode_examples(split, workspace.tokenizer, task.kind, self.max_length)
            for split in (workspace.dataset.train, workspace.dataset.dev)
        )
        evaluate = make_evaluator(dev, task, precision=self.train.precision)
        with nullcontext() if self.dropout else without_dropout(workspace.model):
            return train_and_prove(
                workspace,
                train,
                Supervised(task.kind),
                self.train,
                evaluate,
                max_length=self.max_length,
                load_best_at_end=self.load_best_at_end,
                require_improvement=self.require_improvement,
            )
