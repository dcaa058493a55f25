"""Phrases as tokens of a model: added to tokenizer.json, with embeddings begun from their parts.

    "how do i get a refund ?"    how · do · i · get · a · re · ##fund · ?     8 tokens
                                 how do i · get a · refund · ?                4 tokens

They are added tokens that match between words alone, on the text as the tokenizer normalizes it
("Café" is read as "cafe" is), and the longest that begins at a word wins. Every program that reads
tokenizer.json does so. Texts without any of the phrases have the tokens that they had.

An added token cuts the text in two, and each half is tokenized by itself. That changes nothing
where words are split at spaces and punctuation before pieces are looked for: WordPiece as BERT has
it, and byte-level BPE, whose phrases take the space before them along. (BERT does not split symbols
off: in "€1 fee" it reads ##1, and beside the phrase "1 fee" it does not.) Pieces of Unigram and of
other BPE tokenizers reach over these places: half a text would be read as one that begins there.
"""

from collections.abc import Sequence
from typing import Any

from leanformer.models.anatomy import require_prunable
from leanformer.models.cutting.embedding_rows import append_rows
from leanformer.models.cutting.tokenizer_json import append_tokens, backend_of


def add_phrases(model: Any, tokenizer: Any, phrases: Sequence[str]) -> Any:
    """Make tokens of `phrases`: `model` grows in place, and its new tokenizer is returned.

    Args:
        model: A transformers model of a known family, with any head.
        tokenizer: Its fast tokenizer, with as many tokens as the model has word embeddings.
        phrases: Words joined by spaces, as the tokenizer's normalizer leaves them.

    Raises:
        ValueError: The tokenizer cannot have phrases, has one of them, or has another number of
            tokens than the model. Nothing was changed.
    """
    anatomy = require_prunable(model)
    takes_space = check_phrases(tokenizer)
    known = tokenizer.get_vocab()
    double = [phrase for phrase in phrases if phrase in known]
    if double:
        raise ValueError(
            f"phrases: {double[0]!r} is a token of the vocabulary already; add phrases once, to a "
            "model that has none"
        )
    rows = anatomy.word_embeddings(model).num_embeddings
    if rows != len(known):
        raise ValueError(
            f"phrases: the model has {rows} word embeddings and its tokenizer {len(known)} tokens, "
            "so that new ones would have other rows; cut the vocabulary first"
        )
    parts = spelled_out(tokenizer, phrases, takes_space)
    grown = append_tokens(tokenizer, phrases, rows, lstrip=takes_space)
    if phrases:
        append_rows(model, parts)
    return grown


def spelled_out(tokenizer: Any, contents: Sequence[str], after_space: bool) -> list[list[int]]:
    """The ids that spell each of `contents` in the middle of a text.

    Args:
        tokenizer: A fast tokenizer that has no token for any of them.
        contents: Words joined by spaces.
        after_space: Whether the space before the words belongs to their pieces.
    """
    shown = [f" {content}" if after_space else content for content in contents]
    if not shown:
        return []
    found: list[list[int]] = tokenizer(shown, add_special_tokens=False)["input_ids"]
    return found


def check_phrases(tokenizer: Any) -> bool:
    """Whether phrases of this tokenizer take the space before them along.

    Raises:
        ValueError: Text beside a phrase would be read otherwise than without it.
    """
    backend = backend_of(tokenizer)
    split = backend.get("pre_tokenizer") or {}
    kind, by = backend["model"]["type"], split.get("type", "nothing")
    if kind == "WordPiece" and by == "BertPreTokenizer":
        return False
    if kind == "BPE" and by == "ByteLevel" and not split.get("add_prefix_space"):
        return True
    raise ValueError(
        f"phrases: this tokenizer ({kind} after {by}) would read the text beside a phrase as the "
        "beginning of a text, with other pieces than without the phrase; WordPiece that splits "
        "words as BERT does and byte-level BPE without a space in front can have phrases, so set "
        "phrases = 0 here"
    )
