from pathlib import Path
from typing import Any

import pytest
import torch
from shadow_device import shadow

from leanformer.models.families import FAMILIES
from leanformer.models.io.load import load_model
from leanformer.models.io.save import save_model
from leanformer.models.tied import tied_names
from leanformer.models.tiny import tiny_model

HEADLESS = {
    ("causal", "distilbert"),
    ("causal", "modernbert"),
    ("causal", "mpnet"),
    ("causal", "deberta-v2"),
    ("masked", "gpt2"),
    ("masked", "llama"),
}


def test_a_folder_that_holds_something_is_kept(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years")
    with pytest.raises(FileExistsError, match="out exists and is not empty"):
        save_model(*tiny_model("bert"), tmp_path / "out")
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("head", ["classification", "masked", "causal"])
def test_a_model_on_another_device_is_written_whole(tmp_path: Path, family: str, head: Any) -> None:
    if (head, family) not in HEADLESS:
        model, tokenizer = tiny_model(family, head=head)
        save_model(model, tokenizer, tmp_path / "cpu")
        save_model(model.to(shadow()), tokenizer, tmp_path / "shadow")
        files = [(tmp_path / at / "model.safetensors").read_bytes() for at in ("cpu", "shadow")]
        assert files[0] == files[1]
        again, _ = load_model(tmp_path / "shadow", head)
        assert tied_names(again) == tied_names(model)
        held = again.state_dict()
        assert all(torch.equal(held[n], tensor.cpu()) for n, tensor in model.state_dict().items())


def test_overwriting_leaves_nothing_of_the_old(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.txt").write_text("old")
    save_model(*tiny_model("bert"), tmp_path / "out", overwrite=True)
    load_model(tmp_path / "out", "classification")
    assert not (tmp_path / "out" / "old.txt").exists()
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_an_interrupted_write_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = tiny_model("bert")

    def interrupted(*_args: Any, **_kwargs: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tokenizer, "save_pretrained", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_model(model, tokenizer, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_before_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        free = 1000

    monkeypatch.setattr("shutil.disk_usage", lambda _path: Full)
    with pytest.raises(OSError, match="MiB are needed"):
        save_model(*tiny_model("bert"), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
