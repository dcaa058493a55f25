from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from leanformer.core.proof import NoEffect
from leanformer.core.record import Record
from leanformer.core.workspace import Workspace
from leanformer.data import IGNORE, Dataset, Examples, Task, encode_examples
from leanformer.models.embedding import Embedding, describe_embedding
from leanformer.models.tiny import tiny_model
from leanformer.prune.cut_vocabulary import CutVocabulary
from leanformer.text import reader_of

TRAIN = Examples(texts=["the quick brown fox"], pairs=["a lazy dog"], labels=[0])


def workspace(folder: Path, unlabelled: Examples | None = None) -> Workspace:
    model, tokenizer = tiny_model("bert")
    task = Task(kind="classification", labels=("a", "b", "c"))
    dataset = Dataset(
        name="toy", task=task, train=TRAIN, dev=TRAIN, test=TRAIN, unlabelled=unlabelled
    )
    return Workspace(
        name="student", model=model, tokenizer=tokenizer, dataset=dataset, folder=folder,
        record=Record(folder / "record.jsonl"),
    )  # fmt: skip


def test_the_texts_of_the_domain_are_answered_as_before(tmp_path: Path) -> None:
    given = workspace(tmp_path, Examples(texts=["play some music"], pairs=["and light"]))
    texts = ["the quick brown fox", "a lazy dog", "play some music", "and light"]
    whole = given.tokenizer
    with torch.no_grad():
        before = [given.model(**whole(text, return_tensors="pt")).logits for text in texts]
    done = CutVocabulary().apply(given)
    (proof,) = done.proofs
    assert proof.before == len(whole)
    assert proof.after == len(done.tokenizer) < len(whole)
    assert done.teacher_tokenizer is whole
    assert done.model.config.vocab_size == len(done.tokenizer)
    for text, expected in zip(texts, before, strict=True):
        with torch.no_grad():
            found = done.model(**done.tokenizer(text, return_tensors="pt")).logits
        assert torch.equal(found, expected)
    assert "mountains" not in done.tokenizer.get_vocab()


def test_a_size_keeps_less(tmp_path: Path) -> None:
    whole = CutVocabulary().apply(workspace(tmp_path)).tokenizer
    small = CutVocabulary(size=len(whole) - 3).apply(workspace(tmp_path)).tokenizer
    assert len(small) == len(whole) - 3


def test_nothing_to_remove_fails_loudly(tmp_path: Path) -> None:
    done = CutVocabulary().apply(workspace(tmp_path))
    with pytest.raises(NoEffect, match=r"word pieces: was (\d+) and is \1"):
        CutVocabulary().apply(done)


@pytest.mark.parametrize("field", ["min_count", "size"])
def test_settings_out_of_range_are_refused(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field}: 0 is not at least 1"):
        CutVocabulary(**{field: 0})


def test_the_first_pieces_stay_besides(tmp_path: Path) -> None:
    bare = CutVocabulary().apply(workspace(tmp_path)).tokenizer
    given = workspace(tmp_path)
    first = given.tokenizer.convert_ids_to_tokens(range(len(bare)))
    kept = CutVocabulary(first=len(bare)).apply(given).tokenizer.get_vocab()
    assert set(first) | set(bare.get_vocab()) == set(kept)
    with pytest.raises(ValueError, match="first: -1 is not at least 0"):
        CutVocabulary(first=-1)


def test_every_prompt_stays_readable_and_the_default_one_is_read_before_each_text(
    tmp_path: Path,
) -> None:
    given = workspace(tmp_path)
    described = Embedding(
        prompts={"query": "play some ", "document": "mountains "}, default_prompt_name="query"
    )
    describe_embedding(given.model, given.tokenizer, described)
    done = CutVocabulary(min_count=2).apply(given)
    for text in ("play some", "mountains"):
        spelled = done.tokenizer.tokenize(text)
        assert spelled == given.tokenizer.tokenize(text)
    assert done.tokenizer.prompt == "play some "
    assert len(done.tokenizer) < len(given.tokenizer)


