"""What tests of stored forms share: how a folder is read and what its model says."""

import json
from pathlib import Path
from typing import Any

import torch
import transformers

from leanformer.attention import SlidingWindow
from leanformer.models.io.quiet import quiet
from leanformer.models.tiny_tokenizers import TEXTS

NEAR = SlidingWindow(left=3, right=0)


def output(model: Any, tokenizer: Any) -> torch.Tensor:
    with torch.no_grad():
        values: torch.Tensor = model(**tokenizer(list(TEXTS), padding=True, return_tensors="pt"))[0]
    return values


def said(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return config


def auto(folder: Path, name: str = "AutoModelForSequenceClassification") -> Any:
    with quiet():
        return getattr(transformers, name).from_pretrained(folder)
