"""Tokenizers that learn their vocabulary from texts, each in the usual form of its kind.

    bpe          byte level, nothing is unknown                    Sennrich et al. 2016; GPT-2
    wordpiece    pieces of words, those that continue with "##"    Schuster & Nakajima 2012; BERT
    unigram      pieces with log probabilities                     Kudo 2018; SentencePiece

Equal texts give equal tokenizers. The library takes words in a random order, so that WordPiece's
numbers of characters and Unigram's sums come out otherwise each time: characters are counted ahead
and numbered here, and log probabilities are rounded to eight decimals.
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

UNKNOWN = "[UNK]"
_CONTINUES = "##"
_CHARACTERS = 1000  # that WordPiece makes pieces of, the most frequent ones
_DECIMALS = 8
_PARALLEL = "TOKENIZERS_PARALLELISM"
_BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())

Batches = Callable[[], Iterator[list[str]]]


@dataclass(frozen=True)
class Asked:
    """What a tokenizer should be.

    Attributes:
        vocabulary: Tokens at most, special ones included.
        special: Special tokens, which get the first ids.
        lower: Whether texts become lower case, without accents.
    """

    vocabulary: int
    special: tuple[str, ...]
    lower: bool

    def require(self, least: int) -> None:
        """Refuse a vocabulary that is too small for single characters.

        Raises:
            ValueError: It has fewer than `least` tokens.
        """
        if self.vocabulary < least:
            raise ValueError(
                f"vocabulary: {self.vocabulary} tokens are fewer than the {least} characters and "
                "special tokens of these texts; give more"
            )

    def trainer(self, made: Any, **settings: Any) -> Any:
        """A trainer of the library, with what all of them are told."""
        common = {"vocab_size": self.vocabulary, "special_tokens": list(self.special)}
        return made(**{**common, "show_progress": False, **settings})


def bpe(texts: Batches, asked: Asked) -> Tokenizer:
    """Byte pairs that are joined by frequency."""
    asked.require(len(_BYTES) + len(asked.special))
    tokenizer = Tokenizer(models.BPE())
    if asked.lower:
        tokenizer.normalizer = _lowered()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    _train(tokenizer, texts, asked.trainer(trainers.BpeTrainer, initial_alphabet=_BYTES))
    return tokenizer


def wordpiece(texts: Batches, asked: Asked) -> Tokenizer:
    """Word pieces; the texts are read twice."""
    tokenizer = Tokenizer(models.WordPiece(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=asked.lower)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    characters = _frequent(texts, tokenizer.normalizer)
    inner = [f"{_CONTINUES}{one}" for one in characters]
    asked.require(len(asked.special) + 2 * len(characters))
    # numbered as special tokens, in this order; plain ones are made of them below
    trainer = asked.trainer(
        trainers.WordPieceTrainer,
        special_tokens=[*asked.special, *characters, *inner],
        initial_alphabet=characters,
        limit_alphabet=len(characters),
    )
    _train(tokenizer, texts, trainer)
    learned = json.loads(tokenizer.to_str())["model"]["vocab"]
    made = Tokenizer(models.WordPiece(learned, unk_token=UNKNOWN))
    made.normalizer, made.pre_tokenizer = tokenizer.normalizer, tokenizer.pre_tokenizer
    made.decoder = decoders.WordPiece(prefix=_CONTINUES)
    made.add_special_tokens(list(asked.special))
    return made


def unigram(texts: Batches, asked: Asked) -> Tokenizer:
    """The likeliest pieces under a unigram model."""
    tokenizer = Tokenizer(models.Unigram())
    steps = [normalizers.NFKC(), *([_lowered()] if asked.lower else [])]
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    try:
        _train(tokenizer, texts, asked.trainer(trainers.UnigramTrainer, unk_token=UNKNOWN))
    except Exception as error:  # the library raises bare Exception
        if "not large enough" not in str(error):
            raise
        raise ValueError(
            f"vocabulary: {asked.vocabulary} tokens are fewer than the characters of these texts "
            "and special tokens; give more"
        ) from error
    learned = json.loads(tokenizer.to_str())["model"]["vocab"]
    first = learned[: len(asked.special)]
    rest = [(piece, round(score, _DECIMALS)) for piece, score in learned[len(first) :]]
    rest.sort(key=lambda pair: (-pair[1], pair[0]))
    pieces = [*((piece, score) for piece, score in first), *rest]
    tokenizer.model = models.Unigram(pieces, unk_id=asked.special.index(UNKNOWN))
    return tokenizer


TRAINED: dict[str, Callable[[Batches, Asked], Tokenizer]] = {
    "bpe": bpe,
    "wordpiece": wordpiece,
    "unigram": unigram,
}
"""The algorithms by name: `(texts, asked)` → a trained tokenizer."""


def _frequent(texts: Batches, normalizer: Any) -> list[str]:
    """The most frequent characters of texts, sorted."""
    counts = Counter[str]()
    for batch in texts():
        for text in batch:
            counts.update(normalizer.normalize_str(text))
    known = sorted((-count, one) for one, count in counts.items() if not one.isspace())
    return sorted(one for _, one in known[:_CHARACTERS])


def _lowered() -> Any:
    return normalizers.Sequence(
        [normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase(), normalizers.NFC()]
    )


def _train(tokenizer: Tokenizer, texts: Batches, trainer: Any) -> None:
    """Train in the calling thread: sums in the order of threads would differ from run to run."""
    before = os.environ.get(_PARALLEL)
    os.environ[_PARALLEL] = "false"
    try:
        tokenizer.train_from_iterator(texts(), trainer)
    finally:
        if before is None:
            del os.environ[_PARALLEL]
        else:
            os.environ[_PARALLEL] = before
