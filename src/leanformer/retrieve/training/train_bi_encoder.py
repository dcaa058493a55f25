"""Training of a bi-encoder as a step: texts that belong together get vectors that are near.

    pairs                 in-batch-negatives (symmetric or not), matryoshka around it
    pairs with scores     cosine-score, cosent
    pairs with classes    pair-classification
    with negatives        triplet, in-batch-negatives
    and a cross-encoder   margin-mse, listwise-kl

The model is any encoder, whole or compressed; it ends as a folder that sentence-transformers opens,
and is the teacher of the steps below (`shrink`, `distill`).
"""

from contextlib import nullcontext
from dataclasses import field, replace
from pathlib import Path
from typing import Any

import torch

from leanformer.core.machine.device import device_of
from leanformer.core.ranges import Length, Number
from leanformer.core.step import Sketch
from leanformer.core.technique import technique
from leanformer.core.workspace import Workspace
from leanformer.data.relations import Relations
from leanformer.models.embedding import describe_embedding, embedding_of
from leanformer.retrieve.objectives import InBatchNegatives, Matryoshka, VectorObjective
from leanformer.retrieve.training.cross_encoder import score_candidates
from leanformer.retrieve.training.judging import judge_of
from leanformer.retrieve.training.loss import VectorLoss
from leanformer.retrieve.training.tuple_batches import TupleBatches
from leanformer.retrieve.training.tuples import (
    Tuples,
    class_names,
    encode_tuples,
    score_range,
    targets_of,
)
from leanformer.train.dropout import without_dropout
from leanformer.train.ranks import count_ranks
from leanformer.train.setup import TrainSetup
from leanformer.train.steps.trained import Training, train_and_prove


