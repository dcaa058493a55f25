from pathlib import Path

import pytest
import torch
from quantize.test_quantize_aware import workspace_of

from leanformer.attention import extend_positions as module
from leanformer.attention.attend import Attend
from leanformer.attention.extend_positions import ExtendPositions
from leanformer.attention.presets import longformer
from leanformer.core.proof import NoEffect


def test_a_model_reads_longer_texts_by_a_window(tmp_path: Path) -> None:
    done = ExtendPositions(length=200).apply(workspace_of(tmp_path))
    length, change = done.proofs
    assert (length.before, length.after) == (64, 200)
    assert change.after == 0
    assert done.tokenizer.model_max_length == 200
    done = Attend(mechanism=longformer(window=8)).apply(done)
    assert done.model(input_ids=torch.full((1, 200), 7)).logits.isfinite().all()


def test_outputs_that_change_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(model: torch.nn.Module, length: int) -> int:
        for parameter in model.parameters():
            parameter.data += 0.1
        return 64

    monkeypatch.setattr(module, "extend_positions", spoil)
    with pytest.raises(NoEffect, match="change of a short text's outputs"):
        ExtendPositions(length=200).apply(workspace_of(tmp_path))
