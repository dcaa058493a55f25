from pathlib import Path

import pytest
from pretrain.toy import recipe, write_corpus

from leanformer.core.codec import decode, encode
from leanformer.pretrain import Architecture, Pretraining, described, read
from leanformer.train.schedules import CosineDecay

EXAMPLE = Path(__file__).parents[2] / "examples" / "pretraining" / "gpt2-small.toml"


def test_the_example_is_read_and_says_the_same_when_it_is_written() -> None:
    found = read(EXAMPLE, ["seed=3"])
    assert found.seed == 3
    assert isinstance(found.model, Architecture)
    assert found.model.shape == (6, 384, 6)
    assert found.train.schedule == CosineDecay(warmup=0.02)
    assert decode(Pretraining, encode(found)) == found


def test_rows_are_as_long_as_asked_or_as_the_model() -> None:
    usual = {"corpus": {"paths": ["a.txt"]}}
    assert described({**usual}).row_length == 512
    assert described({**usual, "model": {"max_length": 128}}).row_length == 128
    assert described({**usual, "max_length": 64, "model": {"max_length": 128}}).row_length == 64
    with pytest.raises(ValueError, match=r"max_length: rows of 64 tokens do not fit model.max_len"):
        described({**usual, "max_length": 64, "model": {"max_length": 32}})


def test_files_that_are_not_recipes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such recipe"):
        read(tmp_path / "nowhere.toml")
    (tmp_path / "a.toml").write_text("model = [")
    with pytest.raises(ValueError, match="not valid TOML"):
        read(tmp_path / "a.toml")
    (tmp_path / "b.toml").write_text("#" * 2**20 + "#")
    with pytest.raises(ValueError, match="1,048,577 bytes are not a recipe"):
        read(tmp_path / "b.toml")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("model.architecture=bret", "model.architecture: 'bret' is not a language model"),
        ("model.heads=5", "model.heads: 5 do not divide a width of 32"),
        ("train.base_batch_size=4", "batch_tokens: train.base_batch_size brings a learning rate"),
        ("samples.temperature=0", "samples.temperature: 0.0 is not above 0"),
        ("corpus.pathes=[]", "did you mean 'paths'"),
        ("packing=both", "packing: 'both' is not one of auto, packed, grouped"),
        ('report_to=["tensorbord"]', "is not one of tensorboard, wandb, mlflow"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(
    tmp_path: Path, setting: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        recipe(write_corpus(tmp_path / "c.txt"), "causal-lm", "batch_tokens=64", setting)
