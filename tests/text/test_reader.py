import json
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanformer.models.families import FAMILIES
from leanformer.models.tiny_tokenizers import TEXTS, tiny_tokenizer
from leanformer.text.encoders import HuggingFace
from leanformer.text.opening import open_reader, reader_of
from leanformer.text.reader import Reading

LONG = [" ".join([*TEXTS] * 9), "jump", "un" * 900, "dog " * 3000, TEXTS[0]]
WORDS = st.text(alphabet="abcdehijklmnopqrstuvwxyz,.!?éßक中ไ ", max_size=80).filter(str.strip)


def saved(family: str, folder: Path, **options: Any) -> Any:
    """A tokenizer in a folder, with options in its files."""
    tokenizer = tiny_tokenizer(family)
    tokenizer.init_kwargs |= options
    for name, value in options.items():
        setattr(tokenizer, name, value)
    tokenizer.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"pad_token_id": tokenizer.pad_token_id}))
    return tokenizer


def expected(tokenizer: Any, texts: list[str], pairs: Any, limit: int) -> list[list[int]]:
    """What transformers says."""
    encoded = tokenizer(texts, pairs, truncation=True, max_length=limit, verbose=False)
    return list(encoded["input_ids"])


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("family", FAMILIES)
def test_it_reads_as_transformers_does(family: str, side: str, tmp_path: Path) -> None:
    tokenizer = saved(family, tmp_path, truncation_side=side)
    texts, pairs = [*TEXTS, *LONG], [*LONG, *TEXTS]
    for limit in (6, 17, 64):
        for reader in (open_reader(tmp_path, limit), reader_of(tokenizer, limit)):
            for second in (None, pairs):
                theirs = expected(tokenizer, texts, second, limit)
                for parallel in (False, True):
                    ours = reader.read(texts, second, parallel=parallel)
                    assert [reading.ids for reading in ours] == theirs
                whole = tokenizer(texts, second, verbose=False)["input_ids"]
                assert [r.cut for r in ours] == [len(ids) > limit for ids in whole]
            assert reader.pad_id == (tokenizer.pad_token_id or 0)


def test_types_tell_the_second_text_where_the_tokenizer_says_so(tmp_path: Path) -> None:
    tokenizer = saved("bert", tmp_path)
    theirs = tokenizer(["the dog"], ["a lazy fox"])["token_type_ids"]
    assert open_reader(tmp_path, 64).read(["the dog"], ["a lazy fox"])[0].types == theirs[0]
    saved("bert", tmp_path, model_input_names=["input_ids", "attention_mask"])
    reading = open_reader(tmp_path, 64).read(["the dog"], ["a lazy fox"])[0]
    assert reading.types == [0] * len(reading.ids)


@pytest.mark.parametrize("side", ["right", "left"])
def test_the_words_of_a_long_sentence_are_found_at_either_end(side: str, tmp_path: Path) -> None:
    saved("bert", tmp_path, truncation_side=side)
    reader = open_reader(tmp_path, 16)
    for words in (["dog"] * 3000 + ["jump"], ["dog"] * 20 + ["jump"]):
        (reading,) = reader.read_words([words if side == "left" else words[::-1]])
        read = [place for place in reading.firsts if place is not None]
        assert read == list(range(1, 15))
        assert all(place is not None for place in reading.firsts[-14:]) == (side == "left")
        (jump,) = reader.read(["jump"])
        word = reading.firsts[-1 if side == "left" else 0]
        assert word is not None
        assert reading.ids[word] == jump.ids[1]


def test_a_sentence_without_words_has_special_tokens_alone(tmp_path: Path) -> None:
    tokenizer = saved("bert", tmp_path)
    (reading,) = open_reader(tmp_path, 16).read_words([[]])
    assert reading == Reading(tokenizer("")["input_ids"], [0, 0], cut=False)


@pytest.mark.parametrize("split", [False, True])
def test_special_tokens_in_a_text_are_text_where_the_files_say_so(
    split: bool, tmp_path: Path
) -> None:
    tokenizer = saved("bert", tmp_path, split_special_tokens=split)
    text = "the dog [SEP] jumps"
    assert (tokenizer(text)["input_ids"].count(tokenizer.sep_token_id) == 1) == split
    assert open_reader(tmp_path, 64).read([text])[0].ids == tokenizer(text)["input_ids"]


