"""How a teacher reads the token ids of a student whose vocabulary was made from the teacher's.

    student   [CLS]  how do i  get  a  refund        [SEP]      T tokens
    teacher   [CLS]  how do i  get  a  re ##fund     [SEP]      S tokens

Each of the student's ids stands for one id of the teacher (a cut vocabulary has fewer, under other
numbers) or for several (a phrase, spelled out). The teacher reads all parts; what it computes for
them is compared with the student's one token:

    hidden state    h_t = 1/|P_t| sum_{s in P_t} h_s       the mean of the parts
    answer          z_t = z_s, s the first of P_t          the first token of a word is labeled

Legend: B batch, T token of the student, S token of the teacher, P part, V vocabulary, D width.
"""

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from leanformer.data import Encoded
from leanformer.distill.objective import Objective, Outputs
from leanformer.models.cutting.phrase_tokens import spelled_out
from leanformer.models.cutting.tokenizer_json import backend_of
from leanformer.models.io.tokenizer_files import usable_positions
from leanformer.tasks import kind_named


@dataclass(frozen=True)
class Translation:
    """The teacher's ids for each id of the student.

    Attributes:
        parts_VP: The ids, filled up on the right.
        count_V: How many of them count.
        padding: The teacher's id of padding.
    """

    parts_VP: Tensor
    count_V: Tensor
    padding: int = 0

    @property
    def spreads(self) -> bool:
        """Whether a token of the student may be several of the teacher's."""
        return self.parts_VP.shape[1] > 1

    def to(self, device: torch.device) -> "Translation":
        """The same, with its tables on `device`."""
        return replace(self, parts_VP=self.parts_VP.to(device), count_V=self.count_V.to(device))

    def described(self) -> list[Any]:
        """Both tables as lists, by which one translation is told from another."""
        if not self.spreads:
            return list(self.parts_VP[:, 0].cpu().tolist())
        return [self.parts_VP.cpu().tolist(), self.count_V.cpu().tolist(), self.padding]

    def counts(self, encoded: Encoded) -> list[list[int]]:
        """How many tokens of the teacher each token of each text is."""
        counts = self.count_V.cpu().tolist()
        return [[counts[number] for number in row["input_ids"]] for row in encoded.rows]

    def read(self, inputs: dict[str, Tensor]) -> "Spread":
        """What the teacher reads for `inputs` of the student, [B, T] and padded on the right."""
        ids_BT, keep_BT = inputs["input_ids"], inputs["attention_mask"].bool()
        count_BT = self.count_V[ids_BT] * keep_BT
        ends_BT = count_BT.cumsum(1)
        starts_BT = ends_BT - count_BT
        where_BS = torch.arange(int(ends_BT[:, -1].max()), device=ids_BT.device)
        where_BS = where_BS.expand(len(ids_BT), -1).contiguous()
        real_BS = where_BS < ends_BT[:, -1:]
        owner_BS = torch.searchsorted(ends_BT, where_BS, right=True).clamp(max=ids_BT.shape[1] - 1)
        within_BS = torch.where(real_BS, where_BS - starts_BT.gather(1, owner_BS), 0)
        read = {name: value.gather(1, owner_BS) * real_BS for name, value in inputs.items()}
        said_BS = self.parts_VP[ids_BT.gather(1, owner_BS), within_BS]
        read["input_ids"] = torch.where(real_BS, said_BS, self.padding)
        return Spread(read, starts_BT, count_BT)


@dataclass(frozen=True)
class Spread:
    """A batch as the teacher reads it, and where each of the student's tokens is in it.

    Attributes:
        inputs: The teacher's inputs, each [B, S].
        starts_BT: The first part of each of the student's tokens.
        count_BT: The number of its parts; 0 for padding.
    """

    inputs: dict[str, Tensor]
    starts_BT: Tensor
    count_BT: Tensor

    def gathered(self, said: Outputs, keep_BT: Tensor) -> Outputs:
        """The teacher's outputs, one per token of the student.

        Args:
            said: What the teacher says about `inputs`; logits [B, S, C], or [B, C] as they are.
            keep_BT: True at the student's real tokens.
        """
        assert not said.attention, "attention is compared token by token"
        logits = said.logits
        if logits.dim() == 3:
            logits = _picked(logits, self.starts_BT)
        hidden = tuple(self._mean(level_BSD) for level_BSD in said.hidden)
        return Outputs(logits, hidden, keep_BT)

    def _mean(self, states_BSD: Tensor) -> Tensor:
        """The mean of the parts of each token, [B, T, D]; 0 for padding."""
        total_BTD = torch.zeros((), device=states_BSD.device)
        for part in range(int(self.count_BT.max())):
            there_BT1 = (part < self.count_BT).unsqueeze(2)
            total_BTD = total_BTD + there_BT1 * _picked(states_BSD, self.starts_BT + part).float()
        mean_BTD = total_BTD / self.count_BT.clamp(min=1).unsqueeze(2)
        return mean_BTD.to(states_BSD.dtype)


