import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers.utils import logging

from leanformer.models.anatomy import anatomy_of
from leanformer.models.cutting.heads import keep_heads
from leanformer.models.families import FAMILIES
from leanformer.models.io.load import folder_of, has_head, load_model
from leanformer.models.io.quiet import quiet
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.models.tiny_tokenizers import TEXTS

NAMES = ["no", "perhaps", "yes"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "bert"
    save_model(*tiny_model("bert"), folder)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "copy"))


@pytest.mark.parametrize("family", FAMILIES)
def test_what_was_saved_loads_bit_by_bit(family: str, tmp_path: Path) -> None:
    model, tokenizer = tiny_model(family)
    keep_heads(model, {1: [0, 1]})
    save_model(model, tokenizer, tmp_path / "m")
    again, tokens = load_model(tmp_path / "m", "classification")
    batch = tokens(list(TEXTS), padding=True, truncation=True, return_tensors="pt")
    expected = tokenizer(list(TEXTS), padding=True, return_tensors="pt")
    assert torch.equal(batch["input_ids"], expected["input_ids"])
    assert torch.equal(again(**batch).logits, model(**batch).logits)
    assert anatomy_of(again) is anatomy_of(model)
    assert not again.training


def test_text_of_any_length_fits(folder: Path, tmp_path: Path) -> None:
    save_model(*tiny_model("roberta"), tmp_path / "r")
    for place in (folder, tmp_path / "r"):
        settings = json.loads((place / "tokenizer_config.json").read_text())
        settings.pop("model_max_length")
        (place / "tokenizer_config.json").write_text(json.dumps(settings))
        model, tokenizer = load_model(place, "classification")
        batch = tokenizer(["word " * 200], truncation=True, return_tensors="pt")
        assert batch["input_ids"].shape == (1, 64)
        assert model(**batch).logits.isfinite().all()


def test_has_head(whole: Path, tmp_path: Path) -> None:
    assert has_head(whole, "classification")
    assert not has_head(whole, "tokens")
    assert has_head(whole, "embedding")
    for head, name in (("embedding", "AutoModel"), ("causal", "GPT2LMHeadModel")):
        save_model(*tiny_model("gpt2", head=head), tmp_path / head)
        assert has_head(tmp_path / head, "causal") == (name == "GPT2LMHeadModel")
        assert not has_head(tmp_path / head, "classification")


def test_a_new_head_is_the_same_for_the_same_seed(whole: Path) -> None:
    def head(seed: int, **settings: Any) -> torch.Tensor:
        return load_model(whole, "tokens", seed=seed, num_labels=4)[0].classifier.weight

    state = torch.get_rng_state()
    assert torch.equal(head(1), head(1))
    assert not torch.equal(head(1), head(2))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_fresh_head_replaces_a_trained_one(whole: Path) -> None:
    trained, _ = load_model(whole, "classification")
    for labels in (NAMES, ["a", "b"]):
        fresh, _ = load_model(whole, "classification", labels=labels, fresh_head=True)
        assert fresh.classifier.weight.shape[0] == len(labels)
        assert not torch.equal(fresh.classifier.bias, trained.classifier.bias[: len(labels)])
        assert torch.equal(fresh.bert.pooler.dense.weight, trained.bert.pooler.dense.weight)
        assert fresh.config.id2label == dict(enumerate(labels))


def test_one_label_is_regression(whole: Path) -> None:
    model, _ = load_model(whole, "classification", num_labels=1, fresh_head=True)
    assert model.config.problem_type == "regression"


def test_labels_that_do_not_fit_a_trained_head(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"trained head for 3 labels .* and 2 were asked for"):
        load_model(whole, "classification", num_labels=2)
    model, tokenizer = load_model(whole, "classification")
    model.config.id2label = dict(enumerate(NAMES))
    save_model(model, tokenizer, tmp_path / "named")
    with pytest.raises(ValueError, match=r"3 labels \(no, perhaps, yes\).*same order"):
        load_model(tmp_path / "named", "classification", labels=NAMES[::-1])
    with pytest.raises(ValueError, match="num_labels is 2 and labels has 3 names"):
        load_model(whole, "classification", num_labels=2, labels=NAMES)
    with pytest.raises(ValueError, match="no head for tokens; say how many labels"):
        load_model(whole, "tokens")
    with pytest.raises(ValueError, match="head 'answers' is not one of"):
        load_model(whole, "answers")  # type: ignore[arg-type]


def test_a_missing_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere: there is no such folder"):
        load_model(tmp_path / "nowhere", "classification")

    def offline(*_args: Any, **_kwargs: Any) -> str:
        raise ConnectionError

    monkeypatch.setattr("leanformer.models.io.load.snapshot_download", offline)
    with pytest.raises(FileNotFoundError, match=r"some/model: .*hub did not .*ConnectionError"):
        load_model("some/model", "classification")


