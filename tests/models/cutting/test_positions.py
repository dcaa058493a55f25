from pathlib import Path

import pytest
import torch
from transformers import AutoModel

from leanformer.models.cutting.positions import extend_positions, tiled
from leanformer.models.families import FAMILIES
from leanformer.models.tiny import tiny_model


def ids(length: int) -> torch.Tensor:
    """One text."""
    return torch.randint(5, 40, (1, length), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("family", FAMILIES)
def test_longer_texts_are_read_and_short_ones_as_before(family: str, tmp_path: Path) -> None:
    model, tokenizer = tiny_model(family, head="embedding")
    short = model(input_ids=ids(60))[0]
    assert extend_positions(model, 150) == 64
    assert torch.equal(model(input_ids=ids(60))[0], short)
    long = model(input_ids=ids(150))[0]
    assert long.shape[1] == 150
    assert long.isfinite().all()
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path).eval()
    assert torch.equal(loaded(input_ids=ids(150))[0], long)


def test_rows_are_repeated_after_those_that_stand_apart() -> None:
    table = torch.arange(10.0).view(5, 2)
    found = tiled(table, 2, 7)
    assert found[:, 0].tolist() == [0, 2, 4, 6, 8, 4, 6, 8, 4]


def test_fewer_places_are_refused() -> None:
    model, _ = tiny_model("bert")
    with pytest.raises(ValueError, match="the model reads texts of 64 tokens already"):
        extend_positions(model, 64)