def _picked(values_BSD: Tensor, where_BT: Tensor) -> Tensor:
    """`values_BSD` at these tokens, [B, T, D]; anything where there is no such token."""
    where_BT = where_BT.clamp(max=values_BSD.shape[1] - 1)
    return values_BSD.gather(1, where_BT.unsqueeze(2).expand(-1, -1, values_BSD.shape[2]))


def translation(student: Any, teacher: Any) -> Translation | None:
    """The teacher's ids for each of the student's; None where they are the same.

    The student's vocabulary may be a part of the teacher's (a cut one), with phrases added. The
    teacher then reads the student's pieces, so that hidden states of one token can be compared.

    Args:
        student: The student's tokenizer.
        teacher: The teacher's tokenizer.

    Raises:
        ValueError: The student has a token that the teacher does not have and cannot spell.
    """
    ours, theirs = student.get_vocab(), teacher.get_vocab()
    if ours == theirs:
        return None
    strange = strangers(student, teacher)
    if strange:
        raise ValueError(
            f"the student's tokenizer has {len(strange)} tokens that the teacher's has not, e.g. "
            f"{strange[0]!r}; distil between models of one vocabulary, or of a cut of it"
        )
    parts = {token: [theirs[token]] for token in ours if token in theirs}
    for after_space in (False, True):
        contents = [
            token
            for token, takes_space in phrases_of(student).items()
            if token not in theirs and takes_space == after_space
        ]
        parts |= dict(zip(contents, spelled_out(teacher, contents, after_space), strict=True))
    size = max(ours.values()) + 1
    table_VP = torch.zeros(size, max(map(len, parts.values())), dtype=torch.long)
    count_V = torch.ones(size, dtype=torch.long)
    for token, index in ours.items():
        count_V[index] = len(parts[token])
        table_VP[index, : len(parts[token])] = torch.tensor(parts[token])
    return Translation(table_VP, count_V, teacher.pad_token_id or 0)


def strangers(student: Any, teacher: Any) -> list[str]:
    """The student's tokens that the teacher does not have and cannot spell, in order."""
    ours, theirs = set(student.get_vocab()), set(teacher.get_vocab())
    missing = ours - theirs
    return sorted(missing - set(phrases_of(student))) if missing else []


def phrases_of(tokenizer: Any) -> dict[str, bool]:
    """The phrases that were added to a tokenizer, and whether each takes the space before it."""
    return {
        token["content"]: token["lstrip"]
        for token in backend_of(tokenizer)["added_tokens"]
        if token["single_word"] and not token["special"]
    }


def check_spread(translate: Translation | None, objectives: Sequence[Objective], kind: str) -> None:
    """Refuse what needs one token of the teacher for each token of the student.

    Raises:
        ValueError: An objective compares attention, or the task is to find hidden words, and the
            student has phrases.
    """
    if translate is None or not translate.spreads:
        return
    why = "and the student's phrases are several tokens of the teacher each"
    for objective in objectives:
        if objective.needs_attention:
            name = objective.technique  # type: ignore[attr-defined]
            raise ValueError(
                f"objectives: {name} compares what each token attends to, {why}; use hidden-states "
                "or objectives that compare answers, or cut the vocabulary without phrases"
            )
    if kind_named(kind).hides_words:
        raise ValueError(
            f"distill: {kind} compares the words that both models find token by token, {why}; cut "
            "the vocabulary without phrases"
        )


def check_room(translate: Translation | None, encoded: Encoded, teachers: Sequence[Any]) -> None:
    """Refuse texts that are too long for a teacher once their phrases are spelled out.

    Args:
        translate: How the teachers read the student's ids.
        encoded: The texts as the student reads them.
        teachers: The models of the teachers.

    Raises:
        ValueError: There is one.
    """
    if translate is None or not translate.spreads:
        return
    limits = [usable_positions(one) for one in teachers]
    limit = min((one for one in limits if one is not None), default=None)
    ends = [list(accumulate(counts)) for counts in translate.counts(encoded)]
    longest = max(ends, key=lambda one: one[-1])
    if limit is not None and longest[-1] > limit:
        fits = 1 + min(bisect(one, limit - 1) for one in ends if one[-1] > limit)
        raise ValueError(
            f"max_length: a text is {len(longest)} tokens of the student, whose phrases spelled "
            f"out are {longest[-1]} tokens of the teacher, and it reads {limit}; set max_length to "
            f"{fits} or less"
        )
