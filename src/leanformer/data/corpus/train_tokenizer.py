"""Train a tokenizer on a corpus, and save it as a plain fast tokenizer of transformers.

    bpe          byte pairs that are joined by frequency, as GPT-2; no unknown characters
    wordpiece    word pieces, as BERT: lower case by default, [UNK] for what has no pieces
    unigram      the likeliest pieces of a unigram model, as SentencePiece

A causal tokenizer has an end token; a masked one puts [CLS] and [SEP] around texts and has [MASK]
and [PAD]. Equal texts and settings give equal files.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from tokenizers import Tokenizer, processors
from transformers import PreTrainedTokenizerFast

from leanformer.core.storage.files import check_free, new_folder
from leanformer.data.corpus.texts import Corpus, stream
from leanformer.data.corpus.token_ids import KINDS
from leanformer.data.corpus.vocabularies import TRAINED, UNKNOWN, Asked
from leanformer.tasks import kind_named

Algorithm = Literal["bpe", "wordpiece", "unigram"]
_END = "<|endoftext|>"
_PAD, _CLS, _SEP, _MASK = "[PAD]", "[CLS]", "[SEP]", "[MASK]"
_BATCH = 256  # texts that are handed over at once
_INPUTS, _TYPES = ["input_ids", "attention_mask"], "token_type_ids"


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
    if chosen not in TRAINED:
        raise ValueError(f"algorithm: {chosen!r} is not one of {', '.join(TRAINED)}")
    if max_length < 2:
        raise ValueError(f"max_length: {max_length} is too short for a text; give 2 or more")
    check_free(folder)
    special = [_END] if causal else [_PAD, UNKNOWN, _CLS, _SEP, _MASK]
    if chosen != "bpe" and causal:
        special.append(UNKNOWN)
    asked = Asked(
        vocabulary, tuple(special), chosen == "wordpiece" if lowercase is None else lowercase
    )
    trained = TRAINED[chosen](lambda: _batches(corpus, characters), asked)
    if not causal:
        trained.post_processor = _around(trained, types=chosen == "wordpiece")
    made = PreTrainedTokenizerFast(
        tokenizer_object=trained,
        model_max_length=max_length,
        model_input_names=_INPUTS if causal or chosen != "wordpiece" else [*_INPUTS, _TYPES],
        **_names(causal, special),
    )
    with new_folder(folder) as temporary:
        made.save_pretrained(temporary)
    return made


def _around(tokenizer: Tokenizer, *, types: bool) -> Any:
    """[CLS] text [SEP], and [CLS] text [SEP] second text [SEP]."""
    second = "1" if types else "0"
    return processors.TemplateProcessing(
        single=f"{_CLS} $A {_SEP}",
        pair=f"{_CLS} $A {_SEP} $B:{second} {_SEP}:{second}",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in (_CLS, _SEP)],
    )


def _names(causal: bool, special: list[str]) -> dict[str, str]:
    """The roles of the special tokens."""
    if not causal:
        return {
            "pad_token": _PAD,
            "unk_token": UNKNOWN,
            "cls_token": _CLS,
            "sep_token": _SEP,
            "mask_token": _MASK,
        }
    unknown = {"unk_token": UNKNOWN} if UNKNOWN in special else {}
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
