"""Distillation as a step: the model learns from the workspace's teacher.

It learns on the training texts and on the unlabelled ones; a teacher needs no gold labels (Turc et
al. 2019), so every text of the domain helps. Teacher and student may have different vocabularies:
where the student's is not a part of the teacher's, each reads the texts with its own tokenizer.
"""

from contextlib import nullcontext
from dataclasses import field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from leanformer.core.ranges import InnerShare, Length, PartialShare
from leanformer.core.step import Sketch
from leanformer.core.technique import technique
from leanformer.core.workspace import Workspace
from leanformer.data import Encoded, Examples, encode_examples
from leanformer.data.task import joined
from leanformer.distill.augmentation import Augmentation
from leanformer.distill.description import check_widths, follow_description, lengths, prove_lengths
from leanformer.distill.distillation import Distillation, teacher_dtype
from leanformer.distill.objective import Objective, check_objectives, dims_of
from leanformer.distill.objectives import SoftTargets
from leanformer.distill.substitution import Substitution as Substitution
from leanformer.distill.teachers.caching import open_cache
from leanformer.distill.teachers.ensemble import check_comparable
from leanformer.distill.teachers.named import with_teachers
from leanformer.distill.teachers.reading import (
    OwnReading,
    check_answers_suffice,
    check_vocabularies,
    have_one_vocabulary,
    members_of,
    read_texts,
)
from leanformer.distill.teachers.translation import (
    Translation,
    check_room,
    check_spread,
    translation,
)
from leanformer.models.embedding import embedding_of
from leanformer.train.dropout import without_dropout
from leanformer.train.evaluate import make_evaluator, outputs
from leanformer.train.masking import Masking, masking, special_ids
from leanformer.train.setup import TrainSetup
from leanformer.train.steps.documents import encode_documents
from leanformer.train.steps.trained import Training, train_and_prove


