"""Train a tokenizer on a corpus, and save it as a plain fast tokenizer of transformers.

    bpe          byte pairs that are joined by frequency, as GPT-2; no unknown characters
    wordpiece    word pieces, as BERT: lower case by default, [UNK] for what has no pieces
    unigram      the likeliest pieces of a unigram model, as SentencePiece

A causal tokenizer has an end token; a masked one puts [CLS] and [SEP] around texts and has [MASK]
and [PAD]. Equal texts and settings give equal files.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from leanformer.core.storage.files import check_free, new_folder
from leanformer.data.corpus.texts import Corpus, stream
from leanformer.data.corpus.token_ids import KINDS
from leanformer.tasks import kind_named

Algorithm = Literal["bpe", "wordpiece", "unigram"]
ALGORITHMS = ("bpe", "wordpiece", "unigram")
_END = "<|endoftext|>"
_UNKNOWN, _PAD, _CLS, _SEP, _MASK = "[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]"
_CHARACTERS = 1000  # that WordPiece and Unigram take pieces of, the most frequent ones
_BATCH = 256  # texts that are handed over at once
_PARALLEL = "TOKENIZERS_PARALLELISM"


def train_tokenizer(
    corpus: Corpus,
    folder: Path,
    *,
    kind: str,
    max_length: int,
    algorithm: Algorithm | None = None,
    vocabulary: int = 30_000,
    lowercase: bool | None = None,
    characters: int = 2**30,
) -> Any:
    """Train a tokenizer on the texts of a corpus, and save it in `folder`.

    The library keeps a count of each different word in memory, so a large corpus is read up to
    `characters` only.

    Args:
        corpus: The texts.
        folder: Where its files go; `AutoTokenizer.from_pretrained` opens them.
        kind: "causal-lm" or "masked-lm".
        max_length: Tokens that its model will read; `model_max_length` of the tokenizer.
        algorithm: "bpe", "wordpiece" or "unigram"; None = BPE for causal models, WordPiece for
            masked ones.
        vocabulary: Tokens at most, special ones included.
        lowercase: Whether texts become lower case, without accents; None = with WordPiece.
        characters: Characters of the texts that are read, from the first on.

    Returns:
        The fast tokenizer.

    Raises:
        ValueError: The vocabulary is smaller than what every text needs, an argument is not one of
            those that are known, or a text cannot be read.
        FileExistsError: `folder` holds something.
        FileNotFoundError: There is no such file of the corpus.
    """
    if kind not in KINDS:
        raise ValueError(f"kind: {kind!r} is not {' or '.join(KINDS)}")
    causal = kind_named(kind).predicts_next
    chosen = algorithm or ("bpe" if causal else "wordpiece")
    if chosen not in ALGORITHMS:
        raise ValueError(f"algorithm: {chosen!r} is not one of {', '.join(ALGORITHMS)}")
    if max_length < 2:
        raise ValueError(f"max_length: {max_length} is too short for a text; give 2 or more")
    check_free(folder)
    special = [_END] if causal else [_PAD, _UNKNOWN, _CLS, _SEP, _MASK]
    if chosen != "bpe" and causal:
        special.append(_UNKNOWN)
    lower = chosen == "wordpiece" if lowercase is None else lowercase
    tokenizer, trainer = _made(chosen, vocabulary, special, lower)
    with _one_thread():  # sums in the order of threads would differ from run to run
        tokenizer.train_from_iterator(_batches(corpus, characters), trainer)
    if (size := tokenizer.get_vocab_size()) > vocabulary:
        raise ValueError(
            f"vocabulary: {vocabulary} tokens are fewer than the {size} characters and special "
            "tokens of these texts; give more"
        )
    if not causal:
        tokenizer.post_processor = _around(tokenizer)
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=max_length, **_names(causal, special)
    )
    with new_folder(folder) as temporary:
        made.save_pretrained(temporary)
    return made


def _made(
    algorithm: str, vocabulary: int, special: list[str], lower: bool
) -> tuple[Tokenizer, Any]:
    """An untrained tokenizer and its trainer."""
    common: dict[str, Any] = {
        "vocab_size": vocabulary,
        "special_tokens": special,
        "show_progress": False,
    }
    if algorithm == "bpe":
        tokenizer = Tokenizer(models.BPE())
        if lower:
            tokenizer.normalizer = _lowered()
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        return tokenizer, trainers.BpeTrainer(initial_alphabet=alphabet, **common)
    if algorithm == "wordpiece":
        tokenizer = Tokenizer(models.WordPiece(unk_token=_UNKNOWN))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lower)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece()
        return tokenizer, trainers.WordPieceTrainer(limit_alphabet=_CHARACTERS, **common)
    tokenizer = Tokenizer(models.Unigram())
    steps = [normalizers.NFKC(), *([_lowered()] if lower else [])]
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer, trainers.UnigramTrainer(unk_token=_UNKNOWN, **common)


def _lowered() -> Any:
    return normalizers.Sequence(
        [normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase(), normalizers.NFC()]
    )


def _around(tokenizer: Tokenizer) -> Any:
    """[CLS] text [SEP], and [CLS] text [SEP] second text [SEP]."""
    return processors.TemplateProcessing(
        single=f"{_CLS} $A {_SEP}",
        pair=f"{_CLS} $A {_SEP} $B:1 {_SEP}:1",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in (_CLS, _SEP)],
    )


def _names(causal: bool, special: list[str]) -> dict[str, str]:
    """The roles of the special tokens."""
    if not causal:
        return {
            "pad_token": _PAD,
            "unk_token": _UNKNOWN,
            "cls_token": _CLS,
            "sep_token": _SEP,
            "mask_token": _MASK,
        }
    unknown = {"unk_token": _UNKNOWN} if _UNKNOWN in special else {}
    return {"bos_token": _END, "eos_token": _END, **unknown}


def _batches(corpus: Corpus, characters: int) -> Iterator[list[str]]:
    """The texts in parts, up to so many characters."""
    texts, read = list[str](), 0
    for document in stream(corpus):
        texts.append(document.text)
        read += len(document.text)
        if len(texts) == _BATCH or read >= characters:
            yield texts
            texts = []
        if read >= characters:
            return
    if texts:
        yield texts


@contextmanager
def _one_thread() -> Iterator[None]:
    """Within it the tokenizers library uses the calling thread alone."""
    before = os.environ.get(_PARALLEL)
    os.environ[_PARALLEL] = "false"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_PARALLEL]
        else:
            os.environ[_PARALLEL] = before
