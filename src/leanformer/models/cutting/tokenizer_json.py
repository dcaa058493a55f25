"""A fast tokenizer written anew: with some of its pieces, or with more tokens behind them."""

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from leanformer.models.io.quiet import quiet


def backend_of(tokenizer: Any) -> dict[str, Any]:
    """The tokenizer.json of a fast tokenizer.

    Raises:
        ValueError: The tokenizer has no fast form.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise ValueError(
            f"{type(tokenizer).__name__} is not a fast tokenizer (it has no tokenizer.json), "
            "and only these can be cut"
        )
    backend: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    return backend


def cut_tokenizer(tokenizer: Any, kept: list[int]) -> Any:
    """A tokenizer of the same class with the pieces `kept` (ids, ascending) and no others, numbered
    from 0 in their old order.
    """
    renumbered = {old: new for new, old in enumerate(kept)}
    return _rewritten(tokenizer, _cut(backend_of(tokenizer), renumbered))


def append_tokens(tokenizer: Any, contents: Sequence[str], first: int, *, lstrip: bool) -> Any:
    """A tokenizer of the same class that reads each of `contents` as one token, between words.

    Args:
        tokenizer: The tokenizer, which is left as it is.
        contents: The new tokens as the normalizer leaves them; the longest that fits is read.
        first: The id of the first of them; the others follow.
        lstrip: Whether a token takes the space before it, as pieces of byte-level BPE do.
    """
    backend = backend_of(tokenizer)
    flags = {"single_word": True, "lstrip": lstrip, "rstrip": False}
    backend["added_tokens"] += [
        {"id": first + n, "content": content, **flags, "normalized": True, "special": False}
        for n, content in enumerate(contents)
    ]
    return _rewritten(tokenizer, backend)


def _rewritten(tokenizer: Any, backend: dict[str, Any]) -> Any:
    """A tokenizer like `tokenizer` whose tokenizer.json is `backend`."""
    with quiet(), TemporaryDirectory() as name:
        folder = Path(name)
        tokenizer.save_pretrained(folder)
        # transformers prefers these to tokenizer.json, and they hold the old vocabulary
        for old in ("vocab.txt", "vocab.json", "merges.txt", "added_tokens.json"):
            (folder / old).unlink(missing_ok=True)
        (folder / "tokenizer.json").write_text(json.dumps(backend), encoding="utf-8")
        settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        settings.pop("added_tokens_decoder", None)  # tokenizer.json has them, with their new ids
        (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
        written = type(tokenizer).from_pretrained(folder)
    written.name_or_path = tokenizer.name_or_path
    written.prompt = getattr(tokenizer, "prompt", "")
    return written


def _cut(backend: dict[str, Any], renumbered: dict[int, int]) -> dict[str, Any]:
    cut = copy.deepcopy(backend)
    model = cut["model"]
    if model["type"] == "Unigram":
        model["vocab"] = [entry for old, entry in enumerate(model["vocab"]) if old in renumbered]
        if model["unk_id"] is not None:
            model["unk_id"] = renumbered[model["unk_id"]]
    else:
        model["vocab"] = {
            piece: renumbered[old] for piece, old in model["vocab"].items() if old in renumbered
        }
    if "merges" in model:
        model["merges"] = [merge for merge in model["merges"] if _possible(merge, model["vocab"])]
    for token in cut["added_tokens"]:
        token["id"] = renumbered[token["id"]]
    if cut.get("padding"):
        cut["padding"]["pad_id"] = renumbered[cut["padding"]["pad_id"]]
    _renumber_processor(cut.get("post_processor"), renumbered)
    return cut


def _possible(merge: Any, vocabulary: dict[str, int]) -> bool:
    first, second = merge.split(" ") if isinstance(merge, str) else merge
    return first in vocabulary and second in vocabulary and first + second in vocabulary


def _renumber_processor(processor: dict[str, Any] | None, renumbered: dict[int, int]) -> None:
    """The post-processor adds special tokens by id."""
    if processor is None:
        return
    for part in processor.get("processors", []):
        _renumber_processor(part, renumbered)
    for name in ("sep", "cls"):
        if isinstance(processor.get(name), list):
            processor[name][1] = renumbered[processor[name][1]]
    special = processor.get("special_tokens")
    for token in special.values() if isinstance(special, dict) else []:
        token["ids"] = [renumbered[old] for old in token["ids"]]