@technique(
    "distill", paper="Hinton et al. 2015, arXiv:1503.02531; Turc et al. 2019, arXiv:1908.08962"
)
class Distill(Training):
    """Train the model to give the outputs of its teacher."""

    objectives: tuple[Objective, ...] = (SoftTargets(),)
    """What is compared, and with which weight."""
    train: TrainSetup = field(default_factory=TrainSetup)
    """How to train."""
    max_length: Length = 128
    """Longer texts are cut to this many tokens."""
    packing: bool = False
    """Join texts into rows of `max_length` tokens, where the task is a causal language model; no
    text sees another, and longer texts are split."""
    teacher_max_length: Length | None = None
    """Tokens that a teacher with a tokenizer of its own reads of a text; None = all it can."""
    unlabelled: bool = True
    """Learn on the unlabelled texts of the data set too."""
    noise: PartialShare = 0.0
    """Share of tokens replaced by tokens of other texts, in each batch anew: helps where texts are
    few; the teacher labels what results."""
    augmentation: Augmentation | None = None
    """How more texts are made of the training texts, as in TinyBERT; None = not at all."""
    mlm_probability: InnerShare = 0.15
    """Probability of masking a token, where the task is a masked language model."""
    dropout: bool = False
    """Train the student with its dropout; a student too small to learn by heart needs none."""
    teacher_cache: Path | None = None
    """Folder that caches the teacher's outputs, so that it reads each text once, for later students
    too; None = it reads each text in every epoch."""
    teachers: tuple[str, ...] = ()
    """Folders or hub names of more teachers: the student learns the average of what all say."""
    average_hidden: bool = False
    """Average the hidden states of several teachers: where all began with the same weights."""
    load_best_at_end: bool = True
    """End with the weights of the best evaluation; false = with the last ones, where the objectives
    teach layers whose head is trained later."""
    require_improvement: bool = True
    """Fail when the student ends no better than it began."""

    def __post_init__(self) -> None:
        if not self.objectives:
            raise ValueError("objectives: none is named; soft-targets is the usual first one")
        gold = [objective for objective in self.objectives if objective.unit == "target"]
        if self.noise and gold:
            raise ValueError("noise: gold labels do not hold for noisy texts; drop one of the two")
        attentive = any(objective.needs_attention for objective in self.objectives)
        if self.teacher_cache is not None and (self.noise or attentive):
            raise ValueError(
                "teacher_cache: noise changes what the teacher reads each time, and what attention "
                "is given is too large to keep; drop one of the two"
            )
        if self.packing and attentive:
            raise ValueError(
                "packing: what attention is given says nothing of which texts share a row; drop "
                "one of the two"
            )
        if self.teachers:
            check_comparable(self.objectives, self.average_hidden)

    def foresee(self, sketch: Sketch) -> Sketch:
        """See `Step.foresee`: objectives name layers that are there, which stay."""
        check_objectives(() if self.teachers else self.objectives, sketch)
        return sketch

    def apply(self, workspace: Workspace) -> Workspace:
        """Train the model; it ends at the best quality on the development split.

        Raises:
            OSError: One of `teachers` is not there.
            ValueError: There is no teacher, the tokenizers do not suit the objectives, teachers do
                not suit each other, an embedding student has another prompt or normalization than
                its teacher, or outputs are to be kept that differ each time.
            NoEffect: `require_improvement` is set and the student ends no better than it began.
        """
        self._check(workspace)
        task, precision = workspace.dataset.task, self.train.precision
        teacher, tokenizers = self._teacher(workspace)
        same_ids = have_one_vocabulary(workspace.tokenizer, tokenizers)
        translate = None
        if same_ids:
            translate = translation(workspace.tokenizer, tokenizers[0])
            check_spread(translate, self.objectives, task.kind)
        else:
            check_answers_suffice(
                self.objectives, task.kind, self.noise, workspace.tokenizer, tokenizers
            )
        if task.about.output == "vector":
            follow_description(
                workspace.model,
                workspace.tokenizer,
                teacher,
                tokenizers[0],
                self.objectives,
                same_ids=same_ids,
            )
        examples = self._examples(workspace, teacher, tokenizers[0])
        texts, read = self._encoded(examples, workspace, teacher)
        check_room(translate, texts, members_of(teacher))
        own = None
        if not same_ids:  # teachers with tokenizers of their own
            own = read_texts(examples, tokenizers, task.kind, self.teacher_max_length)
        masked = task.about.hides_words
        hide = masking(workspace.tokenizer, self.mlm_probability) if masked else None
        dev, targets = self._dev(workspace, teacher, tokenizers, hide, same_ids)
        evaluate = make_evaluator(dev, task, targets, precision)
        free = None if embedding_of(teacher).pooling.normalize else targets
        before = 1.0 if free is None else lengths(workspace.model, dev, free, precision)
        loss = self._loss(workspace, teacher, translate, texts, hide, own)
        with nullcontext() if self.dropout else without_dropout(workspace.model):
            done = train_and_prove(
                workspace,
                texts,
                loss,
                self.train,
                evaluate,
                max_length=self.max_length,
                load_best_at_end=self.load_best_at_end,
                require_improvement=self.require_improvement,
                read=read,
            )
        if free is None:
            return done
        ended = prove_lengths(before, done.model, dev, free, precision)
        return done.with_(proofs=(*done.proofs, ended))

    def _check(self, workspace: Workspace) -> None:
        """Refuse what is known to fail from teacher and task alone."""
        if workspace.teacher is None:
            raise ValueError(
                "distill: there is no teacher; name one, or put a finetune step before"
            )
        kind = workspace.dataset.task.kind
        if self.packing and not workspace.dataset.task.about.predicts_next:
            raise ValueError(
                f"packing: the task is {kind}, and only texts whose next tokens are predicted "
                "(kind = 'causal-lm') share rows; leave packing out"
            )

    def _teacher(self, workspace: Workspace) -> tuple[Any, list[Any]]:
        """The teacher, or all of them as one, and the tokenizer of each."""
        theirs = workspace.teacher_tokenizer or workspace.tokenizer
        if not self.teachers:
            return workspace.teacher, [theirs]
        return with_teachers(
            workspace.teacher,
            theirs,
            self.teachers,
            workspace.dataset.task,
            self.average_hidden,
            workspace.tokenizer,
        )

    def _encoded(
        self, examples: Examples, workspace: Workspace, teacher: Any
    ) -> tuple[Encoded, str]:
        """What the student reads; and, where the usual words do not say it, what that is."""
        tokenizer, task = workspace.tokenizer, workspace.dataset.task
        if not task.about.predicts_next:
            return encode_examples(examples, tokenizer, task.kind, self.max_length), ""
        check_vocabularies(workspace.model, teacher)
        models = (workspace.model, teacher) if self.packing else ()
        return encode_documents(
            examples.texts, tokenizer, task.kind, self.max_length, packed_for=models
        )

    def _examples(self, workspace: Workspace, teacher: Any, theirs: Any) -> Examples:
        """What the student learns on: labelled, unlabelled and made-up texts."""
        dataset, kind = workspace.dataset, workspace.dataset.task.kind
        texts = joined(dataset.train, dataset.unlabelled if self.unlabelled else None, kind)
        if self.augmentation is not None:
            vectors = teacher.get_input_embeddings().weight
            more = self.augmentation.augment(dataset.train, theirs, vectors, workspace.seed)
            texts = joined(texts, more, kind)
        return texts

    def _dev(
        self,
        workspace: Workspace,
        teacher: Any,
        tokenizers: list[Any],
        hide: Masking | None,
        same_ids: bool,
    ) -> tuple[Encoded, NDArray[np.float32] | None]:
        """The development split as the student reads it; for embedding, the teacher's vectors."""
        task, dev = workspace.dataset.task, workspace.dataset.dev
        encoded = encode_examples(dev, workspace.tokenizer, task.kind, self.max_length)
        targets = None
        if task.about.output == "vector":
            check_widths(dims_of(workspace.model).hidden, dims_of(teacher).hidden)
            targets = self._vectors(dev, teacher, tokenizers, same_ids)
        if hide is not None:
            encoded = hide.encoded(encoded)
        return encoded, targets

    def _vectors(
        self, dev: Examples, teacher: Any, tokenizers: list[Any], same_ids: bool
    ) -> NDArray[np.float32]:
        """The teacher's vectors of the development split, [N, D]."""
        if same_ids:
            asked = encode_examples(dev, tokenizers[0], "embedding", self.max_length)
            return np.stack(outputs(teacher, asked, "embedding", self.train.precision))
        reading = read_texts(dev, tokenizers, "embedding", self.teacher_max_length)
        return reading.all_outputs(teacher, self.train.precision)

    def _loss(
        self,
        workspace: Workspace,
        teacher: Any,
        translate: Translation | None,
        texts: Encoded,
        hide: Masking | None,
        own: OwnReading | None,
    ) -> Distillation:
        """What the student is taught by, on `texts`."""
        task = workspace.dataset.task
        kept = None
        if self.teacher_cache is not None:
            kept = open_cache(
                self.teacher_cache,
                teacher,
                task,
                texts,
                self.objectives,
                translate=translate,
                own=own,
                dtype=teacher_dtype(self.train.precision),
            )
        torch.manual_seed(workspace.seed)  # projections of the objectives begin at random
        return Distillation(
            self.objectives,
            workspace.model,
            teacher,
            task,
            translate,
            self.noise,
            special_ids(workspace.tokenizer),
            hide,
            kept,
            own,
            self.train.precision,
        )
