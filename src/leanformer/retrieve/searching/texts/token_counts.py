"""Tokens per word, counted by the tokenizer of an encoder, so that passages fit what it reads."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from leanformer.models.io.load import folder_of

_MOST = 500_000  # words that are remembered


class TokenCounts:
    """Counts the tokens of words, each as it stands within a text; special tokens do not count."""

    def __init__(self, model: str | Path) -> None:
        """Open the tokenizer of a model.

        Raises:
            OSError: There is no such model.
            ValueError: It has no tokenizer.json, or that is damaged.
        """
        self._tokenizer = _opened(folder_of(model) / "tokenizer.json")
        self._known: dict[str, int] = {}

    def __call__(self, words: Sequence[str]) -> list[int]:
        """Tokens of each word, at least one."""
        if len(self._known) > _MOST:
            self._known.clear()
        new = [word for word in dict.fromkeys(words) if word not in self._known]
        # Within a text a word follows a space, which byte-level vocabularies count to the word.
        read = self._tokenizer.encode_batch([f" {word}" for word in new], add_special_tokens=False)
        self._known |= {word: max(1, len(one.ids)) for word, one in zip(new, read, strict=True)}
        return [self._known[word] for word in words]


def _opened(file: Path) -> Any:
    from tokenizers import Tokenizer

    if not file.is_file():
        raise ValueError(
            f"{file}: no such file, so that no tokens can be counted; use --unit words"
        )
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises plain Exceptions
        raise ValueError(f"{file} is damaged ({error}); restore it from a copy") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
