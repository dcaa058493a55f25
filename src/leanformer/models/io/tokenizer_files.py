"""The tokenizer of a folder, which reads texts as the folder's `tokenizer.json` says.

Many of transformers' tokenizer classes take only the vocabulary from `tokenizer.json`; how text is
normalized and split is fixed in the class. Where the file says something else, the class gives
other ids than the model was trained on, e.g. lowercase texts to a cased BERT. So a few texts full
of special cases are tokenized both ways. Where the ids differ, the file is right.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import transformers
from tokenizers import Tokenizer

from leanformer.core.storage.json_file import read_json
from leanformer.models.io.blame import blamed

_PARTS = ("normalizer", "pre_tokenizer", "post_processor")
_OPTIONS = ("truncation_side", "padding_side", "split_special_tokens", "model_input_names")
_PART_OF = {
    "do_lower_case": ("normalizer", "BertNormalizer", "lowercase"),
    "strip_accents": ("normalizer", "BertNormalizer", "strip_accents"),
    "tokenize_chinese_chars": ("normalizer", "BertNormalizer", "handle_chinese_chars"),
    "add_prefix_space": ("pre_tokenizer", "ByteLevel", "add_prefix_space"),
}
"""Fields of tokenizer_config.json that mean to change tokenizer.json -> which part of it."""
_TEXTS = (
    "Where is my parcel? I'll wait until 10:30, they're late (again)!",
    "ALL CAPITALS, camelCase, snake_case and x1y2z3",
    "Crème brûlée, naïve Ångström, Zoë, İstanbul, Straße",
    "cafe\u0301 and co\u0308operate, with combining marks",
    "  two  spaces,\ttabs\nand\r\nlines \u00a0 ",
    "東京は日本の首都です。 中文字符 한국어",
    "ﬁle №5 ½ ① ｆｕｌｌ ｗｉｄｔｈ … “quotes” — dashes–",
    "12345678 3.14159 1,000,000 $5 50% #tag @user a/b\\c",
    "नमस्ते мир שלום العربية 👍🏽 👨‍👩‍👧 \u200bzero\u200dwidth",
    "https://example.com/path?q=1&r=2 name@example.com",
    "wordwithoutanyspacesthatgoesonandonandonuntilitisverylongindeed",
    "",
)


def load_tokenizer(folder: Path, config: Any = None) -> Any:
    """The fast tokenizer of a folder, which reads texts as its `tokenizer.json` says.

    It is of the class that transformers chooses, or of `TokenizersBackend` where that class reads
    texts otherwise than the file.

    Args:
        folder: The model's folder.
        config: The model's configuration, where it has been read already.

    Raises:
        ValueError: It has no fast form, its files are damaged or contradict each other.
    """
    try:
        with blamed(folder / "tokenizer_config.json"):
            tokenizer = transformers.AutoTokenizer.from_pretrained(
                folder, config=config, trust_remote_code=False
            )
            if not tokenizer.is_fast:
                raise ValueError(f"{folder}: the tokenizer has no fast form (tokenizer.json)")
            if tokenizer.model_max_length < 1 or "input_ids" not in tokenizer.model_input_names:
                raise ValueError(
                    f"{folder / 'tokenizer_config.json'}: model_max_length is "
                    f"{tokenizer.model_max_length} and model_input_names "
                    f"{tokenizer.model_input_names}; no text can be read so, correct the file"
                )
            if (folder / "tokenizer.json").is_file():
                return _as_the_file_says(folder, tokenizer)
        return tokenizer
    except ValueError:
        if (folder / "tokenizer.json").is_file():  # which may be the damaged one
            with blamed(folder / "tokenizer.json"):
                Tokenizer.from_file(str(folder / "tokenizer.json"))
        raise


def fit_tokenizer(tokenizer: Any, model: Any, folder: Path) -> None:
    """Make a tokenizer and its model agree on ids, padding and length.

    Args:
        tokenizer: What `load_tokenizer` gave; its padding token and length are set where needed.
        model: The model; `pad_token_id` of its configuration is set where it is missing.
        folder: Where both are from.

    Raises:
        ValueError: The tokenizer has ids that the model has no embeddings for, there is nothing
            to pad with, or the two name different padding.
    """
    last, rows = max(tokenizer.get_vocab().values()), len(model.get_input_embeddings().weight)
    if last >= rows:
        raise ValueError(
            f"{folder}: the tokenizer has ids up to {last} and the model {rows} embeddings; this "
            "is not the model's tokenizer, or the model needs "
            "resize_token_embeddings(len(tokenizer)) and some training"
        )
    config = model.config
    if tokenizer.pad_token is None and config.pad_token_id is not None:
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(config.pad_token_id)
    if config.pad_token_id is None:  # decoders are trained without padding
        tokenizer.pad_token = _padding(tokenizer)
        if tokenizer.pad_token is None:
            raise ValueError(
                f"{folder}: the tokenizer has no token to pad with; name one as pad_token in "
                "tokenizer_config.json"
            )
        config.pad_token_id = tokenizer.pad_token_id
    if config.pad_token_id != tokenizer.pad_token_id:
        raise ValueError(
            f"{folder}: pad_token_id is {config.pad_token_id} in config.json, and "
            f"{tokenizer.pad_token_id} ({tokenizer.pad_token!r}) in the tokenizer's files; correct "
            "the one that the model was not trained with"
        )
    usable = usable_positions(model)
    if usable is not None:
        tokenizer.model_max_length = min(tokenizer.model_max_length, usable)


def usable_positions(model: Any) -> int | None:
    """Number of tokens that a model has positions for; None = no limit is known."""
    positions = getattr(model.config, "max_position_embeddings", None)
    return None if positions is None else positions - skipped_positions(model)


def save_tokenizer(tokenizer: Any, folder: Path) -> None:
    """Write a tokenizer's files, with the options that were set on it after it was made.

    `save_pretrained` alone writes the options that the class was made with, and drops the others.
    """
    tokenizer.save_pretrained(folder)
    file = folder / "tokenizer_config.json"
    settings = read_json(file)
    settings |= {name: getattr(tokenizer, name) for name in _OPTIONS}
    text = json.dumps(settings, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    file.write_text(text, encoding="utf-8")


def _padding(tokenizer: Any) -> str | None:
    """The token to pad with, for a model that names none: one that no text ends with.

    A decoder that classifies reads the last token that is not padding. If texts end with the token
    that pads, it would read the token before.
    """
    usual: str | None = tokenizer.pad_token or tokenizer.eos_token
    if usual is None or tokenizer.bos_token is None:
        return usual
    last = _ids(tokenizer, "a text")[-1]
    return str(tokenizer.bos_token) if tokenizer.convert_tokens_to_ids(usual) == last else usual


def skipped_positions(model: Any) -> int:
    """Rows of the table of positions that no token gets, as in RoBERTa: up to that of padding."""
    for name, module in model.named_modules():
        if name.endswith("embeddings.position_embeddings"):
            padding = getattr(module, "padding_idx", None)
            return 0 if padding is None else int(padding) + 1
    return 0


def _as_the_file_says(folder: Path, tokenizer: Any) -> Any:
    """`tokenizer`, or one that is not rebuilt, if `tokenizer` reads texts otherwise."""
    written = _as_written(folder)
    if _other_reading(tokenizer, written) is None:
        return tokenizer
    plain = transformers.TokenizersBackend.from_pretrained(folder)
    for option in _OPTIONS:
        setattr(plain, option, getattr(tokenizer, option))
    for name, token in tokenizer.special_tokens_map.items():  # of which the class knows the names
        if getattr(plain, name, None) is None and token in plain.get_vocab():
            setattr(plain, name, token)
    for other in (plain, tokenizer):  # the class may add special tokens that the file does not
        text = _other_reading(other, written, _TEXTS if other is plain else ("",))
        if text is not None:
            parts = _different(written, other.backend_tokenizer) or ["model"]
            raise ValueError(
                f"{folder / 'tokenizer.json'}: transformers' {type(other).__name__} reads texts "
                f"otherwise than the file says ({', '.join(parts)} differ: {text[:20]!r} is "
                f"{_ids(other, text)[:8]} and not {written.encode(text).ids[:8]}), and "
                "tokenizer_config.json does not say which is right; save the tokenizer again with "
                "save_pretrained"
            )
    return plain


def _other_reading(tokenizer: Any, written: Tokenizer, texts: Sequence[str] = _TEXTS) -> str | None:
    """The first text of which two tokenizers make other ids."""
    return next((text for text in texts if _ids(tokenizer, text) != written.encode(text).ids), None)


def _ids(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, verbose=False)["input_ids"]
    return ids


def _as_written(folder: Path) -> Tokenizer:
    """What `tokenizer.json` says, with the options that `tokenizer_config.json` names."""
    state = read_json(folder / "tokenizer.json")
    settings = folder / "tokenizer_config.json"
    options = read_json(settings) if settings.is_file() else {}
    for option, (part, kind, field) in _PART_OF.items():
        if option in options and (state.get(part) or {}).get("type") == kind:
            state[part][field] = options[option]
    written = Tokenizer.from_str(json.dumps(state))
    written.no_padding()
    written.no_truncation()
    return written


def _different(one: Tokenizer, other: Tokenizer) -> list[str]:
    """The parts in which two tokenizers differ, besides the model of their pieces."""
    states = [[_state(tokenizer, part) for part in _PARTS] for tokenizer in (one, other)]
    return [part for part, a, b in zip(_PARTS, *states, strict=True) if a != b]


def _state(tokenizer: Tokenizer, part: str) -> Any:
    found = getattr(tokenizer, part)
    return None if found is None else json.loads(found.__getstate__())
