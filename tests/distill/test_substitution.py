import random
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leanformer.data import Examples
from leanformer.distill.substitution import Substitution, substituted, whole_words
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.models.tiny_tokenizers import tiny_tokenizer

TOKENIZER = tiny_tokenizer("bert")
WORDS, IDS = whole_words(TOKENIZER)
VECTORS = torch.randn(len(TOKENIZER), 16, generator=torch.Generator().manual_seed(0))
TEXTS = Examples(texts=["play some quiet music , please", "the lazy dog jumps"], labels=[0, 1])


@given(share=st.floats(0, 1), seed=st.integers(0, 99))
def test_words_become_one_of_their_substitutes_or_stay(share: float, seed: int) -> None:
    words, others = ["a", "b", ","], [["x", "y"], ["z"], []]
    found = substituted(words, others, share, random.Random(seed))
    for new, old, substitutes in zip(found, words, others, strict=True):
        assert new == old or new in substitutes
    assert found[2] == ","


def test_as_many_words_change_as_asked() -> None:
    found = substituted(["a"] * 20_000, [["b"]] * 20_000, 0.4, random.Random(0))
    assert found.count("b") / 20_000 == pytest.approx(0.4, abs=0.01)


@pytest.mark.parametrize("family", ["bert", "xlm-roberta", "roberta"])
def test_whole_words_are_spelled_with_one_piece(family: str) -> None:
    tokenizer = tiny_tokenizer(family)
    words, ids = whole_words(tokenizer)
    assert all(word.isalpha() for word in words)
    for word, index in zip(words, ids, strict=True):
        assert tokenizer.encode(word, add_special_tokens=False) == [index]
    assert "music" in words or family != "bert"


def test_substitutes_are_the_words_whose_embeddings_are_nearest() -> None:
    step = Substitution(copies=200, share=1.0, candidates=3)
    made = step.augment(Examples(texts=["music"]), TOKENIZER, VECTORS, seed=0)
    own = VECTORS[TOKENIZER.convert_tokens_to_ids("music")]
    near = sorted(
        (word for word in WORDS if word != "music"),
        key=lambda word: (
            -torch.cosine_similarity(
                VECTORS[TOKENIZER.convert_tokens_to_ids(word)], own, dim=0
            ).item()
        ),
    )
    assert sorted(made.texts) == sorted(near[:3])


def test_copies_are_distinct_unlabelled_and_the_same_for_the_same_seed() -> None:
    step = Substitution(copies=30)
    made = step.augment(TEXTS, TOKENIZER, VECTORS, seed=0)
    assert made == step.augment(TEXTS, TOKENIZER, VECTORS, seed=0)
    assert made != step.augment(TEXTS, TOKENIZER, VECTORS, seed=1)
    assert made.labels is None
    assert len(set(made.texts)) == len(made) > 30
    assert not set(made.texts) & set(TEXTS.texts)
    assert all("," in text.split() for text in made.texts if len(text.split()) == 6)


def test_of_a_pair_one_side_changes_at_a_time() -> None:
    pairs = Examples(texts=TEXTS.texts, pairs=TEXTS.texts[::-1], labels=[0.0, 1.0])
    made = Substitution(copies=10, share=1.0).augment(pairs, TOKENIZER, VECTORS, seed=0)
    assert made.pairs is not None
    whole = set(TEXTS.texts)
    sides = [(a in whole, b in whole) for a, b in zip(made.texts, made.pairs, strict=True)]
    assert {(True, False), (False, True)} == set(sides)


def test_words_stay_words() -> None:
    given = Examples(texts=["the lazy dog"], words=[["the", "lazy", "dog"]], labels=[[0, 0, 1]])
    made = Substitution(copies=5).augment(given, TOKENIZER, VECTORS, seed=0)
    assert made.words is not None
    assert [" ".join(words) for words in made.words] == made.texts
    assert all(len(words) == 3 for words in made.words)


def test_a_language_model_fills_the_places_of_words_of_one_piece(tmp_path: Path) -> None:
    model, tokenizer = tiny_model("bert", head="masked")
    save_model(model, tokenizer, tmp_path / "model")
    step = Substitution(copies=300, share=1.0, candidates=2, language_model=str(tmp_path / "model"))
    made = step.augment(Examples(texts=["quiet music"]), TOKENIZER, VECTORS, seed=0)
    inputs = tokenizer("quiet music", return_tensors="pt")
    inputs["input_ids"][0, 2] = tokenizer.mask_token_id
    scores = model(**inputs).logits[0, 2]
    expected = [WORDS[index] for index in scores[torch.tensor(IDS)].topk(3).indices.tolist()]
    expected = [word for word in expected if word != "music"][:2]
    assert {text.split()[1] for text in made.texts} == set(expected)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"copies": 0}, "copies: 0 is not at least 1"),
        ({"candidates": 0}, "candidates: 0 is not at least 1"),
        ({"share": 0.0}, r"share: 0.0 is not above 0 and at most 1"),
    ],
)
def test_what_makes_no_sense_is_refused(fields: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Substitution(**fields)  # type: ignore[arg-type]


def test_a_special_token_that_is_spelled_like_a_word_stays(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer("bert")
    tokenizer.add_tokens(["ENTITY"], special_tokens=True)
    vectors = torch.randn(len(tokenizer), 16, generator=torch.Generator().manual_seed(0))
    model, _ = tiny_model("bert", head="masked", vocab_size=len(tokenizer))
    save_model(model, tokenizer, tmp_path / "m")
    assert "ENTITY" not in whole_words(tokenizer)[0]
    for language_model in (None, str(tmp_path / "m")):
        step = Substitution(copies=20, share=1.0, language_model=language_model)
        made = step.augment(Examples(texts=["ENTITY music"]), tokenizer, vectors, seed=0)
        assert made.texts
        assert all(text.startswith("ENTITY ") and "music" not in text for text in made.texts)
