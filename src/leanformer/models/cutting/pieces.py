"""Which pieces of a subword vocabulary a corpus needs, and which must stay whatever the corpus.

Three rules make a cut vocabulary encode its corpus exactly as the whole one did:

- WordPiece takes the longest match: a match that the corpus uses is kept, and no other can win.
- BPE applies merges in order: for each kept piece, all pieces that its own merges pass through are
  kept too, and with them these merges. Merges that are left out were never applied.
- Unigram takes the likeliest path: the kept path was the best of more. The unlikeliest piece stays,
  because the penalty of an unknown character is measured from it.

And every single character (or byte) stays, so that what could be encoded still can be. A piece with
a character that has no piece of its own stays for the same reason.
"""

import re
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

_BYTE = re.compile(r"<0x[0-9A-F]{2}>")


class Pieces:
    """The pieces of one tokenizer.

    Args:
        backend: Its tokenizer.json, parsed.

    Raises:
        ValueError: The kind of its model is not known.
    """

    def __init__(self, backend: dict[str, Any]) -> None:
        model = backend["model"]
        self.kind = model["type"]
        if self.kind not in ("WordPiece", "BPE", "Unigram"):
            raise ValueError(
                f"a {self.kind} tokenizer cannot be cut; WordPiece, BPE and Unigram tokenizers can"
            )
        affixes = ("end_of_word_suffix", "continuing_subword_prefix")
        if self.kind == "BPE" and any(model.get(affix) for affix in affixes):
            raise ValueError(
                "a BPE tokenizer whose pieces carry a prefix or a suffix cannot be cut"
            )
        vocabulary = model["vocab"]
        self.ids: dict[str, int] = (
            {piece: number for number, (piece, _) in enumerate(vocabulary)}
            if self.kind == "Unigram"
            else dict(vocabulary)
        )
        self.by_id = {number: piece for piece, number in self.ids.items()}
        self.prefix: str = model.get("continuing_subword_prefix") or ""
        self.ranks = {_pair(merge): rank for rank, merge in enumerate(model.get("merges", []))}
        self.added = {token["id"] for token in backend["added_tokens"]}
        self.fixed = self._fixed(model)

    def needed(self, number: int) -> set[int]:
        """The ids that must be kept for id `number` to be reached."""
        if number not in self.by_id:
            return {number}  # an added token, matched before the model sees the text
        if self.kind != "BPE":
            return {number}
        return {self.ids[part] for part in self._passed_through(self.by_id[number])}

    def _fixed(self, model: dict[str, Any]) -> set[int]:
        """Ids that stay whatever the corpus."""
        fixed = set(self.added)
        for piece, number in self.ids.items():
            parts = self._characters(piece)
            if len(parts) == 1 or _BYTE.fullmatch(piece) or any(p not in self.ids for p in parts):
                fixed.add(number)
        if model.get("unk_token") in self.ids:
            fixed.add(self.ids[model["unk_token"]])
        if self.kind == "Unigram":
            scores = [score for _, score in model["vocab"]]
            fixed |= {scores.index(min(scores)), model["unk_id"] or 0}
        return fixed

    def _characters(self, piece: str) -> list[str]:
        """The smallest pieces that spell `piece`."""
        if self.kind != "WordPiece":
            return list(piece)
        start = piece.startswith(self.prefix) and piece != self.prefix
        body = piece[len(self.prefix) :] if start else piece
        spelled = [self.prefix + character for character in body]
        return spelled if start else [body[:1], *spelled[1:]]

    def _passed_through(self, piece: str) -> set[str]:
        """All pieces on the way from the characters of `piece` to itself, by its merges."""
        parts = list(piece)
        passed = {piece, *(part for part in parts if part in self.ids)}
        while len(parts) > 1:
            pairs = list(pairwise(parts))
            best = min(range(len(pairs)), key=lambda at: self.ranks.get(pairs[at], len(self.ranks)))
            if pairs[best] not in self.ranks:
                break  # a piece that no merges make: it is matched whole
            parts[best : best + 2] = ["".join(pairs[best])]
            passed.add(parts[best])
        return passed


def choose(
    pieces: Pieces, used: Counter[int], fixed: Iterable[int], min_count: int, size: int | None
) -> list[int]:
    """The ids to keep, ascending: the fixed ones, then the most used as far as `size` allows.

    Raises:
        ValueError: The fixed ones alone are more than `size`.
    """
    kept = set(fixed)
    if size is not None and len(kept) > size:
        raise ValueError(
            f"size is {size}, and {len(kept)} pieces cannot go (special tokens, single characters)"
        )
    for number, count in sorted(used.items(), key=lambda item: (-item[1], item[0])):
        if count < min_count:
            break
        needed = pieces.needed(number)
        if size is not None and len(kept | needed) > size:
            break
        kept |= needed
    return sorted(kept)


def _pair(merge: Any) -> tuple[str, str]:
    """A merge as older files write it ("a b") or as newer ones do (["a", "b"])."""
    first, second = merge.split(" ") if isinstance(merge, str) else merge
    return first, second