@technique("train-bi-encoder", paper="Reimers & Gurevych 2019, arXiv:1908.10084")
class TrainBiEncoder(Training):
    """Train the vectors of texts that belong together: for search, duplicates, similarity."""

    makes_teacher = True

    objective: VectorObjective = InBatchNegatives()
    """What the vectors are moved by."""
    train: TrainSetup = field(default_factory=lambda: TrainSetup(epochs=1.0, learning_rate=2e-5))
    """How to train; `batch_size` counts pairs or tuples. Objectives that compare all of a batch are
    not bound by `max_tokens_per_microbatch`: more texts are encoded in parts, each twice."""
    max_length: Length = 128
    """Longer texts are cut to this many tokens."""
    score_range: tuple[Number, Number] | None = None
    """The scores that mean "nothing in common" and "the same"; None = the least and the largest of
    the training rows."""
    cross_encoder: str | None = None
    """Folder or hub name of the cross-encoder whose scores are learned (margin-mse, listwise-kl);
    None = the scores stand in the data."""
    teacher_cache: Path | None = None
    """Folder that keeps the cross-encoder's scores for later trainings; None = none are kept."""
    load_best_at_end: bool = True
    """End with the weights of the best evaluation; false = with the last ones."""
    dropout: bool = True
    """Train with the model's dropout."""
    require_improvement: bool = True
    """Fail when the model ends no better than it began."""

    def __post_init__(self) -> None:
        if self.score_range is not None and not self.score_range[0] < self.score_range[1]:
            raise ValueError(
                f"score_range: {list(self.score_range)} does not rise; write [least, largest]"
            )
        kind = self.objective.described.targets
        if self.cross_encoder is not None and kind != "teacher":
            raise ValueError(
                "cross_encoder: only margin-mse and listwise-kl learn from its scores; leave it out"
            )
        if self.teacher_cache is not None and self.cross_encoder is None:
            raise ValueError("teacher_cache: there is no cross_encoder whose scores it could keep")

    def foresee(self, sketch: Sketch) -> Sketch:
        """See `Step.foresee`: the layers stay; the prefixes of vectors must be shorter than these.

        Raises:
            ValueError: One is not.
        """
        if sketch.model is not None:
            try:
                self.objective.build(int(sketch.model.config.hidden_size), 2)
            except ValueError as error:
                raise ValueError(f"objective.{error}") from error
        return sketch

    def apply(self, workspace: Workspace) -> Workspace:
        """Train the model; it ends at the best quality on the development split.

        Raises:
            OSError: There is no such cross-encoder.
            ValueError: The task makes no vectors, or the data do not say what the objective needs.
            NoEffect: `require_improvement` is set and the model ends no better than it began.
        """
        train, dev, classes = self._tuples(workspace)
        model = workspace.model
        describe_embedding(  # from now on it is one that makes vectors, whatever it was before
            model,
            workspace.tokenizer,
            replace(embedding_of(model), declared=True, widths=self._widths()),
        )
        torch.manual_seed(workspace.seed)  # W of a classification begins at random
        loss = VectorLoss(
            self.objective,
            model,
            classes=classes,
            max_tokens=self.train.max_tokens_per_microbatch,
        )
        described = self.objective.described
        batches = TupleBatches(
            train,
            batch_size=self.train.batch_size,
            max_tokens=self.train.max_tokens_per_microbatch,
            seed=workspace.seed,
            whole=not described.additive,
            exclude=described.asks_excluded,
            ranks=count_ranks(),
        )
        judge = judge_of(self.objective, dev, loss, self.train.precision)
        with nullcontext() if self.dropout else without_dropout(model):
            return train_and_prove(
                workspace,
                batches,
                loss,
                self.train,
                judge.evaluate,
                max_length=self.max_length,
                load_best_at_end=self.load_best_at_end,
                require_improvement=self.require_improvement,
                read=f"{len(train)} tuples of {len(train.texts)} different texts, "
                f"{train.texts.truncated} cut to {self.max_length} tokens",
                judged_by=judge.name,
            )

    def _widths(self) -> tuple[int, ...]:
        """The prefixes that become vectors; those of an earlier training are trained no longer."""
        return self.objective.rising if isinstance(self.objective, Matryoshka) else ()

    def _tuples(self, workspace: Workspace) -> tuple[Tuples, Tuples, int]:
        """The tuples of train and dev, and how many classes they have."""
        related = {
            split: self._relations(split, getattr(workspace.dataset, split), workspace)
            for split in ("train", "dev")
        }
        kind = self.objective.described.targets
        names: tuple[str, ...] = ()
        ends = self.score_range or (0.0, 1.0)
        if kind == "classes":
            names = class_names(related["train"])
        if kind == "scores" and self.score_range is None:
            ends = score_range(related["train"])
        train, dev = (
            encode_tuples(
                one,
                None
                if split == "dev" and kind == "teacher"  # judged by what belongs together
                else targets_of(split, one, kind, names, ends),
                workspace.tokenizer,
                self.max_length,
            )
            for split, one in related.items()
        )
        return train, dev, len(names)

    def _relations(self, split: str, examples: Any, workspace: Workspace) -> Relations:
        """The tuples of a split, in train with the scores of a cross-encoder that is named."""
        if workspace.dataset.task.about.output != "vector":
            raise ValueError(
                "train-bi-encoder: the task is "
                f"{workspace.dataset.task.kind}, whose models make no vectors; set "
                "kind = 'embedding' in [data]"
            )
        found: Relations | None = examples.relations
        if found is None:
            raise ValueError(
                f"train-bi-encoder: {split} has single texts, and nothing says which belong "
                "together; name a second column in [data]: pair"
            )
        described = self.objective.described
        if described.needs_negatives:
            lacking = [number for number, own in enumerate(found.negatives, 1) if not own]
            if lacking:
                raise ValueError(
                    f"{split} row {lacking[0]}: this objective needs a negative in each row, and "
                    f"{len(lacking)} of {len(found)} rows have none; name their columns in [data]: "
                    "negatives, or mine some (`retrieve.training.hard_negatives`)"
                )
        if self.cross_encoder is not None and split == "train":
            found = score_candidates(
                found,
                self.cross_encoder,
                device=device_of(workspace.model),
                precision=self.train.precision,
                cache=self.teacher_cache,
            )
        return found