PHRASED = Examples(
    texts=["how do i play the music", "well, how do i stop", "unsaid how do i"], labels=[0, 1, 2]
)


def phrased(folder: Path, texts: Examples = PHRASED, **changes: Any) -> Workspace:
    given = workspace(folder)
    task = changes.pop("task", given.dataset.task)
    dataset = replace(given.dataset, task=task, train=texts, dev=texts, test=texts)
    return given.with_(dataset=dataset, **changes)


def test_phrases_become_tokens_and_the_proof_counts_them_on_dev(tmp_path: Path) -> None:
    given = phrased(tmp_path)
    whole = given.tokenizer
    done = CutVocabulary(phrases=5, phrase_min_count=3).apply(given)
    pieces, tokens = done.proofs
    assert done.tokenizer.tokenize("How do I sing")[0] == "how do i"
    assert pieces.after == len(done.tokenizer) - 1
    counts = [sum(len(t.tokenize(x)) for x in PHRASED.texts) / 3 for t in (whole, done.tokenizer)]
    assert [tokens.before, tokens.after] == counts
    assert tokens.note == "phrases added: 1; special tokens not counted"
    assert done.teacher_tokenizer is whole
    assert done.model.config.vocab_size == len(done.tokenizer)


def test_phrases_have_as_many_words_as_asked(tmp_path: Path) -> None:
    step = CutVocabulary(phrases=9, phrase_min_count=3, phrase_words=2)
    assert step.apply(phrased(tmp_path)).tokenizer.tokenize("how do i")[0] in ("how do", "how")


def test_labeled_words_keep_a_token_each(tmp_path: Path) -> None:
    words = [["unsaid", "things", "(how", "do", "i", "É-mail"], ["unsaid", "how", "do", "i"]]
    labels = [[0] * 6, [1] * 4]
    texts = Examples(texts=[" ".join(row) for row in words], words=words, labels=labels)
    model = tiny_model("bert", head="tokens")[0]
    task = Task(kind="tokens", labels=("a", "b"))
    done = CutVocabulary(phrases=9, phrase_min_count=1).apply(
        phrased(tmp_path, texts, task=task, model=model)
    )
    tokenizer = done.tokenizer
    assert {"unsaid", "things", "how", "e-mail"} <= set(tokenizer.get_vocab())
    assert not any(" " in token for token in tokenizer.get_vocab())
    for row, reading in zip(words, reader_of(tokenizer, 64).read_words(words), strict=True):
        owners = tokenizer(row, is_split_into_words=True).word_ids()
        assert list(reading.firsts) == [owners.index(word) for word in range(len(row))]
    encoded = encode_examples(texts, tokenizer, "tokens", 64)
    assert encoded.labels is not None
    assert [sum(label != IGNORE for label in row) for row in encoded.labels] == [6, 4]


def test_phrases_that_are_not_there_fail_loudly(tmp_path: Path) -> None:
    with pytest.raises(NoEffect, match=r"tokens per text on dev: .* \(phrases added: 0"):
        CutVocabulary(phrases=5).apply(phrased(tmp_path))
    done = CutVocabulary(phrases=5, missing_ok=True).apply(phrased(tmp_path))
    assert done.proofs[1].after == done.proofs[1].before


@pytest.mark.parametrize("kind", ["masked-lm", "causal-lm"])
def test_tasks_that_predict_tokens_have_no_phrases(kind: Any, tmp_path: Path) -> None:
    given = phrased(tmp_path, task=Task(kind=kind))
    with pytest.raises(ValueError, match=f"phrases: the task is {kind}, which predicts tokens"):
        CutVocabulary(phrases=5).apply(given)


def test_tokenizers_without_phrases_are_refused_before_anything_is_cut(tmp_path: Path) -> None:
    model, tokenizer = tiny_model("xlm-roberta")
    given = phrased(tmp_path, model=model, tokenizer=tokenizer)
    with pytest.raises(ValueError, match=r"phrases: this tokenizer \(Unigram"):
        CutVocabulary(phrases=5).apply(given)
    assert model.config.vocab_size == len(tokenizer)
