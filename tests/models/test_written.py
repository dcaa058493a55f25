"""Folders that leanformer wrote list their files; those of others are taken as they are."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from models.stored_toy import auto, output

from leanformer.core.storage.parts import LIST
from leanformer.models.io.load import load_model
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.models.written import check_written


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_model(*tiny_model("bert", head="embedding"), tmp_path / "m")
    return tmp_path / "m"


def test_what_is_saved_is_listed_with_its_sub_folders(saved: Path) -> None:
    named = json.loads((saved / LIST).read_text())["parts"]
    files = {file.relative_to(saved).as_posix() for file in saved.rglob("*") if file.is_file()}
    assert set(named) == files - {LIST}
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= set(named)
    check_written(saved)


@pytest.mark.parametrize("name", ["README.md", "training_args.bin", "openvino/openvino_model.xml"])
def test_files_that_loading_does_not_read_may_be_added(saved: Path, name: str) -> None:
    (saved / name).parent.mkdir(exist_ok=True)
    (saved / name).write_text("mine")
    load_model(saved, "embedding")


@pytest.mark.parametrize("name", ["added_tokens.json", "adapter_config.json", "vocab.txt"])
def test_a_file_that_loading_would_read_is_refused(saved: Path, name: str) -> None:
    (saved / name).write_text("{}")
    with pytest.raises(ValueError, match=rf"{name} does not belong .* remove parts\.json if you"):
        load_model(saved, "embedding")


def test_an_altered_folder_is_its_users_own_without_the_list(saved: Path) -> None:
    config: dict[str, Any] = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps({**config, "layer_norm_eps": 0.5}))
    with pytest.raises(ValueError, match=r"config\.json has .* altered or damaged; copy or make"):
        load_model(saved, "embedding")
    (saved / LIST).unlink()
    assert load_model(saved, "embedding")[0].config.layer_norm_eps == 0.5


def test_transformers_loads_a_listed_folder_as_ever(tmp_path: Path) -> None:
    model, tokenizer = tiny_model("bert")
    save_model(model, tokenizer, tmp_path / "m")
    again = auto(tmp_path / "m")
    assert torch.equal(output(again, tokenizer), output(model, tokenizer))
    again.save_pretrained(tmp_path / "again")
    assert not (tmp_path / "again" / LIST).exists()
