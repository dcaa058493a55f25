"""How long a model takes for one text, which `leanformer attend` says before and after.

The model is called as users call it: a tokenizer hands it a mask beside the token ids, which is all
ones for a single text.
"""

import time
from statistics import median
from typing import Any

import torch


def time_model(model: Any, length: int, rounds: int = 5) -> float:
    """Seconds of a forward pass over one text of `length` random tokens, the median of some.

    Raises:
        ValueError: The model cannot read texts that long.
    """
    most = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if most is not None and length > most:
        raise ValueError(
            f"length: the model reads up to {most} tokens, not {length}; "
            f"give --length {most} or less"
        )
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, model.config.vocab_size, (1, length), generator=generator)
    inputs = {"input_ids": ids.to(model.device)}
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    times = []
    with torch.no_grad():
        for _ in range(rounds + 1):
            begin = time.perf_counter()
            model(**inputs)
            times.append(time.perf_counter() - begin)
    return median(times[1:])  # the first call lays patterns out
