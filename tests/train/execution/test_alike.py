"""Ranks that are given different things: all of them say so, and none waits for another."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from train.execution import layout_cases as cases

from leanformer.train.loop import fit
from leanformer.train.testing import on_ranks


def _other_data() -> None:
    made = cases.tied()
    rows = 13 - torch.distributed.get_rank()
    texts = cases.texts("causal-lm", count=rows)
    fit(made.model, texts, made.loss, made.setup)


def _other_words() -> None:
    made = cases.tied()
    texts = cases.texts("causal-lm")
    if torch.distributed.get_rank():
        texts.rows[0]["input_ids"][0] += 1
    fit(made.model, texts, made.loss, made.setup)


def _other_settings() -> None:
    made = cases.tied()
    setup = cases.replace(made.setup, max_grad_norm=1.0 + torch.distributed.get_rank())
    fit(made.model, made.data, made.loss, setup)


def _folder_on_one_rank() -> None:
    made = cases.tied()
    with tempfile.TemporaryDirectory() as folder:
        place = None if torch.distributed.get_rank() else Path(folder)
        fit(made.model, made.data, made.loss, made.setup, folder=place)


@pytest.mark.parametrize(
    ("function", "differs"),
    [
        (_other_data, "data"),
        (_other_words, "data"),
        (_other_settings, "setup"),
        (_folder_on_one_rank, "folder"),
    ],
)
def test_ranks_that_differ_are_refused(function: Callable[[], None], differs: str) -> None:
    message = f"rank 1 trains on something else than rank 0, which differs in {differs};"
    assert all(message in said for said in on_ranks(2, _said, function))


def _said(function: Callable[[], None]) -> str:
    with pytest.raises(ValueError) as raised:
        function()
    return str(raised.value)