def test_an_id_is_fetched_from_the_hub(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def hub(name: str, allow_patterns: list[str]) -> str:
        asked.append(name)
        assert not any(pattern.endswith("bin") for pattern in allow_patterns)
        return str(whole)

    monkeypatch.setattr("leanformer.models.io.load.snapshot_download", hub)
    assert has_head("some/model", "classification")
    assert asked == ["some/model"]
    assert folder_of(str(whole)) == whole


def refuse(folder: Path, match: str) -> None:
    with pytest.raises((ValueError, OSError), match=match):
        load_model(folder, "classification")


def test_a_file_is_no_folder(folder: Path) -> None:
    refuse(folder / "config.json", "is a file; a model is the folder")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (None, "is not a model: it has no config.json"),
        ("{", "config.json is not valid JSON"),
        ("[]", "config.json must hold a JSON object, not list"),
        ("{}", "config.json names no model_type"),
        (
            '{"model_type": "clip"}',
            "architecture 'clip' is not known.*bert, roberta.*text classifiers",
        ),
        ('{"model_type": "bert", "architectures": 3}', "architectures is 3, which is not a list"),
        ('{"model_type": "bert", "architectures": [3]}', r"architectures is \[3\], which is not a"),
    ],
)
def test_wrong_configurations(folder: Path, text: str | None, match: str) -> None:
    (folder / "config.json").unlink()
    if text is not None:
        (folder / "config.json").write_text(text)
    refuse(folder, match)


@pytest.mark.parametrize(
    ("field", "value", "match"),
    [
        ("hidden_size", "many", "StrictDataclassFieldValidationError: Validation error for field"),
        ("num_attention_heads", 0, "ZeroDivisionError: "),
        ("type_vocab_size", -1, "RuntimeError: Trying to create tensor with negative dimension"),
        ("hidden_act", "sharp", "KeyError: "),
    ],
)
def test_values_that_transformers_does_not_check(
    field: str, value: Any, match: str, folder: Path
) -> None:
    config = json.loads((folder / "config.json").read_text()) | {field: value}
    (folder / "config.json").write_text(json.dumps(config))
    refuse(folder, rf"config\.json: transformers cannot read what it says \({match}")


def test_outputs_have_names_whatever_config_json_says(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text()) | {"return_dict": False}
    (folder / "config.json").write_text(json.dumps(config))
    model, tokenizer = load_model(folder, "classification")
    assert model(**tokenizer("a text", return_tensors="pt")).logits.shape == (1, 3)


def test_lean_shapes_that_do_not_fit(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["model_type"] = "lean-bert"
    config["lean"] = {"heads": [4, 5, 4], "kv_heads": [4] * 3, "ffn": [48] * 3, "first_norm": False}
    (folder / "config.json").write_text(json.dumps(config))
    refuse(folder, r"lean.heads is \[4, 5, 4\]; .* at most \[4, 4, 4\]")


def test_pickles_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    refuse(folder, r"pickled weights only \(pytorch_model.bin\)")
    (folder / "pytorch_model.bin").unlink()
    refuse(folder, "has no weights: model.safetensors is missing")


@pytest.mark.parametrize("size", [0, 5, 100, 20_000])
def test_truncated_weights(folder: Path, size: int) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:size])
    refuse(folder, "model.safetensors is (not a whole|damaged)")


def test_weights_that_are_something_else(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes((20).to_bytes(8, "little") + b"x" * 20)
    refuse(folder, "its header is not one of safetensors")


def test_shards(folder: Path) -> None:
    model, _ = load_model(folder, "classification")
    (folder / "model.safetensors").unlink()
    with quiet():
        model.save_pretrained(folder, max_shard_size="20KB")
    again, _ = load_model(folder, "classification")
    assert torch.equal(again.classifier.weight, model.classifier.weight)
    shard = sorted(folder.glob("model-*.safetensors"))[0]
    shard.unlink()
    refuse(folder, f"{shard.name} is missing; model.safetensors.index.json names it")


def test_a_missing_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    refuse(folder, "has no tokenizer")


def test_an_incomplete_encoder(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    del tensors["bert.encoder.layer.1.output.dense.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    refuse(
        folder,
        r"incomplete, 1 tensors are missing or of another shape \(bert.encoder.layer.1.output.dense.weight",
    )


def test_nothing_is_printed(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    save_model(*load_model(folder, "tokens", num_labels=2), folder.parent / "quiet")
    assert capfd.readouterr() == ("", "")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


def test_the_head_of_another_task_is_not_taken_for_this_one(whole: Path) -> None:
    sentences, _ = load_model(whole, "classification")
    words, _ = load_model(whole, "tokens", num_labels=3)
    assert not torch.equal(words.classifier.weight, sentences.classifier.weight)


def test_a_layer_shared_with_pretraining_stays(tmp_path: Path) -> None:
    pretrained, tokenizer = tiny_model("modernbert", head="masked")
    save_model(pretrained, tokenizer, tmp_path / "m")
    model, _ = load_model(tmp_path / "m", "classification", num_labels=2)
    assert torch.equal(model.head.dense.weight, pretrained.head.dense.weight)
