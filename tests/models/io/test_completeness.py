"""Weights that config.json leaves out, or describes otherwise, are an error that names them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from leanformer.models.families import FAMILIES
from leanformer.models.io.load import load_model
from leanformer.models.io.quiet import quiet
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.quantize.packed import codes_of_layers, hold
from leanformer.quantize.quantizers import Uniform
from leanformer.quantize.swap import swap

Tensors = dict[str, torch.Tensor]
DECODERS = ("gpt2", "llama")
LAYERS = ("num_hidden_layers", "n_layer", "n_layers")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """Folders of tiny models, by family and head, each made once."""
    root = tmp_path_factory.mktemp("models")

    def folder(family: str, head: str) -> Path:
        place = root / f"{family}-{head}"
        if not place.exists():
            save_model(*tiny_model(family, head=head), place)
        return place

    return folder


def copied(folder: Path, to: Path) -> Path:
    return Path(shutil.copytree(folder, to / "m", dirs_exist_ok=True))


def edit(folder: Path, **fields: Any) -> None:
    config = json.loads((folder / "config.json").read_text()) | fields
    (folder / "config.json").write_text(json.dumps(config))


def shorten(folder: Path) -> None:
    """One layer fewer in config.json."""
    config = json.loads((folder / "config.json").read_text())
    fields = {name: config[name] - 1 for name in LAYERS if name in config}
    if "layer_types" in config:
        fields["layer_types"] = config["layer_types"][:-1]
    edit(folder, **fields)


def rewrite(folder: Path, change: Callable[[Tensors], None]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def refuse(folder: Path, head: Any, match: str, **settings: Any) -> None:
    with pytest.raises(ValueError, match=match):
        load_model(folder, head, **settings)


@pytest.mark.parametrize("family", FAMILIES)
def test_more_layers_than_config_json_names(family: str, folders: Any, tmp_path: Path) -> None:
    for head in ("classification", "embedding"):
        folder = copied(folders(family, head), tmp_path / head)
        shorten(folder)
        refuse(
            folder,
            head,
            r"config.json says \d layers, and the weights hold \d \(.*\d\..* … would be left out\);"
            r" .* make its number of layers that of the weights",
        )


def test_more_layers_in_shards(tmp_path: Path) -> None:
    model, tokenizer = tiny_model("bert")
    save_model(model, tokenizer, tmp_path / "m")
    (tmp_path / "m" / "model.safetensors").unlink()
    with quiet():
        model.save_pretrained(tmp_path / "m", max_shard_size="20KB")
    assert len(list((tmp_path / "m").glob("model-*.safetensors"))) > 2
    load_model(tmp_path / "m", "classification")
    shorten(tmp_path / "m")
    refuse(tmp_path / "m", "classification", "says 2 layers, and the weights hold 3")


def test_fewer_layers(folders: Any, tmp_path: Path) -> None:
    folder = copied(folders("bert", "classification"), tmp_path)
    edit(folder, num_hidden_layers=4)
    refuse(folder, "classification", "says 4 layers, and the weights hold 3")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("head", ["classification", "embedding"])
def test_a_tensor_that_has_no_place(family: str, head: Any, folders: Any, tmp_path: Path) -> None:
    """One of the encoder, as an embedding of another kind or a norm of another variant has."""
    folder = copied(folders(family, head), tmp_path)

    def add(tensors: Tensors) -> None:
        first = next(key for key in tensors if "mbedding" in key or "wte" in key or "embed" in key)
        tensors[first.rpartition(".")[0] + ".distance.weight"] = torch.zeros(2)

    rewrite(folder, add)
    refuse(folder, head, r"1 tensors of the weights have no place .*\.distance\.weight")


def test_a_part_of_the_head_that_has_no_place(folders: Any, tmp_path: Path) -> None:
    folder = copied(folders("bert", "classification"), tmp_path)
    rewrite(folder, lambda tensors: tensors.update({"classifier.scale": torch.ones(3)}))
    refuse(folder, "classification", r"have no place .*\(classifier\.scale\); .* or remove")
    load_model(folder, "tokens", num_labels=3)  # where it is another task's head
    load_model(folder, "embedding")


@pytest.mark.parametrize("family", FAMILIES)
def test_what_may_stand_beside_the_encoder(family: str, folders: Any, tmp_path: Path) -> None:
    """Buffers of older versions, poolers, the heads of pre-training and of other tasks."""
    folder = copied(folders(family, "classification"), tmp_path)
    plain, _ = load_model(folder, "classification")
    prefix = plain.base_model_prefix

    def add(tensors: Tensors) -> None:
        for name in ("embeddings.position_ids", "embeddings.token_type_ids"):
            tensors[f"{prefix}.{name}"] = torch.arange(4)
        if family == "gpt2":
            tensors["transformer.h.0.attn.bias"] = torch.ones(1, 1, 4, 4, dtype=torch.uint8)
            tensors["transformer.h.0.attn.masked_bias"] = torch.tensor(-1e4)
        if family == "llama":
            tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
        tensors.setdefault(f"{prefix}.pooler.dense.weight", torch.zeros(32, 32))
        for name in ("cls.seq_relationship.weight", "qa_outputs.weight", "lm_head.scale"):
            tensors[name] = torch.zeros(2, 32)

    rewrite(folder, add)
    for head in ("classification", "embedding"):
        again, _ = load_model(folder, head)
        for name, value in again.base_model.state_dict().items():
            if not name.startswith("pooler"):
                assert torch.equal(value, plain.base_model.state_dict()[name]), name


def test_the_next_sentence_head_beside_a_masked_language_model(
    folders: Any, tmp_path: Path
) -> None:
    folder = copied(folders("bert", "masked"), tmp_path)
    rewrite(folder, lambda t: t.update({"cls.seq_relationship.weight": torch.zeros(2, 32)}))
    load_model(folder, "masked")
    rewrite(folder, lambda t: t.update({"cls.predictions.scale": torch.zeros(2)}))
    refuse(folder, "masked", r"have no place .*cls\.predictions\.scale")


def test_parts_of_a_trained_head_that_are_missing(folders: Any, tmp_path: Path) -> None:
    folder = copied(folders("bert", "classification"), tmp_path / "a")
    rewrite(folder, lambda tensors: tensors.pop("bert.pooler.dense.weight"))
    match = r"incomplete, 1 tensors .*pooler\.dense\.weight is missing\).* new head .*--fresh-head"
    refuse(folder, "classification", match)
    load_model(folder, "embedding")
    load_model(folder, "classification", num_labels=3, fresh_head=True)
    folder = copied(folders("bert", "masked"), tmp_path / "b")
    rewrite(folder, lambda tensors: tensors.pop("cls.predictions.transform.dense.weight"))
    refuse(folder, "masked", r"1 tensors .*transform\.dense\.weight is missing")


def test_another_shape(folders: Any, tmp_path: Path) -> None:
    folder = copied(folders("bert", "classification"), tmp_path)
    edit(folder, type_vocab_size=5)
    match = r"token_type_embeddings\.weight has the shape \[2, 32\] in the file and \[5, 32\] by"
    refuse(folder, "classification", match)
    edit(folder, type_vocab_size=2, intermediate_size=49)
    refuse(folder, "classification", r"incomplete, 9 tensors .*has the shape .* …\)")


def test_a_model_that_would_fill_the_memory(folders: Any, tmp_path: Path) -> None:
    folder = copied(folders("bert", "classification"), tmp_path)
    edit(folder, vocab_size=10**9)
    refuse(folder, "classification", r"describes a model of 320000\d+ weights, and the files hold")


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"position_embedding_type": "relative_key"}, "is 'relative_key', which this version"),
        ({"pruned_heads": {"0": [1]}}, r"pruned_heads is {'0': \[1\]}, which this version"),
    ],
)
def test_fields_that_transformers_no_longer_reads(
    fields: dict[str, Any], match: str, folders: Any, tmp_path: Path
) -> None:
    folder = copied(folders("bert", "classification"), tmp_path)
    edit(folder, **dict.fromkeys(fields))
    load_model(folder, "classification")
    edit(folder, **fields)
    refuse(folder, "classification", match)


def test_codes_without_their_quantization(folders: Any, tmp_path: Path) -> None:
    folder = copied(folders("bert", "classification"), tmp_path)
    name = "bert.encoder.layer.1.output.dense.weight"
    rewrite(folder, lambda t: t.update({name: t[name].mul(9).to(torch.int8)}))
    refuse(folder, "classification", rf"{name} is of type I8, and config.json names no quantizat")


def test_half_precision_is_read_as_it_is(folders: Any, tmp_path: Path) -> None:
    folder = copied(folders("bert", "classification"), tmp_path)
    rewrite(folder, lambda t: t.update({key: value.bfloat16() for key, value in t.items()}))
    edit(folder, dtype="bfloat16")
    model, tokenizer = load_model(folder, "classification")
    halves = load_file(folder / "model.safetensors")
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert torch.equal(model.classifier.weight, halves["classifier.weight"].float())
    save_model(model, tokenizer, tmp_path / "again")
    assert json.loads((tmp_path / "again" / "config.json").read_text())["dtype"] == "float32"


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", DECODERS)
def test_output_layers_that_are_tied_or_not(
    family: str, tied: bool, folders: Any, tmp_path: Path
) -> None:
    """Whatever config.json says, the weights are those of the file, also when saved again."""
    folder = copied(folders(family, "causal"), tmp_path)
    edit(folder, tie_word_embeddings=True)
    words = "transformer.wte.weight" if family == "gpt2" else "model.embed_tokens.weight"

    def change(tensors: Tensors) -> None:
        tensors.pop("lm_head.weight", None)
        if not tied:
            tensors["lm_head.weight"] = tensors[words] * 2

    rewrite(folder, change)
    model, tokenizer = load_model(folder, "causal")
    factor = 1 if tied else 2
    assert torch.equal(model.lm_head.weight, model.get_input_embeddings().weight * factor)
    assert model.config.tie_word_embeddings is tied
    save_model(model, tokenizer, tmp_path / "again")
    again, _ = load_model(tmp_path / "again", "causal")
    assert torch.equal(again.lm_head.weight, model.lm_head.weight)
    if not tied:
        rewrite(folder, lambda tensors: tensors.pop("lm_head.weight"))
        edit(folder, tie_word_embeddings=False)
        refuse(folder, "causal", r"incomplete, 1 tensors .*lm_head\.weight is missing")


def test_a_stored_form_with_tensors_of_another_type_is_refused(tmp_path: Path) -> None:
    model, tokenizer = tiny_model("bert")
    swap(model, {"bert.encoder.layer.0.output.dense": Uniform(bits=4)})
    hold(model, codes_of_layers(model))
    save_model(model, tokenizer, tmp_path / "m")
    file = tmp_path / "m" / "model.safetensors"
    tensors = load_file(file)
    name = "bert.embeddings.LayerNorm.weight"
    save_file({**tensors, name: tensors[name].to(torch.uint8)}, file, {"format": "pt"})
    with pytest.raises(ValueError, match=rf"{name} is of type torch.uint8 in the weights"):
        load_model(tmp_path / "m", "classification")
