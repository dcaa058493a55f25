from pathlib import Path

import pytest
import torch

from leanformer.core.proof import NoEffect
from leanformer.core.record import Record
from leanformer.core.workspace import Workspace
from leanformer.data import Dataset, Examples, Task
from leanformer.models.embedding import Embedding, describe_embedding
from leanformer.models.tiny import tiny_model
from leanformer.prune.cut_vocabulary import CutVocabulary

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