def test_settings_that_a_tokenizer_file_holds_do_not_count(tmp_path: Path) -> None:
    """sentence-transformers leaves a limit and a padding in tokenizer.json."""
    tokenizer = saved("bert", tmp_path)
    backend = tokenizer.backend_tokenizer
    backend.enable_truncation(4)
    backend.enable_padding(length=40)
    backend.save(str(tmp_path / "tokenizer.json"))
    assert open_reader(tmp_path, 64).read([TEXTS[0]])[0].ids == tokenizer(TEXTS[0])["input_ids"]


def test_the_smaller_limit_counts(tmp_path: Path) -> None:
    tokenizer = saved("bert", tmp_path, model_max_length=9)
    assert open_reader(tmp_path, 64).max_length == reader_of(tokenizer, 64).max_length == 9
    with pytest.raises(ValueError, match="max_length: 3 tokens have no room for a text beside 3"):
        open_reader(tmp_path, 3)


def test_a_tokenizer_that_is_read_from_stays_as_it_is() -> None:
    tokenizer = tiny_tokenizer("bert")
    before = tokenizer.backend_tokenizer.to_str()
    reader_of(tokenizer, 8).read(list(TEXTS))
    assert tokenizer.backend_tokenizer.to_str() == before


def test_long_texts_are_cut_before_they_are_tokenized() -> None:
    tokenizer = tiny_tokenizer("bert")
    reader = reader_of(tokenizer, 16)
    text = " ".join([*TEXTS] * 2000)
    seen: list[int] = []

    class Counting:
        def encode(self, text: str, **settings: Any) -> Any:
            seen.append(len(text))
            return real.encode(text, **settings)

    real, reader._hugging_face = reader._tokenizer, HuggingFace(Counting())
    assert reader.read([text])[0].cut
    assert len(text) > 500_000
    assert len(seen) == 1
    assert seen[0] < 700


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("family", ["bert", "xlm-roberta", "roberta", "llama"])
def test_empty_stretches_of_a_long_text_are_read_over(family: str, side: str) -> None:
    """Thousands of spaces make no token, and so does what a normalizer drops."""
    tokenizer = tiny_tokenizer(family)
    tokenizer.truncation_side = side
    texts = [
        f"dog{gap * 4000}the quick fox {'jumps over ' * 40}{gap * 4000}cat"
        for gap in (" ", "\n \t", "\u200b ")
    ]
    reader = reader_of(tokenizer, 12)
    theirs = expected(tokenizer, texts, None, 12)
    assert [reading.ids for reading in reader.read(texts)] == theirs


@settings(max_examples=40)
@given(st.lists(WORDS, min_size=1, max_size=4), st.integers(5, 20), st.integers(1, 60))
@pytest.mark.parametrize("family", ["bert", "xlm-roberta", "modernbert"])
def test_any_text_is_read_as_transformers_does(
    family: str, texts: list[str], limit: int, times: int
) -> None:
    tokenizer = tiny_tokenizer(family)
    texts = [text * times for text in texts]
    ours = reader_of(tokenizer, limit).read(texts)
    assert [reading.ids for reading in ours] == expected(tokenizer, texts, None, limit)


@pytest.mark.parametrize("family", FAMILIES)
def test_words_are_read_as_the_text_that_they_make(family: str) -> None:
    tokenizer = tiny_tokenizer(family)
    reader = reader_of(tokenizer, 64)
    words = ["the", "xylophone", "dog,", "jumping"]
    reading = reader.read_words([words])[0]
    assert reading.ids == reader.read([" ".join(words)])[0].ids
    places = tokenizer(" ".join(words))
    at, firsts = 0, []
    for word in words:
        inside = range(at, at + len(word))
        tokens = [places.char_to_token(0, place) for place in inside]
        firsts.append(next(token for token in tokens if token is not None))
        at += len(word) + 1
    assert list(reading.firsts) == firsts
    assert len(reading.ids) > len(words) + 2  # the odd word has several tokens


