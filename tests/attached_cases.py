"""Models of one kind of layer, with weights that let attention count."""

from typing import Any

import torch
from transformers import AutoModel

SMALL = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "vocab_size": 60}
QWEN3 = {**SMALL, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}


def drawn_model(config: Any) -> Any:
    """A model of this configuration, its weights drawn."""
    torch.manual_seed(0)
    model = AutoModel.from_config(config).eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return model


def two_texts(length: int = 12) -> dict[str, torch.Tensor]:
    """Two texts, the second padded behind its eighth token."""
    ids = torch.randint(5, 40, (2, length), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[1, 8:] = 0
    return {"input_ids": ids, "attention_mask": mask}
