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

from leanformer.runtime.batching import Batch, stack
from leanformer.text import check_pairs, reader_of


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Real texts and the tokenizer that reads them.

    Attributes:
        tokenizer: The model's own Hugging Face tokenizer.
        texts: The texts.
        pairs: Their second texts, for pair tasks.
        max_length: Longer inputs are cut to this many tokens.

    Raises:
        ValueError: There are no texts, one is empty, or the pairs are not as many.
    """

    tokenizer: Any
    texts: Sequence[str]
    pairs: Sequence[str] | None = None
    max_length: int = 512

    def __post_init__(self) -> None:
        texts, pairs = check_pairs(self.texts, self.pairs)
        if not texts:
            raise ValueError("calibration: no texts; give about 128 like those to be served")
        object.__setattr__(self, "texts", texts)  # a generator is read once
        object.__setattr__(self, "pairs", pairs)

    def arrays(self, inputs: Sequence[str]) -> Iterator[dict[str, np.ndarray]]:
        """One text at a time: int64 arrays of shape [1, token], by input name."""
        reader = reader_of(self.tokenizer, self.max_length)
        for reading in reader.read(self.texts, self.pairs):
            size = len(reading.ids)
            array = stack([reading], Batch((0,), 1, size), reader.pad_id)
            yield {name: array[name] for name in inputs}

    def tensors(self, inputs: Sequence[str]) -> Iterator[dict[str, Tensor]]:
        """The same, as torch tensors."""
        for arrays in self.arrays(inputs):
            yield {name: torch.from_numpy(array) for name, array in arrays.items()}
