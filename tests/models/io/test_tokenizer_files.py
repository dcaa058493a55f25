"""Tokenizers read texts as tokenizer.json says, whatever transformers' class makes of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from leanformer.models.families import FAMILIES
from leanformer.models.io.load import load_model
from leanformer.models.io.save import save_model
from leanformer.models.io.tokenizer_files import load_tokenizer
from leanformer.models.tiny import tiny_model
from leanformer.text.opening import open_reader, reader_of

TEXTS = (
    "Where is my parcel?",
    "  CRÈME brûlée,\tcafe\u0301\nﬁle ",
    "東京 x1y2z3",
    "",
)
Json = dict[str, Any]


def edit(file: Path, change: Callable[[Json], Any]) -> None:
    value = json.loads(file.read_text())
    change(value)
    file.write_text(json.dumps(value))


def saved(family: str, folder: Path, **settings: Any) -> Path:
    save_model(*tiny_model(family, **settings), folder)
    return folder


def ids(tokenizer: Any, text: str) -> list[int]:
    found: list[int] = tokenizer(text)["input_ids"]
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_the_class_stays_where_it_reads_as_the_file(family: str, tmp_path: Path) -> None:
    _, tokenizer = tiny_model(family)
    assert type(load_tokenizer(saved(family, tmp_path / "m"))) is type(tokenizer)


CHANGES: dict[str, tuple[str, Callable[[Json], Any]]] = {
    "a cased BERT without options": (
        "bert",
        lambda file: file["normalizer"].update(lowercase=False),
    ),
    "a RoBERTa with a space before": (
        "roberta",
        lambda file: file["pre_tokenizer"].update(add_prefix_space=True),
    ),
    "an XLM-R that normalizes": (
        "xlm-roberta",
        lambda file: file.update(normalizer={"type": "NFKC"}),
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_the_file_is_right_where_the_class_differs(case: str, tmp_path: Path) -> None:
    family, change = CHANGES[case]
    folder = saved(family, tmp_path / "m")
    edit(folder / "tokenizer.json", change)
    (folder / "tokenizer_config.json").write_text("{}")
    rebuilt = AutoTokenizer.from_pretrained(folder)
    written = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert any(ids(rebuilt, text) != written.encode(text).ids for text in TEXTS)
    model, tokenizer = load_model(folder, "classification")
    save_model(model, tokenizer, tmp_path / "again")
    for one in (
        tokenizer,
        load_tokenizer(tmp_path / "again"),
        AutoTokenizer.from_pretrained(tmp_path / "again"),
    ):
        assert [ids(one, text) for text in TEXTS] == [written.encode(t).ids for t in TEXTS]
        assert one.special_tokens_map == rebuilt.special_tokens_map
        assert dict(one("a", "b")) == dict(tokenizer("a", "b"))
        assert one("a", "b").keys() == rebuilt("a", "b").keys()


@pytest.mark.parametrize(
    ("option", "value", "part"),
    [
        ("do_lower_case", False, ("normalizer", "lowercase")),
        ("strip_accents", False, ("normalizer", "strip_accents")),
        ("tokenize_chinese_chars", False, ("normalizer", "handle_chinese_chars")),
    ],
)
def test_options_change_the_file(
    option: str, value: Any, part: tuple[str, str], tmp_path: Path
) -> None:
    folder = saved("bert", tmp_path / "m")
    edit(folder / "tokenizer_config.json", lambda settings: settings.update({option: value}))
    state = json.loads((folder / "tokenizer.json").read_text())
    state[part[0]][part[1]] = value
    written = Tokenizer.from_str(json.dumps(state))
    tokenizer = load_tokenizer(folder)
    assert [ids(tokenizer, text) for text in TEXTS] == [written.encode(t).ids for t in TEXTS]


def test_a_class_that_adds_special_tokens_to_those_of_the_file(tmp_path: Path) -> None:
    folder = saved("bert", tmp_path / "m")
    edit(folder / "tokenizer.json", lambda file: file.update(post_processor=None))
    with pytest.raises(ValueError, match=r"BertTokenizer reads texts otherwise.*post_processor"):
        load_tokenizer(folder)


@pytest.mark.parametrize(
    ("file", "change", "match"),
    [
        ("tokenizer_config.json", {"cls_token": 3}, "cannot read what it says .TypeError: Special"),
        ("tokenizer_config.json", {"tokenizer_class": []}, "cannot read what it says .TypeError"),
        ("tokenizer_config.json", {"model_input_names": 1}, "cannot read what it says .TypeError"),
        ("tokenizer_config.json", {"model_input_names": "ids"}, "no text can be read so"),
        ("tokenizer_config.json", {"model_max_length": -1}, "model_max_length is -1 and model_in"),
        ("tokenizer_config.json", {"truncation_side": "up"}, "should be selected between"),
        ("tokenizer_config.json", {"do_lower_case": "x"}, "cannot read what it says .TypeError"),
        ("tokenizer.json", {"model": {"type": "Sentence"}}, "cannot read what it says"),
    ],
)
def test_damaged_files(file: str, change: Json, match: str, tmp_path: Path) -> None:
    folder = saved("bert", tmp_path / "m")
    edit(folder / file, lambda value: value.update(change))
    with pytest.raises(ValueError, match=match):
        load_tokenizer(folder)


def test_a_tokenizer_without_a_fast_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow:
        is_fast = False

    monkeypatch.setattr("transformers.AutoTokenizer.from_pretrained", lambda *_, **__: Slow())
    with pytest.raises(ValueError, match="the tokenizer has no fast form"):
        load_tokenizer(tmp_path)


def test_ids_without_embeddings(tmp_path: Path) -> None:
    rows = len(tiny_model("bert")[1]) - 1
    folder = saved("bert", tmp_path / "m", vocab_size=rows)
    with pytest.raises(ValueError, match=rf"has ids up to {rows} and the model {rows} embeddings"):
        load_model(folder, "classification")


def pads(folder: Path, config: int | None, token: str | None) -> Path:
    edit(folder / "config.json", lambda fields: fields.update(pad_token_id=config))
    edit(folder / "tokenizer_config.json", lambda settings: settings.update(pad_token=token))
    return folder


@pytest.mark.parametrize(
    ("config", "token", "expected"),
    [
        (1, "<pad>", ("<pad>", 1)),
        (None, "<pad>", ("<pad>", 1)),
        (3, None, ("<unk>", 3)),
        (None, None, ("</s>", 2)),
    ],
)
def test_one_padding(
    config: int | None, token: str | None, expected: tuple[str, int], tmp_path: Path
) -> None:
    folder = pads(saved("llama", tmp_path / "m"), config, token)
    model, tokenizer = load_model(folder, "classification")
    assert (tokenizer.pad_token, tokenizer.pad_token_id) == expected
    assert model.config.pad_token_id == expected[1]


def test_two_paddings_or_none(tmp_path: Path) -> None:
    folder = pads(saved("llama", tmp_path / "m"), 3, "<pad>")
    with pytest.raises(ValueError, match=r"pad_token_id is 3 in config.json, and 1 \('<pad>'\) in"):
        load_model(folder, "classification")
    pads(folder, None, None)
    edit(folder / "tokenizer_config.json", lambda settings: settings.update(eos_token=None))
    with pytest.raises(ValueError, match="no token to pad with; name one as pad_token"):
        load_model(folder, "classification")


@pytest.mark.parametrize("family", ["bert", "roberta", "gpt2", "modernbert"])
def test_options_that_were_set_in_memory_are_saved(family: str, tmp_path: Path) -> None:
    model, tokenizer = tiny_model(family)
    tokenizer.truncation_side = tokenizer.padding_side = "left"
    tokenizer.split_special_tokens = True
    tokenizer.model_input_names = ["input_ids", "attention_mask", "token_type_ids"]
    save_model(model, tokenizer, tmp_path / "m")
    special = tokenizer.pad_token
    texts = ["one two three four five six", f"a {special} b"]
    reader = reader_of(tokenizer, 6)
    for again in (AutoTokenizer.from_pretrained(tmp_path / "m"), load_tokenizer(tmp_path / "m")):
        for text in texts:
            assert dict(again(text)) == dict(tokenizer(text))
            cut = {"truncation": True, "max_length": 6}
            assert again(text, **cut)["input_ids"] == tokenizer(text, **cut)["input_ids"]
        assert again.padding_side == "left"
        assert reader_of(again, 6).read(texts, texts) == reader.read(texts, texts)
    assert open_reader(tmp_path / "m", 6).read(texts, texts) == reader.read(texts, texts)
