"""MobileBERT as a student: deep and thin, 24 layers of width 128 between hidden states of 512.

The student is transformers' own `MobileBert…`, so that it is saved as safetensors and loaded with
`from_pretrained` anywhere, with nothing to register. It is never cut itself: a layer of four FFNs
has no one point where its neurons could be. How it computes is written out in
`leanformer.distill.students.mobilebert_body`, which a test holds equal to transformers', and which
also is the inverted-bottleneck teacher of the paper.

A bottleneck has no counterpart in a BERT, so the layers begin at random: MobileBERT is for training
on much text (the paper: feature maps layer by layer, then masked-LM), not for a few labels. From a
teacher that is a MobileBERT itself, embeddings and head are copied, as the paper does.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch
import transformers

from leanformer.core.ranges import Count
from leanformer.core.step import Step
from leanformer.core.technique import technique
from leanformer.core.workspace import Workspace
from leanformer.distill.students.mobilebert_body import BodyShape
from leanformer.distill.students.source import alike, check_teacher, ending_of, with_student

_STEMS = ("Bert", "MobileBert")
_FIELDS = (
    *("vocab_size", "max_position_embeddings", "type_vocab_size", "initializer_range"),
    *("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"),
    *("id2label", "label2id", "problem_type", "classifier_dropout"),
)


def mobilebert_from(teacher: Any, shape: BodyShape, *, seed: int = 0) -> Any:
    """A `MobileBert…` of transformers with the teacher's kind of head and its vocabulary.

    Args:
        teacher: A `Bert…` or `MobileBert…`, bare or with a head for classification, tokens or
            masked-LM; it is left as it is.
        shape: Sizes of the student; vocabulary, positions and types are the teacher's.
        seed: Seed of the weights.

    Raises:
        ValueError: The teacher is of another architecture.
    """
    ending = ending_of(teacher, "mobilebert", _STEMS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        student = getattr(transformers, f"MobileBert{ending}")(_config(teacher.config, shape))
    alike(student, teacher)
    if type(student) is type(teacher):
        theirs, ours = teacher.state_dict(), student.state_dict()
        shared = {
            key: theirs[key]
            for key in _outside(list(ours))
            if key in theirs and theirs[key].shape == ours[key].shape
        }
        student.load_state_dict({**ours, **shared})
    return student.eval()


@technique("mobilebert", paper="Sun et al. 2020 (MobileBERT), arXiv:2004.02984")
class Mobilebert(Step):
    """Deep and thin with bottlenecks: for pre-training distillation on much text."""

    layers: Count = 24
    """Layers; as many as the teacher has lets feature maps be compared one by one."""
    hidden: Count = 512
    """Width of the hidden states between layers."""
    within: Count = 128
    """Width inside a layer."""
    embedding: Count = 128
    """Width of a word's embedding; three neighbors make one input."""
    ffn: Count = 512
    """Neurons of each FFN."""
    stacked: Count = 4
    """FFNs of each layer."""
    heads: Count = 4
    """Attention heads of each layer."""

    def __post_init__(self) -> None:
        if self.embedding > self.hidden:
            raise ValueError(f"embedding: {self.embedding} is wider than hidden, {self.hidden}")
        self.shape(1)  # refuses heads that do not divide

    def shape(self, vocabulary: int) -> BodyShape:
        """The sizes, with those that are the teacher's."""
        return BodyShape(vocabulary=vocabulary, **asdict(self))

    def apply(self, workspace: Workspace) -> Workspace:
        """Replace the model by a MobileBERT with the teacher's vocabulary and kind of head.

        Raises:
            ValueError: There is no teacher, it is neither BERT nor MobileBERT.
            NoEffect: The student is not smaller than the teacher.
        """
        check_teacher(workspace)
        teacher = workspace.teacher
        ending_of(teacher, "mobilebert", _STEMS)
        student = mobilebert_from(
            teacher, self.shape(teacher.config.vocab_size), seed=workspace.seed
        )
        copied = type(student) is type(teacher)
        note = "random layers, the teacher's embeddings and head" if copied else "random weights"
        return with_student(workspace, student, self.layers, note)


def _outside(keys: Sequence[str]) -> list[str]:
    """What is not of the layers: embeddings, pooler and head."""
    return [key for key in keys if "encoder.layer." not in key]


def _config(teacher: Any, shape: BodyShape) -> Any:
    fields = {name: getattr(teacher, name) for name in _FIELDS if hasattr(teacher, name)}
    return transformers.MobileBertConfig(
        **fields,
        hidden_size=shape.hidden,
        embedding_size=shape.embedding,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.ffn,
        intra_bottleneck_size=shape.within,
        num_feedforward_networks=shape.stacked,
        hidden_act=shape.activation,
        normalization_type=shape.norm.replace("-", "_"),
    )
