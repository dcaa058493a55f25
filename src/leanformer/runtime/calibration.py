"""The texts that set the ranges of a post-training quantization, as the caller chose them.

Tools that calibrate on a data set of their own choosing measure ranges of somebody else's language.
Here there is no default: the texts come from the caller, and are fed one at a time, so that no
padding blurs the ranges.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Real texts and the tokenizer that reads them.

    Attributes:
        tokenizer: The model's own Hugging Face tokenizer.
        texts: The texts.
        pairs: Their second texts, for pair tasks.
        max_length: Longer inputs are cut to this many tokens.
    """

    tokenizer: Any
    texts: Sequence[str]
    pairs: Sequence[str] | None = None
    max_length: int = 512

    def __post_init__(self) -> None:
        if not self.texts:
            raise ValueError("calibration: no texts; give about 128 like those to be served")
        if self.pairs is not None and len(self.pairs) != len(self.texts):
            raise ValueError(
                f"calibration: {len(self.texts)} texts and {len(self.pairs)} pairs; give as many"
            )

    def arrays(self, inputs: Sequence[str]) -> Iterator[dict[str, np.ndarray]]:
        """One text at a time: int64 arrays of shape [1, token], by input name."""
        for index, text in enumerate(self.texts):
            pair = None if self.pairs is None else self.pairs[index]
            encoded = self.tokenizer(
                text, pair, truncation=True, max_length=self.max_length, return_token_type_ids=True
            )
            yield {name: np.asarray([encoded[name]], dtype=np.int64) for name in inputs}

    def tensors(self, inputs: Sequence[str]) -> Iterator[dict[str, Tensor]]:
        """The same, as torch tensors."""
        for arrays in self.arrays(inputs):
            yield {name: torch.from_numpy(array) for name, array in arrays.items()}
