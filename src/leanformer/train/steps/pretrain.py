"""Pre-training as a step: a model learns a language from plain text.

masked-lm     encoders fill in words that are hidden from them
causal-lm     decoders predict each next token
"""

from dataclasses import field
from typing import Any

from torch import Tensor, nn

from leanformer.core import codec
from leanformer.core.ranges import InnerShare, Length
from leanformer.core.step import Sketch, Step
from leanformer.core.technique import technique
from leanformer.core.workspace import Workspace
from leanformer.data import Batch, Examples, encode_examples
from leanformer.data.task import joined
from leanformer.tasks import kind_named, kind_names
from leanformer.train.evaluate import make_evaluator
from leanformer.train.loss import Carry, Loss, Supervised, Term
from leanformer.train.masking import Masking, masking
from leanformer.train.setup import TrainSetup
from leanformer.train.steps.documents import encode_documents
from leanformer.train.steps.trained import train_and_prove


@technique(
    "pretrain",
    paper="Devlin et al. 2019, arXiv:1810.04805; Liu et al. 2019, arXiv:1907.11692; "
    "Ding et al. 2024, arXiv:2404.10830",
)
class Pretrain(Step):
    """Train a language model on plain text, before any task or to fit it to a domain."""

    makes_teacher = True

    train: TrainSetup = field(default_factory=lambda: TrainSetup(learning_rate=5e-4))
    """How to train."""
    mlm_probability: InnerShare = 0.15
    """Probability of masking a token, where the task is a masked language model."""
    max_length: Length = 128
    """Tokens of a row: longer texts are cut, or with `packing` split."""
    packing: bool = True
    """Join texts into rows of `max_length` tokens, where the task is a causal language model; no
    text sees another, and `batch_size` counts rows. False = each text is a row."""

    def foresee(self, sketch: Sketch) -> Sketch:
        """See `Step.foresee`: the layers stay."""
        return sketch

    def apply(self, workspace: Workspace) -> Workspace:
        """Train the model on the training and unlabelled texts; it ends at its best on dev.

        Raises:
            ValueError: The task is not one of plain text, the tokenizer has no mask token or no end
                token, or texts cannot be packed for this model.
            NoEffect: The trained model predicts no better than before.
        """
        dataset, task = workspace.dataset, workspace.dataset.task
        about = task.about
        if not (about.hides_words or about.predicts_next):
            kinds = [one for one in kind_names() if _learns_language(one)]
            raise ValueError(
                f"pretrain: the task is {task.kind}; plain text has kind = "
                f"{' or '.join(map(repr, reversed(kinds)))} in [data]"
            )
        texts = joined(dataset.train, dataset.unlabelled, task.kind)
        if about.predicts_next:
            return self._predict_next(workspace, texts)
        hide = masking(workspace.tokenizer, self.mlm_probability)
        train = encode_examples(texts, workspace.tokenizer, task.kind, self.max_length)
        dev = encode_examples(dataset.dev, workspace.tokenizer, task.kind, self.max_length)
        evaluate = make_evaluator(hide.encoded(dev), task, precision=self.train.precision)
        return train_and_prove(
            workspace, train, MaskedLanguage(hide), self.train, evaluate, max_length=self.max_length
        )

    def _predict_next(self, workspace: Workspace, texts: Examples) -> Workspace:
        """Train a causal language model."""
        tokenizer, task = workspace.tokenizer, workspace.dataset.task
        train, read = encode_documents(
            texts.texts,
            tokenizer,
            task.kind,
            self.max_length,
            packed_for=(workspace.model,) if self.packing else (),
        )
        dev = encode_examples(workspace.dataset.dev, tokenizer, task.kind, self.max_length)
        return train_and_prove(
            workspace,
            train,
            Supervised(task.kind),
            self.train,
            make_evaluator(dev, task, precision=self.train.precision),
            max_length=self.max_length,
            read=read,
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


def _learns_language(kind: str) -> bool:
    about = kind_named(kind)
    return about.hides_words or about.predicts_next
