"""The vocabulary cut to what a corpus needs: the tokenizer rewritten, the embedding rows gathered.

Word embeddings are most of a small encoder (MiniLM-L6: 11.7 of 22.7 million parameters), and a task
uses a small part of them. On the texts that it was cut for, the cut model gives the same outputs to
the last bit: the same pieces, the same rows under new numbers. On other texts, words whose pieces
went are spelled out in smaller ones.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from leanformer.models.anatomy import Anatomy, require_prunable
from leanformer.models.cutting.embedding_rows import gather_rows, id_fields
from leanformer.models.cutting.pieces import Pieces, choose
from leanformer.models.cutting.tokenizer_json import backend_of, cut_tokenizer
from leanformer.models.lean.per_layer_shapes import configurations
from leanformer.text.texts import repair

_BATCH = 1000


def cut_vocabulary(
    model: Any,
    tokenizer: Any,
    texts: Iterable[str] = (),
    *,
    keep_ids: Iterable[int] = (),
    min_count: int = 1,
    size: int | None = None,
) -> tuple[Any, list[int]]:
    """Cut the vocabulary of `model`, in place, and give its new tokenizer and the ids it kept.

    Args:
        model: A transformers model of a known family, with any head.
        tokenizer: Its fast tokenizer, which is left as it is.
        texts: The corpus; both texts of a pair count, words count joined by spaces.
        keep_ids: Pieces to keep besides.
        min_count: Keep pieces that occur at least so often in `texts`.
        size: At most so many pieces, the most frequent first.

    Returns:
        The new tokenizer, and the kept ids of the old one in the order of their new ids.

    Raises:
        ValueError: Unknown architecture or tokenizer, no fast tokenizer, ids out of range, or a
            size below what cannot go. Nothing was changed.
    """
    anatomy = require_prunable(model)
    pieces = Pieces(backend_of(tokenizer))
    extra = set(keep_ids)
    known = set(pieces.by_id) | pieces.added
    if extra - known:
        raise ValueError(f"keep_ids: {min(extra - known)} is not an id of the tokenizer")
    if min_count < 1:
        raise ValueError(f"min_count is {min_count}; it must be at least 1")
    rows = anatomy.word_embeddings(model).num_embeddings
    if max(known) >= rows:
        raise ValueError(
            f"the tokenizer has ids up to {max(known)} and the model {rows} embeddings; "
            "this is not the model's tokenizer"
        )
    fixed = pieces.fixed | (_special_ids(anatomy, model) & known)
    for number in extra:
        fixed |= pieces.needed(number)
    kept = choose(pieces, count_pieces(tokenizer, texts), fixed, min_count, size)
    cut = cut_tokenizer(tokenizer, kept)
    gather_rows(model, kept)
    return cut, kept


def count_pieces(tokenizer: Any, texts: Iterable[str]) -> Counter[int]:
    """How often each id occurs in the texts, special tokens aside."""
    counts: Counter[int] = Counter()
    entries = [repair(text) for text in texts]
    for start in range(0, len(entries), _BATCH):
        batch = entries[start : start + _BATCH]
        for ids in tokenizer(batch, add_special_tokens=False, verbose=False)["input_ids"]:
            counts.update(ids)
    return counts


def _special_ids(anatomy: Anatomy, model: Any) -> set[int]:
    """The ids that the configuration names, and those that must not move."""
    ids: set[int] = set()
    for config in [*configurations(model), getattr(model, "generation_config", None)]:
        for _, value in id_fields(config):
            ids |= set(value) if isinstance(value, list) else {value}
    if anatomy.pads_shift_positions:
        ids |= set(range(model.config.pad_token_id + 1))
    return ids
