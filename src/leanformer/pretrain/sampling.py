"""Texts that a causal language model writes, to be read beside its loss."""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import GenerationConfig

from leanformer.core.machine.device import device_of
from leanformer.core.machine.generators import kept_generators
from leanformer.data import Encoded
from leanformer.models.io.quiet import quiet
from leanformer.models.io.tokenizer_files import usable_positions
from leanformer.pretrain.recipe import Samples

_BEGUN = 8  # tokens of a held-out document that a text begins with
_TEXTS = 3


def prompts_of(asked: Samples, tokenizer: Any, held_out: Encoded | None) -> tuple[str, ...]:
    """How texts begin: as asked, or as some held-out documents do; () = none are written."""
    if asked.prompts or held_out is None or not asked.tokens:
        return asked.prompts if asked.tokens else ()
    before, begins = [tokenizer.eos_token_id], []
    for ids in (row["input_ids"] for row in held_out.rows):
        if before[-1] == tokenizer.eos_token_id:  # else it is a later piece of a long document
            begins.append(ids)
        before = ids
    rows = [ids[:_BEGUN] for ids in begins[:_TEXTS]]
    found = (tokenizer.decode(ids, skip_special_tokens=True).strip() for ids in rows)
    return tuple(filter(None, found))


def write_samples(
    model: Any, tokenizer: Any, asked: Samples, prompts: Sequence[str], seed: int
) -> list[dict[str, str]]:
    """One text per prompt, the same for the same weights and seed.

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer.
        asked: How they are drawn, and how long they are.
        prompts: How they begin.
        seed: Decides what is drawn; torch's generators are left as they were.

    Returns:
        `prompt` and `text`, its continuation, of each.
    """
    device = device_of(model)
    model.eval()
    found = []
    how = settings_of(asked, tokenizer)
    room = usable_positions(model)  # None: relative positions or a recurrent state, without end
    with quiet(), kept_generators(device), torch.no_grad():
        torch.manual_seed(seed)
        for prompt in prompts:
            ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
            ids = ids if room is None else ids[: room - 1]
            if not ids:
                continue
            how.max_new_tokens = (
                asked.tokens if room is None else min(asked.tokens, room - len(ids))
            )
            given = torch.tensor([ids], device=device)
            answer = model.generate(
                given, attention_mask=torch.ones_like(given), generation_config=how
            )
            text = tokenizer.decode(answer[0, len(ids) :], skip_special_tokens=True)
            found.append({"prompt": prompt, "text": text})
    return found


def settings_of(asked: Samples, tokenizer: Any) -> GenerationConfig:
    """How `generate` draws texts, which a model keeps as its `generation_config.json`."""
    end = tokenizer.eos_token_id
    return GenerationConfig(
        do_sample=True,
        temperature=asked.temperature,
        top_k=asked.top_k,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=end,
        pad_token_id=end if tokenizer.pad_token_id is None else tokenizer.pad_token_id,
    )
