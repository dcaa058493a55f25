"""DistilBERT: half of a BERT's layers, without pooler and without token types.

The weights are the teacher's own, under DistilBERT's names. Two things differ from a plain copy:

    positions    P_s = P_t + 1 e_0^T     e_0 is the teacher's embedding of token type 0, which it
                 adds to every token of a single text. It goes into the positions and not into the
                 words, because a masked-LM head uses the word embeddings again.
    head         a classifier of BERT reads tanh(W h + b), one of DistilBERT relu(W h + b): W, b and
                 the classifier are copied, so that it begins near the teacher (relu(x) = tanh(x) up
                 to x^3 / 3 where x > 0) but not at it. Heads for tokens and masked-LM are exact.

With every layer kept, hidden states of single texts are the teacher's. Pairs lose the mark of the
second text: `token_type_ids` may be given and are not read. DistilBERT's LayerNorm has eps 1e-12
whatever the teacher's was.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import transformers
from torch import Tensor

from leanformer.core.ranges import Count, Index
from leanformer.core.step import Sketch, Step
from leanformer.core.technique import technique
from leanformer.core.workspace import Workspace
from leanformer.distill.students.pick import Pick, pick_layers
from leanformer.distill.students.source import (
    alike,
    check_teacher,
    ending_of,
    with_student,
)
from leanformer.models.anatomy import layers_of

_LAYER = {
    "attention.self.query": "attention.q_lin",
    "attention.self.key": "attention.k_lin",
    "attention.self.value": "attention.v_lin",
    "attention.output.dense": "attention.out_lin",
    "attention.output.LayerNorm": "sa_layer_norm",
    "intermediate.dense": "ffn.lin1",
    "output.dense": "ffn.lin2",
    "output.LayerNorm": "output_layer_norm",
}
_HEAD = {
    "bert.pooler.dense": "pre_classifier",
    "classifier": "classifier",
    "cls.predictions.transform.dense": "vocab_transform",
    "cls.predictions.transform.LayerNorm": "vocab_layer_norm",
    "cls.predictions.decoder": "vocab_projector",
}
_FIELDS = (
    *("vocab_size", "max_position_embeddings", "initializer_range", "tie_word_embeddings"),
    *("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"),
    *("id2label", "label2id", "problem_type"),
)


def distilbert_encoder(bert: dict[str, Tensor], layers: Sequence[int]) -> dict[str, Tensor]:
    """The weights of a bare DistilBERT from those of a bare BERT.

    Args:
        bert: State of a `BertModel`.
        layers: Layers to keep, first to last.
    """
    embeddings = "embeddings."
    state = {
        key: value
        for key, value in bert.items()
        if key.startswith((f"{embeddings}word", f"{embeddings}LayerNorm"))
    }
    first_type = bert[f"{embeddings}token_type_embeddings.weight"][0]
    positions = f"{embeddings}position_embeddings.weight"
    state[positions] = bert[positions] + first_type
    for number, layer in enumerate(layers):
        for theirs, ours in _LAYER.items():
            for part in ("weight", "bias"):
                tensor = bert[f"encoder.layer.{layer}.{theirs}.{part}"]
                state[f"transformer.layer.{number}.{ours}.{part}"] = tensor
    return state


def distilbert_from(teacher: Any, layers: Sequence[int]) -> Any:
    """A `DistilBert…` of transformers with the teacher's head and these of its layers.

    Args:
        teacher: A `BertModel`, or one with a head for classification, tokens or masked-LM; it is
            left as it is.
        layers: Layers to keep, first to last.

    Raises:
        ValueError: The teacher is not a BERT.
    """
    ending = ending_of(teacher, "distilbert")
    student = getattr(transformers, f"DistilBert{ending}")(_config(teacher.config, len(layers)))
    alike(student, teacher)
    student.base_model.load_state_dict(
        distilbert_encoder(teacher.base_model.state_dict(), layers), strict=True
    )
    theirs, ours = teacher.state_dict(), student.state_dict()
    head = {
        f"{new}.{part}": theirs[f"{old}.{part}"]
        for old, new in _HEAD.items()
        for part in ("weight", "bias")
        if f"{new}.{part}" in ours
    }
    student.load_state_dict({**ours, **head})
    return student.eval()


@technique("distilbert", paper="Sanh et al. 2019 (DistilBERT), arXiv:1910.01108")
class Distilbert(Step):
    """Half of a BERT's layers at full width: what keeps most without pre-training again."""

    layers: Count | tuple[Index, ...] | None = None
    """Layers of the student: how many, or which of the teacher's; None = half of them."""
    pick: Pick = "published"
    """How the layers of a number are chosen: DistilBERT's own (12 -> 0, 2, 4, 7, 9, 11), the bottom
    ones, or every k-th."""

    def foresee(self, sketch: Sketch) -> Sketch:
        """See `Step.foresee`: the teacher has the layers."""
        if sketch.teacher is not None:
            ending_of(sketch.teacher, "distilbert")
            pick_layers(self.layers, self.pick, len(layers_of(sketch.teacher)))
        return replace(sketch, model=None)

    def apply(self, workspace: Workspace) -> Workspace:
        """Replace the model by a DistilBERT made from the teacher.

        Raises:
            ValueError: There is no teacher, it is not a BERT, or does not have these layers.
            NoEffect: The student is not smaller than the teacher.
        """
        check_teacher(workspace)
        teacher = workspace.teacher
        ending_of(teacher, "distilbert")
        kept = pick_layers(self.layers, self.pick, len(layers_of(teacher)))
        note = f"layers {', '.join(map(str, kept))} of the teacher"
        return with_student(workspace, distilbert_from(teacher, kept), len(kept), note)


def _config(bert: Any, layers: int) -> Any:
    head = bert.classifier_dropout
    fields = {name: getattr(bert, name) for name in _FIELDS if hasattr(bert, name)}
    return transformers.DistilBertConfig(
        **fields,
        dim=bert.hidden_size,
        hidden_dim=bert.intermediate_size,
        n_layers=layers,
        n_heads=bert.num_attention_heads,
        activation=bert.hidden_act,
        dropout=bert.hidden_dropout_prob,
        attention_dropout=bert.attention_probs_dropout_prob,
        seq_classif_dropout=bert.hidden_dropout_prob if head is None else head,
    )
