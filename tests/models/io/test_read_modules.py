import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from leanformer.models.embedding import Embedding, embedding_of
from leanformer.models.io.load import load_model
from leanformer.models.io.read_modules import BOOLEANS, read_embedding
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.numerics.pooling import MODES, Pooling

OLD = "sentence_transformers.models."
NEW = {  # as version 6 writes them
    "Transformer": "sentence_transformers.base.modules.transformer.Transformer",
    "Pooling": "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
    "Normalize": "sentence_transformers.base.modules.normalize.Normalize",
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "bert"
    save_model(*tiny_model("bert", head="embedding"), folder)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "m"))


def modules(*names: str, types: Any = None) -> list[dict[str, Any]]:
    return [
        {
            "idx": number,
            "name": str(number),
            "path": f"{number}_{name}" if number else "",
            "type": (types or {}).get(name, OLD + name),
        }
        for number, name in enumerate(names)
    ]


def write(folder: Path, name: str, value: Any) -> None:
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(value if isinstance(value, str) else json.dumps(value))


def describe(folder: Path, *, pooling: Any = None, **files: Any) -> Path:
    """The files of an embedding model that ends in Normalize; others where they are given."""
    write(folder, "modules.json", modules("Transformer", "Pooling", "Normalize"))
    write(folder, "1_Pooling/config.json", pooling or {"pooling_mode_mean_tokens": True})
    for name, value in files.items():
        write(folder, f"{name}.json", value)
    return folder


def test_a_plain_folder_is_pooled_by_the_mean_and_normalized(whole: Path) -> None:
    assert read_embedding(whole) == (Embedding(declared=False), None)


@pytest.mark.parametrize("types", [{}, NEW, NEW | {"Normalize": OLD + "Normalize"}])
@pytest.mark.parametrize("normalize", [True, False])
def test_modules_of_every_version_are_known(types: Any, normalize: bool, folder: Path) -> None:
    describe(folder)
    names = ["Transformer", "Pooling", "Normalize"][: 2 + normalize]
    write(folder, "modules.json", modules(*names, types=types))
    expected = Embedding(pooling=Pooling(mode="mean", normalize=normalize))
    assert read_embedding(folder) == (expected, None)


@pytest.mark.parametrize("mode", MODES)
def test_both_forms_of_pooling_are_known(mode: str, folder: Path) -> None:
    booleans = {key: name == mode for key, name in BOOLEANS.items()}
    for pooling in (
        {"word_embedding_dimension": 32, **booleans, "include_prompt": True},
        {"embedding_dimension": 32, "pooling_mode": mode, "include_prompt": True},
        {"embedding_dimension": 32, "pooling_mode": [mode]},
    ):
        assert read_embedding(describe(folder, pooling=pooling))[0].pooling.mode == mode


def test_pooling_that_says_no_mode_is_by_the_mean(folder: Path) -> None:
    describe(folder, pooling={"word_embedding_dimension": 32})
    assert read_embedding(folder)[0].pooling.mode == "mean"


def test_prompts_similarity_and_length_are_read(folder: Path) -> None:
    describe(
        folder,
        config_sentence_transformers={
            "__version__": {"sentence_transformers": "6.0.0"},
            "model_type": "SentenceTransformer",
            "prompts": {"query": "query: ", "document": None},
            "default_prompt_name": "query",
            "similarity_fn_name": "dot",
            "truncate_dim": None,
        },
        sentence_bert_config={"max_seq_length": 17, "do_lower_case": False},
    )
    expected = Embedding(
        prompts={"query": "query: "}, default_prompt_name="query", similarity="dot"
    )
    assert read_embedding(folder) == (expected, 17)
    model, tokenizer = load_model(folder, "embedding")
    assert embedding_of(model) == expected
    assert tokenizer.prompt == "query: "
    assert tokenizer.model_max_length == 17


def test_the_smaller_length_wins(folder: Path) -> None:
    describe(folder, sentence_roberta_config={"max_seq_length": 4096})
    assert read_embedding(folder)[1] == 4096
    assert load_model(folder, "embedding")[1].model_max_length == 64


def test_the_transformer_of_version_6_is_known(folder: Path) -> None:
    text = {"method": "forward", "method_output_name": "last_hidden_state"}
    describe(
        folder,
        sentence_bert_config={
            "transformer_task": "feature-extraction",
            "modality_config": {"text": text},
            "module_output_name": "token_embeddings",
            "unpad_inputs": True,
            "query_length": None,
            "processing_kwargs": {},
        },
    )
    assert read_embedding(folder)[1] is None


def test_modules_count_more_than_what_the_configuration_kept(folder: Path) -> None:
    describe(folder, pooling={"pooling_mode_cls_token": True})
    model, tokenizer = load_model(folder, "embedding")
    save_model(model, tokenizer, folder, overwrite=True)
    write(folder, "1_Pooling/config.json", {"pooling_mode": "max"})
    assert embedding_of(load_model(folder, "embedding")[0]).pooling.mode == "max"


def test_other_heads_do_not_read_them(folder: Path) -> None:
    describe(folder, pooling={"pooling_mode": "median"})
    model, _ = load_model(folder, "classification", num_labels=2)
    assert torch.is_tensor(model.classifier.weight)


def entries(kind: str, path: str = "2_Other") -> list[dict[str, Any]]:
    """Transformer and Pooling, and another module after them."""
    return [*modules("Transformer", "Pooling"), {"path": path, "type": kind}]


