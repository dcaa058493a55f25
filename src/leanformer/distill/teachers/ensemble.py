"""Several teachers as one: a model that answers with their average.

    classes, tokens    log( 1/K sum_k softmax(z_k) )       log-probabilities, which serve as logits
    numbers            1/K sum_k z_k
    labels, rankings   log p - log(1 - p)    of p = 1/K sum_k sigmoid(z_k), of each label for itself
    vectors            1/K sum_k e_k, each pooled as its teacher says; normalized if they are

Probabilities are averaged and not logits: a teacher that is sure then weighs no more than one that
is not. Hidden states are averaged only where all teachers are of one shape and it was asked for:
channel 7 of one model means nothing in another, unless both began with the same weights.

Legend: K teachers.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from leanformer.core import codec
from leanformer.distill.objective import Objective, dims_of
from leanformer.models.embedding import FIELD, embedding_of, text_vectors
from leanformer.numerics.widen import widened
from leanformer.tasks import kind_named

_WHOSE = (
    "teachers: hidden states of several teachers are not compared, for whose would they be? "
    "Compare outputs alone, or set average_hidden = true where all began with the same weights"
)


@dataclass(frozen=True)
class Answer:
    """What an ensemble says, in the words of transformers' outputs.

    Attributes:
        logits: Averaged; None for embedding.
        last_hidden_state: For embedding: the mean of the teachers' vectors, at every token, so that
            pooling by the mean gives it back.
        hidden_states: Averaged, where asked for.
    """

    logits: Tensor | None = None
    last_hidden_state: Tensor | None = None
    hidden_states: tuple[Tensor, ...] = ()


class Ensemble(nn.Module):
    """Answers like one model of transformers, with the average of several.

    Args:
        teachers: Two or more models that have the same head; the first one's configuration and
            embeddings stand for all.
        kind: Kind of the task.
        average_hidden: Average hidden states too.
        same_ids: Whether all read the same token ids, so that they must have the same prompt, and
            `forward` asks them all; False = each reads texts by itself
            (`leanformer.distill.teachers.reading`).

    Raises:
        ValueError: Their heads differ, some normalize their vectors and some do not, their prompts
            differ, or hidden states are to be averaged and the shapes differ.
    """

    def __init__(
        self,
        teachers: Sequence[Any],
        kind: str,
        average_hidden: bool = False,
        same_ids: bool = True,
    ) -> None:
        super().__init__()
        assert len(teachers) > 1, "one teacher needs no average"
        _check_widths(teachers, kind)
        if average_hidden:
            _check_shapes(teachers)
        self.models = nn.ModuleList(teachers)
        self.kind, self.average_hidden = kind, average_hidden
        self.config = _config(teachers, kind, same_ids)

    def get_input_embeddings(self) -> Any:
        """The first teacher's."""
        return self.models[0].get_input_embeddings()  # type: ignore[operator]

    def forward(self, output_hidden_states: bool = False, **inputs: Tensor) -> Answer:
        """What the teachers say on average.

        Raises:
            ValueError: Hidden states are asked for, and they are not averaged.
        """
        if output_hidden_states and not self.average_hidden:
            raise ValueError(_WHOSE)
        said = [model(**inputs, output_hidden_states=output_hidden_states) for model in self.models]
        levels: tuple[Tensor, ...] = ()
        if output_hidden_states:
            levels = tuple(
                torch.stack(level).mean(0)
                for level in zip(*(one.hidden_states for one in said), strict=True)
            )
        if kind_named(self.kind).output == "vector":
            mask_BT = inputs["attention_mask"]
            vectors = [
                text_vectors(model, one.last_hidden_state, mask_BT)
                for model, one in zip(self.models, said, strict=True)
            ]
            mean_BD = torch.stack(vectors).mean(0)  # pooling normalizes it, as `config` says
            state_BTD = mean_BD.unsqueeze(1).expand(-1, mask_BT.shape[1], -1)
            return Answer(last_hidden_state=state_BTD, hidden_states=levels)
        logits = average_answers([one.logits for one in said], self.kind)
        return Answer(logits=logits, hidden_states=levels)


def check_comparable(objectives: Sequence[Objective], average_hidden: bool) -> None:
    """Refuse objectives that several teachers have no common answer to.

    Raises:
        ValueError: Attention is compared, or hidden states without being averaged.
    """
    if any(objective.needs_attention for objective in objectives):
        raise ValueError(
            "teachers: heads of several teachers have no average, for head 3 of one does not do "
            "what head 3 of another does; compare outputs alone"
        )
    if any(objective.needs_hidden for objective in objectives) and not average_hidden:
        raise ValueError(_WHOSE)


def average_answers(logits: Sequence[Tensor], kind: str) -> Tensor:
    """Logits whose softmax is the mean of the teachers' softmax; for regression their mean."""
    stacked = widened(torch.stack(list(logits)))
    output = kind_named(kind).output
    if output == "numbers":
        return stacked.mean(0)
    if output == "decisions":
        yes, no = (F.logsigmoid(sign * stacked).logsumexp(0) for sign in (1, -1))
        return yes - no
    return F.log_softmax(stacked, dim=-1).logsumexp(0) - math.log(len(logits))


def average_vectors(teachers: Sequence[Any], vectors: Sequence[Tensor]) -> Tensor:
    """The mean of the teachers' vectors [B, D], normalized where theirs are."""
    mean_BD = torch.stack(list(vectors)).mean(0)
    return F.normalize(mean_BD, dim=-1) if embedding_of(teachers[0]).pooling.normalize else mean_BD


def _config(teachers: Sequence[Any], kind: str, same_ids: bool) -> Any:
    """The first teacher's configuration; vectors that are averaged already are pooled by the mean.

    Raises:
        ValueError: The teachers' vectors have no common form.
    """
    if kind_named(kind).output != "vector":
        return teachers[0].config
    first, *others = [embedding_of(teacher) for teacher in teachers]
    for other in others:
        if other.pooling.normalize != first.pooling.normalize:
            raise ValueError(
                "teachers: some normalize their vectors and some do not, which have no average; "
                "name teachers of one kind"
            )
        if same_ids and other.prompt != first.prompt:
            raise ValueError(
                f"teachers: their prompts are {first.prompt!r} and {other.prompt!r}; a batch is "
                "encoded once and all teachers read the same, so name teachers of one prompt"
            )
    config = copy.deepcopy(teachers[0].config)
    mean = replace(first, pooling=replace(first.pooling, mode="mean"))
    setattr(config, FIELD, codec.encode(mean))
    return config


def _check_widths(teachers: Sequence[Any], kind: str) -> None:
    """Whether all answer with as many numbers."""
    about = kind_named(kind)
    if about.output == "vector":
        widths = [dims_of(teacher).hidden for teacher in teachers]
    elif about.form is None:
        widths = [teacher.config.vocab_size for teacher in teachers]
    else:
        widths = [teacher.config.num_labels for teacher in teachers]
    if len(set(widths)) > 1:
        raise ValueError(
            f"teachers: their outputs are {', '.join(map(str, widths))} wide and have no average; "
            "name teachers of one width"
        )


def _check_shapes(teachers: Sequence[Any]) -> None:
    shapes = {(type(teacher).__name__, dims_of(teacher)) for teacher in teachers}
    if len(shapes) > 1:
        names = "; ".join(sorted(f"{name} {dims}" for name, dims in shapes))
        raise ValueError(
            f"average_hidden: the teachers are not of one architecture ({names}), so their hidden "
            "states have no average; compare outputs alone"
        )
