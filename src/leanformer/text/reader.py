"""From texts to token ids: the one piece of code that reads a text, in training and in serving.

    [CLS] first text [SEP] second text [SEP]        as the checkpoint's tokenizer files lay it out

A reader is a tokenizer whose settings never change after it is made: the limit, the side that is
cut and everything else that the tokenizer files name. Calls share no state, so any number of
threads may read at a time, and nothing here needs torch or transformers.

Long texts are cut before they are tokenized. A token rarely spells more than 8 characters, so for a
model with 128 tokens about 1,500 characters of a long text are tokenized, and more where these give
too few tokens. The ids are those of the whole text, cut. (Where both texts of a pair are too long,
their lengths in tokens are estimated from their characters; one token may move from one text to the
other.)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tokenizers import Encoding, Tokenizer

from leanformer.text.encoders import Encoder, HuggingFace
from leanformer.text.layout import Layout, layout_of, room_of_pair
from leanformer.text.words import first_tokens, join_words

_LONG_TOKEN = 8  # characters that are tokenized per token that may be read, at first
_MARGIN = 64  # tokens that are not read: near the cut a word may be split
_LONG_WORD = 1024  # characters; WordPiece makes one unknown token of words of more than a hundred


@dataclass(frozen=True)
class Reading:
    """A text, or a pair of texts, as a model reads it.

    Attributes:
        ids: Token ids, special tokens included, at most as many as the reader's limit.
        types: Token types, which tell the second text from the first; all 0 where the model's
            tokenizer does not use them.
        cut: Whether the text was longer than the limit.
        firsts: For a sentence of words, the first token of each word; None where the word was cut
            off or the tokenizer has no token for it.
    """

    ids: list[int]
    types: list[int]
    cut: bool
    firsts: tuple[int | None, ...] = ()


class _Tokens(NamedTuple):
    """Tokens of a text, or of the part of it that may be read.

    Attributes:
        ids: Their ids.
        offsets: Their characters in the whole text; empty where nobody asked.
        in_all: Number of tokens of the whole text, estimated where only a part was tokenized.
    """

    ids: list[int]
    offsets: list[tuple[int, int]]
    in_all: int


class Reader:
    """Reads texts, pairs and sentences of words.

    Attributes:
        max_length: Tokens that are read of a text, special ones included.
        pad_id: The id that fills short rows.
        tells_types: Whether the tokenizer tells the second text of a pair from the first.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        max_length: int,
        *,
        pad_id: int = 0,
        tells_types: bool = True,
        side: str = "right",
        split_special: bool = False,
        prefix: str = "",
        fast: Callable[[HuggingFace], Encoder | None] | None = None,
    ) -> None:
        """Take over `tokenizer`, which nothing else may set from now on.

        Args:
            tokenizer: What `tokenizer.json` describes.
            max_length: Tokens that are read of a text, special ones included.
            pad_id: The id that fills short rows.
            tells_types: Whether the second text of a pair has token types of its own.
            side: "right" or "left": where long texts are cut.
            split_special: Whether "[SEP]" in a text is plain text, not a special token.
            prefix: Text that is read before every text, e.g. a prompt.
            fast: Makes what gives the same ids faster, where nobody asks which characters a token
                covers, beside this tokenizer as it is set; it may give None.

        Raises:
            ValueError: The limit has no room for a text beside the special tokens.
        """
        tokenizer.no_padding()
        tokenizer.no_truncation()
        tokenizer.encode_special_tokens = split_special
        self._hugging_face = HuggingFace(tokenizer)
        self._fast = None if fast is None else fast(self._hugging_face)
        self._tokenizer, self.max_length, self._left = tokenizer, max_length, side == "left"
        self.pad_id, self.tells_types, self.prefix = pad_id, tells_types, prefix
        self._single, self._pair = layout_of(tokenizer, pair=False), layout_of(tokenizer, pair=True)
        if max_length <= self._pair.specials:
            raise ValueError(
                f"max_length: {max_length} tokens have no room for a text beside "
                f"{self._pair.specials} special tokens; give more"
            )

    def __call__(self, text: str) -> Encoding:
        """The encoding of one text, whatever its length: ids, tokens and their characters."""
        return self._tokenizer.encode(self.prefix + text)

    def read(
        self, texts: Sequence[str], pairs: Sequence[str] | None = None, *, parallel: bool = False
    ) -> list[Reading]:
        """Each text, or pair of texts, as a model reads it.

        Args:
            texts: Texts that `check_texts` let pass.
            pairs: Their second texts.
            parallel: Read with a thread per core; else in the calling thread alone.
        """
        if self.prefix:
            texts = [self.prefix + text for text in texts]
        first = self._encode(texts, parallel)
        if pairs is None:
            return [self._reading(self._single, one) for one in first]
        second = self._encode(pairs, parallel)
        return [self._reading(self._pair, a, b) for a, b in zip(first, second, strict=True)]

    def read_words(
        self, sentences: Sequence[Sequence[str]], *, parallel: bool = False
    ) -> list[Reading]:
        """Each sentence, its words joined by spaces, with the first token of each word."""
        joined = [join_words(words) for words in sentences]
        texts = [self.prefix + text for text, _ in joined]
        return [
            self._reading(
                self._single, one, words=first_tokens(one.offsets, places, len(self.prefix))
            )
            for one, (_, places) in zip(self._encode(texts, parallel, True), joined, strict=True)
        ]

    def _encode(
        self, texts: Sequence[str], parallel: bool, offsets: bool = False
    ) -> list["_Tokens"]:
        """At least as many tokens of each text as may be read of it, without special tokens."""
        shown = [self._shown(text, _LONG_TOKEN) for text in texts]
        found = self._tokenize(shown, parallel, offsets)
        return [
            _Tokens(ids, places, len(ids))
            if part is text
            else self._part(text, part, ids, places, offsets)
            for text, part, (ids, places) in zip(texts, shown, found, strict=True)
        ]

    def _tokenize(
        self, texts: Sequence[str], parallel: bool, offsets: bool
    ) -> list[tuple[list[int], list[tuple[int, int]]]]:
        """Ids and, where asked for, the characters of each token."""
        if self._fast is not None and not offsets:
            return [(ids, []) for ids in self._fast.ids(texts)]
        found = self._hugging_face.encodings(texts, parallel=parallel, offsets=offsets)
        return [(one.ids, one.offsets if offsets else []) for one in found]

    def _part(
        self,
        text: str,
        part: str,
        ids: list[int],
        places: list[tuple[int, int]],
        offsets: bool,
    ) -> "_Tokens":
        """The tokens of the part of a long text that may be read."""
        step = _LONG_TOKEN
        while part != text and len(ids) < self.max_length + _MARGIN:
            step *= 8
            part = self._shown(text, step)
            ids, places = self._tokenize([part], False, offsets)[0]
        in_all = round(len(ids) * len(text) / max(1, len(part)))
        begin = len(text) - len(part) if self._left else 0
        if begin:
            places = [(low + begin, high + begin) for low, high in places]
        return _Tokens(ids, places, in_all)

    def _shown(self, text: str, step: int) -> str:
        """The part of a text that is tokenized: `step` characters per token that may be read."""
        most = step * (self.max_length + _MARGIN)
        if len(text) <= most:
            return text
        return _tail(text, most) if self._left else _head(text, most)

    def _reading(
        self,
        layout: Layout,
        first: "_Tokens",
        second: "_Tokens | None" = None,
        words: Sequence[int | None] = (),
    ) -> Reading:
        """The row of one or two texts, each cut to its share of the limit."""
        room = self.max_length - layout.specials
        second = second or _Tokens([], [], 0)
        kept = room_of_pair(first.in_all, second.in_all, room)
        ids, types = layout.fill(self._cut(first.ids, kept[0]), self._cut(second.ids, kept[1]))
        gone = max(0, len(first.ids) - kept[0]) if self._left else 0
        return Reading(
            ids,
            types if self.tells_types else [0] * len(ids),
            kept != (first.in_all, second.in_all),
            tuple(
                layout.begin + token - gone
                if token is not None and gone <= token < gone + kept[0]
                else None
                for token in words
            ),
        )

    def _cut(self, ids: list[int], kept: int) -> list[int]:
        if kept >= len(ids):
            return ids
        return ids[len(ids) - kept :] if self._left else ids[:kept]


def _head(text: str, most: int) -> str:
    """The first characters, up to the end of a word; only words over 1,024 characters are split."""
    end = min(len(text), most + _LONG_WORD)
    return text[: next((i for i in range(most, end) if text[i].isspace()), end)]


def _tail(text: str, most: int) -> str:
    start = max(0, len(text) - most - _LONG_WORD)
    ends = range(len(text) - most, start, -1)
    return text[next((i for i in ends if text[i].isspace()), start) :]
