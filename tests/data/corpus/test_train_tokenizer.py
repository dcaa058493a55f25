import random
from pathlib import Path
from typing import Any

import pytest
from data.corpus.corpora import WORDS, texts_of, written
from transformers import AutoTokenizer

from leanformer.data.corpus import Corpus, train_tokenizer
from leanformer.data.corpus.vocabularies import TRAINED
from leanformer.models.io.tokenizer_files import load_tokenizer

ALGORITHMS = list(TRAINED)
KINDS = ("causal-lm", "masked-lm")
TEXTS = [*texts_of(300), "Ærø, Straße – 東京!", "Numbers: 12 345.67, C++ and (more)?"]


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return Corpus(paths=(str(written(tmp_path / "texts.txt", TEXTS)),))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("kind", KINDS)
def test_transformers_opens_what_was_trained(
    tmp_path: Path, corpus: Corpus, algorithm: Any, kind: str
) -> None:
    settings = {"kind": kind, "max_length": 77, "vocabulary": 400, "algorithm": algorithm}
    trained = train_tokenizer(corpus, tmp_path / "t", **settings)
    opened = AutoTokenizer.from_pretrained(tmp_path / "t")
    assert opened.model_max_length == trained.model_max_length == 77
    assert len(opened) <= 400
    texts = [*TEXTS[-2:], " ".join(WORDS)]
    found = opened(texts)["input_ids"]
    assert (
        found == trained(texts)["input_ids"] == load_tokenizer(tmp_path / "t")(texts)["input_ids"]
    )
    words = " ".join(WORDS)
    assert opened.decode(found[-1], skip_special_tokens=True).strip() == words
    if kind == "masked-lm":
        assert all(ids[0] == opened.cls_token_id for ids in found)
        assert all(ids[-1] == opened.sep_token_id for ids in found)
        assert {opened.mask_token_id, opened.pad_token_id} < set(opened.all_special_ids)
        pair = opened("music", "rice")
        assert pair["input_ids"].count(opened.sep_token_id) == 2
        assert ("token_type_ids" in pair) == (algorithm == "wordpiece")
        assert pair.get("token_type_ids", [1])[-1] == 1
    else:
        assert opened.eos_token_id is not None
        assert opened.eos_token_id not in found[-1]
    if algorithm == "bpe":
        assert [opened.decode(ids, skip_special_tokens=True) for ids in found[:2]] == texts[:2]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_equal_texts_give_equal_tokenizers(tmp_path: Path, algorithm: Any) -> None:
    draw = random.Random(0)
    texts = ["".join(draw.choices("abcdefgh ", k=80)) for _ in range(200)]  # full of ties
    corpus = Corpus(paths=(str(written(tmp_path / "texts.txt", texts)),))
    asked = {"kind": "masked-lm", "max_length": 64, "vocabulary": 350, "algorithm": algorithm}
    files = []
    for number in range(3):  # the library draws a new order of its words each time
        train_tokenizer(corpus, tmp_path / str(number), **asked)
        files.append((tmp_path / str(number) / "tokenizer.json").read_bytes())
    assert files[0] == files[1] == files[2]


def test_settings_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    corpus = Corpus(paths=("missing.txt",))

    def train(folder: str = "t", **settings: Any) -> Any:
        asked = {"kind": "causal-lm", "max_length": 64, **settings}
        return train_tokenizer(corpus, tmp_path / folder, **asked)

    with pytest.raises(ValueError, match="kind: 'tokens' is not causal-lm or masked-lm"):
        train(kind="tokens")
    with pytest.raises(ValueError, match="algorithm: 'words' is not one of bpe, wordpiece, unigra"):
        train(algorithm="words")
    with pytest.raises(ValueError, match="max_length: 1 is too short for a text"):
        train(max_length=1)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(FileExistsError, match="full exists and is not empty"):
        train("full")
    with pytest.raises(FileNotFoundError, match=r"missing\.txt: no such file"):
        train()
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_vocabulary_must_hold_the_characters(
    tmp_path: Path, corpus: Corpus, algorithm: Any
) -> None:
    with pytest.raises(ValueError, match=r"vocabulary: 20 tokens are fewer than .*give more"):
        train_tokenizer(
            corpus,
            tmp_path / "t",
            kind="causal-lm",
            max_length=64,
            vocabulary=20,
            algorithm=algorithm,
        )


def test_lower_case_is_a_choice_and_no_more_is_read_than_asked(
    tmp_path: Path, corpus: Corpus
) -> None:
    def ids(name: str, text: str, **settings: Any) -> list[int]:
        made = train_tokenizer(
            corpus, tmp_path / name, kind="masked-lm", max_length=64, vocabulary=400, **settings
        )
        return made(text)["input_ids"]

    assert ids("a", "MUSIC Rice") == ids("b", "music rice")
    assert ids("c", "MUSIC Rice", lowercase=False) != ids("d", "music rice", lowercase=False)
    for algorithm in ("bpe", "unigram"):
        asked = {"lowercase": True, "algorithm": algorithm}
        assert ids(f"e-{algorithm}", "MÚSIC", **asked) == ids(f"f-{algorithm}", "music", **asked)
    few = ids("g", "music", characters=5)
    assert len(few) != len(ids("h", "music"))
