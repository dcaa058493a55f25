"""A checkpoint of four ranks becomes a folder that transformers loads."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from train.toy import FAST, toy
from train.two_terms import TASK
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from leanformer.models.tiny import tiny_model
from leanformer.train import Supervised, fit
from leanformer.train.checkpoints.export import export_checkpoint
from leanformer.train.checkpoints.sharded import load_whole
from leanformer.train.evaluate import make_evaluator
from leanformer.train.parallel import Parallel
from leanformer.train.testing import on_ranks


def _trained(folder: Path) -> None:
    model, encoded = toy()
    setup = replace(FAST, parallel=Parallel(zero=3), evaluations=6)
    evaluate = make_evaluator(encoded, TASK, precision="fp32")
    fit(model, encoded, Supervised("classification"), setup, evaluate=evaluate, folder=folder)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "c"
    on_ranks(4, _trained, folder)
    return folder


@pytest.mark.parametrize("weights", ["best", "last"])
def test_the_folder_holds_these_weights(written: Path, tmp_path: Path, weights: Any) -> None:
    model, tokenizer = tiny_model("bert", num_labels=2, seed=3)
    export_checkpoint(written, model, tokenizer, tmp_path / "model", weights=weights)
    read = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model")
    found = load_whole(written)
    assert found is not None
    group = found[0]["best" if weights == "best" else "model"]
    assert all(torch.equal(tensor, group[name]) for name, tensor in read.state_dict().items())
    asked = AutoTokenizer.from_pretrained(tmp_path / "model")("music rice", return_tensors="pt")
    torch.testing.assert_close(read(**asked).logits, model.eval()(**asked).logits)


def _exported_by_one(written: Path, folder: Path) -> bool:
    if dist.get_rank() == 0:
        model, tokenizer = tiny_model("bert", num_labels=2, seed=3)
        export_checkpoint(written, model, tokenizer, folder)
    return folder.is_dir()


def test_one_of_several_ranks_exports_and_waits_for_none(written: Path, tmp_path: Path) -> None:
    assert on_ranks(2, _exported_by_one, written, tmp_path / "model", seconds=30)[0]


def test_what_cannot_be_exported_is_refused(written: Path, tmp_path: Path) -> None:
    model, tokenizer = tiny_model("bert", num_labels=2, num_hidden_layers=2)
    with pytest.raises(ValueError, match="nothing: there is no checkpoint"):
        export_checkpoint(tmp_path / "nothing", model, tokenizer, tmp_path / "model")
    with pytest.raises(ValueError, match=r"layer\.2"):
        export_checkpoint(written, model, tokenizer, tmp_path / "model")
    assert not (tmp_path / "model").exists()