REFUSED = [
    *(
        ({"modules": entries(OLD + name)}, rf"modules.json: module '{OLD}{name}' in '2_Other'")
        for name in ("Dense", "LSTM", "CNN", "WordWeights", "Asym", "Router", "LayerNorm", "Dropout")
    ),
    (
        {"modules": entries("sentence_transformers.base.modules.dense.Dense")},
        r"'sentence_transformers.base.modules.dense.Dense' in '2_Other' cannot be kept",
    ),
    ({"modules": entries(OLD + "Pooling")}, r"module '.*Pooling' in '2_Other' cannot be kept"),
    ({"modules": entries("custom_st.Normalize")}, r"module 'custom_st.Normalize' in '2_Other'"),
    ({"modules": entries(OLD + "Normalize", "../x")}, r"path '../x' leads out of the folder"),
    ({"modules": entries(OLD + "Normalize", "/x")}, r"path '/x' leads out of the folder"),
    ({"modules": modules("Transformer")}, "the modules are Transformer; expected Transformer, Poo"),
    ({"modules": []}, r"the modules are none; expected"),
    ({"modules": modules("Pooling", "Transformer")}, r"the modules are Pooling, Transformer; exp"),
    ({"modules": ["Pooling"]}, r"'Pooling' does not give a type and a path"),
    ({"modules": {}}, r"modules.json must hold a JSON list, not dict"),
    ({"modules": "["}, r"modules.json is not valid JSON"),
    ({"modules": "[" * 100_000}, r"modules.json is not valid JSON: it is nested too deeply"),
    (
        {"modules": [{"path": "0_BERT", "type": OLD + "Transformer"}, *entries(OLD + "Normalize")[1:]]},
        r"the Transformer lies in '0_BERT' and not at the top; open the folder with",
    ),
    ({"1_Pooling/config": "{"}, r"1_Pooling/config.json is not valid JSON"),
    (
        {"1_Pooling/config": {"pooling_mode_cls_token": True, "pooling_mode_max_tokens": True}},
        r"1_Pooling/config.json: pools by cls and max; exactly one mode can be kept",
    ),
    ({"1_Pooling/config": {"pooling_mode": ["mean", "cls"]}}, r"pools by mean and cls; exactly one"),
    ({"1_Pooling/config": {"pooling_mode_mean_tokens": False}}, r"pools by nothing; exactly one"),
    ({"1_Pooling/config": {"pooling_mode": "median"}}, r"pooling_mode 'median' is not one of mean"),
    ({"1_Pooling/config": {"include_prompt": False}}, r"include_prompt = False leaves the prompt's"),
    ({"1_Pooling/config": {"top_k": 3}}, r"1_Pooling/config.json: top_k = 3 is not known"),
    (
        {"2_Normalize/config": {"module_input_name": "token_embeddings"}},
        r"2_Normalize/config.json: module_input_name = 'token_embeddings' does not normalize",
    ),
    ({"sentence_bert_config": {"do_lower_case": True}}, r"sentence_bert_config.json: do_lower_case"),
    ({"sentence_bert_config": {"max_seq_length": 0}}, r"max_seq_length = 0 is not a number of tok"),
    ({"sentence_bert_config": {"max_seq_length": "9"}}, r"max_seq_length = '9' is not a number of"),
    ({"sentence_bert_config": {"model_args": {"x": 1}}}, r"model_args = \{'x': 1\} cannot be kept"),
    ({"sentence_bert_config": {"transformer_task": "fill-mask"}}, r"transformer_task = 'fill-mask'"),
    ({"sentence_bert_config": {"modality_config": {"message": {}}}}, r"modality_config = .* texts"),
    ({"sentence_xlnet_config": {"do_lower_case": True}}, r"sentence_xlnet_config.json: do_lower"),
    ({"config_sentence_transformers": {"model_type": "SparseEncoder"}}, r"'SparseEncoder' does not"),
    ({"config_sentence_transformers": {"truncate_dim": 8}}, r"truncate_dim = 8 cuts the vectors"),
    ({"config_sentence_transformers": {"similarity_fn_name": "maxsim"}}, r"'maxsim' is not one of c"),
    ({"config_sentence_transformers": {"prompts": {"q": 1}}}, r"prompts = \{'q': 1\} is not a text"),
    (
        {"config_sentence_transformers": {"prompts": {"q": ""}, "default_prompt_name": "query"}},
        r"config_sentence_transformers.json: default_prompt_name: 'query' is not a prompt; prompts: q",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("files", "message"), REFUSED)
def test_what_cannot_be_kept_is_refused_by_name(files: Any, message: str, folder: Path) -> None:
    describe(folder)
    for name, value in files.items():
        write(folder, f"{name}.json", value)
    (folder / "model.safetensors").unlink()  # it is refused before a weight is looked for
    with pytest.raises(ValueError, match=message):
        load_model(folder, "embedding")


def test_pooling_that_is_missing_is_refused(folder: Path) -> None:
    shutil.rmtree(describe(folder) / "1_Pooling")
    with pytest.raises(
        ValueError, match=r"1_Pooling/config.json is missing; modules.json names it"
    ):
        load_model(folder, "embedding")


def test_the_files_are_fetched_from_a_hub() -> None:
    from huggingface_hub.utils import filter_repo_objects

    from leanformer.models.io.load import _FILES

    files = ["modules.json", "1_Pooling/config.json", "2_Normalize/config.json"]
    files += ["config_sentence_transformers.json", "sentence_bert_config.json"]
    assert list(filter_repo_objects(files, allow_patterns=_FILES)) == files