def test_words_without_a_token_and_words_past_the_cut_have_no_first() -> None:
    reader = reader_of(tiny_tokenizer("bert"), 6)
    reading = reader.read_words([["the", "\u200b", "dog", "jumps", "over", "it"]])[0]
    assert reading.firsts == (1, None, 2, 3, 4, None)
    assert reading.cut


def test_words_past_a_cut_at_the_left_have_no_first() -> None:
    tokenizer = tiny_tokenizer("bert")
    tokenizer.truncation_side = "left"
    reading = reader_of(tokenizer, 5).read_words([["the", "quick", "dog", "jumps", "over"]])[0]
    assert reading.firsts == (None, None, 1, 2, 3)


@pytest.mark.parametrize("family", ["bert", "roberta", "xlm-roberta"])
def test_the_prompt_is_read_before_every_text(family: str) -> None:
    tokenizer = tiny_tokenizer(family)
    tokenizer.prompt = "the fox: "
    reader = reader_of(tokenizer, 64)
    assert reader.read(["my dog"])[0].ids == tokenizer("the fox: my dog")["input_ids"]
    reading = reader.read_words([["my", "dog"]])[0]
    tokens = tokenizer.convert_ids_to_tokens([reading.ids[first] for first in reading.firsts])  # type: ignore[index]
    assert [token.strip("Ġ▁")[0] for token in tokens] == ["m", "d"]


def test_eight_threads_read_what_one_reads() -> None:
    reader = reader_of(tiny_tokenizer("bert"), 16)
    texts = [" ".join([text] * times) for text in TEXTS for times in (1, 3, 40)]
    alone = reader.read(texts)
    wrong: list[Reading] = []

    def work(start: int) -> None:
        for _ in range(30):
            for index in range(start, len(texts), 3):
                (got,) = reader.read([texts[index]])
                if got != alone[index]:
                    wrong.append(got)

    threads = [threading.Thread(target=work, args=(start % 3,)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_damaged_or_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"tokenizer.json is missing: only fast"):
        open_reader(tmp_path, 8)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(ValueError, match=r"tokenizer.json is damaged"):
        open_reader(tmp_path, 8)
    saved("bert", tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(ValueError, match=r"config.json must hold a JSON object, not list"):
        open_reader(tmp_path, 8)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config.json is not valid JSON"):
        open_reader(tmp_path, 8)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("model_max_length", "64", "is damaged: model_max_length is '64'"),
        ("model_input_names", "ids", "is damaged: model_input_names is 'ids'"),
        ("truncation_side", 3, "is damaged: truncation_side is 3"),
        ("truncation_side", "middle", "truncation_side 'middle' is not one of right, left"),
    ],
)
def test_options_that_cannot_be_are_refused(
    field: str, value: object, message: str, tmp_path: Path
) -> None:
    saved("bert", tmp_path)
    file = tmp_path / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), field: value}))
    with pytest.raises(ValueError, match=f"tokenizer_config.json.*{message}"):
        open_reader(tmp_path, 8)


def test_options_that_are_null_do_not_count(tmp_path: Path) -> None:
    tokenizer = saved("bert", tmp_path)
    file = tmp_path / "tokenizer_config.json"
    names = ("model_max_length", "model_input_names", "truncation_side")
    file.write_text(json.dumps({**json.loads(file.read_text()), **dict.fromkeys(names)}))
    (reading,) = open_reader(tmp_path, 12).read([LONG[0]])
    assert reading.ids == expected(tokenizer, [LONG[0]], None, 12)[0]


@pytest.mark.parametrize("prompts", [{}, None, ["q"], {"q": None}])
def test_a_default_prompt_that_is_not_among_the_prompts_is_refused(
    prompts: object, tmp_path: Path
) -> None:
    saved("bert", tmp_path)
    file = tmp_path / "config_sentence_transformers.json"
    file.write_text(json.dumps({"prompts": prompts, "default_prompt_name": "q"}))
    with pytest.raises(ValueError, match=r"default_prompt_name 'q' is not in its prompts"):
        open_reader(tmp_path, 8)
    file.write_text(json.dumps({"prompts": {"q": "the dog "}, "default_prompt_name": None}))
    assert open_reader(tmp_path, 8).prefix == ""
