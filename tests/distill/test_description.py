from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distill.toy import SETUP, model_for
from train.toy import TEXTS

from leanformer.core.record import Record
from leanformer.core.workspace import Workspace
from leanformer.data import Dataset, Encoded, Examples, Task, encode_examples
from leanformer.distill.description import follow_description, lengths
from leanformer.distill.objectives import Cosine, HiddenStates, Logits, Vectors
from leanformer.distill.step import Distill
from leanformer.distill.students.source import with_student
from leanformer.distill.teachers.teacher_cache import key_of
from leanformer.models.embedding import Embedding, describe_embedding, embedding_of
from leanformer.models.tiny_tokenizers import tiny_tokenizer
from leanformer.numerics.pooling import Pooling
from leanformer.train.evaluate import outputs

RAW = Embedding(pooling=Pooling(mode="cls", normalize=False))
ASKED = Embedding(prompts={"query": "play "}, default_prompt_name="query")


def pair(ours: Embedding | None, theirs: Embedding | None) -> tuple[Any, Any, Any]:
    """A student, its tokenizer and a teacher; None = a model that says nothing."""
    tokenizer = tiny_tokenizer("bert")
    teacher, student = model_for("embedding"), model_for("embedding", 1, num_hidden_layers=2)
    for model, described in ((teacher, theirs), (student, ours)):
        if described is not None:
            describe_embedding(
                model, tokenizer if model is student else tiny_tokenizer("bert"), described
            )
    return student, tokenizer, teacher


def workspace(folder: Path, ours: Embedding | None, theirs: Embedding | None) -> Workspace:
    student, tokenizer, teacher = pair(ours, theirs)
    theirs_tokenizer = tiny_tokenizer("bert")
    theirs_tokenizer.prompt = embedding_of(teacher).prompt
    texts = Examples(texts=TEXTS)
    dataset = Dataset(name="toy", task=Task(kind="embedding"), train=texts, dev=texts, test=texts)
    return Workspace(
        name="student", model=student, tokenizer=tokenizer, dataset=dataset, folder=folder,
        record=Record(folder / "record.jsonl"), teacher=teacher, teacher_tokenizer=theirs_tokenizer,
    )  # fmt: skip


@pytest.mark.parametrize("theirs", [RAW, ASKED])
def test_a_plain_student_takes_over_what_its_teacher_says(theirs: Embedding) -> None:
    for ours in (None, Embedding(declared=False)):
        student, tokenizer, teacher = pair(ours, theirs)
        follow_description(student, tokenizer, teacher, tokenizer, [Cosine()])
        assert embedding_of(student) == theirs
        assert tokenizer.prompt == theirs.prompt


def test_the_prefixes_of_a_student_are_those_of_its_teacher() -> None:
    for ours, theirs in ((Embedding(widths=(8,)), Embedding()), (None, Embedding(widths=(4, 16)))):
        student, tokenizer, teacher = pair(ours, theirs)
        follow_description(student, tokenizer, teacher, tokenizer, [Cosine()])
        assert embedding_of(student).widths == theirs.widths


def test_a_student_keeps_a_pooling_of_its_own() -> None:
    own = Embedding(pooling=Pooling(mode="max", normalize=False))
    student, tokenizer, teacher = pair(own, RAW)
    follow_description(student, tokenizer, teacher, tokenizer, [Vectors()])
    assert embedding_of(student) == own


@pytest.mark.parametrize(
    ("ours", "theirs", "message"),
    [
        (Embedding(), RAW, r"student's vectors are normalized and the teacher's are not; give both"),
        (RAW, Embedding(), r"student's vectors are not and the teacher's are normalized"),
        (Embedding(), ASKED, r"student reads '' before every text and the teacher 'play '"),
        (None, replace(RAW, similarity="dot"), r"compared by dot and are not normalized.*vectors"),
    ],
)  # fmt: skip
def test_what_cannot_be_learned_is_refused(
    ours: Any, theirs: Embedding, message: str, tmp_path: Path
) -> None:
    given = workspace(tmp_path, ours, theirs)
    before = embedding_of(given.model)
    with pytest.raises(ValueError, match=message):
        Distill(objectives=(Cosine(), HiddenStates())).apply(given)
    assert embedding_of(given.model) == before


@pytest.mark.parametrize("objective", [Vectors(), Logits()])
def test_lengths_that_count_are_taught_by_objectives_that_see_them(objective: Any) -> None:
    student, tokenizer, teacher = pair(None, replace(RAW, similarity="dot"))
    follow_description(student, tokenizer, teacher, tokenizer, [Cosine(), objective])
    assert embedding_of(student).similarity == "dot"


def test_lengths_are_learned_and_proved_where_the_teacher_does_not_normalize(
    tmp_path: Path,
) -> None:
    given = workspace(tmp_path, None, RAW)
    for parameter in given.teacher.encoder.layer[-1].output.LayerNorm.parameters():
        parameter.data *= 1.5
    setup = replace(SETUP, epochs=12, precision="fp32")  # to the last bit on any CPU
    done = Distill(objectives=(Vectors(weight=5.0),), train=setup).apply(given)
    quality, proof = done.proofs
    assert quality.claim == "cosine on dev"
    assert quality.after > quality.before  # type: ignore[operator]
    assert proof.claim == "lengths of the vectors on dev, over the teacher's"
    assert proof.note.startswith("mean ratio over 16 texts")
    assert proof.before is not None
    assert abs(proof.after - 1) < abs(proof.before - 1)
    encoded = encode_examples(given.dataset.dev, given.tokenizer, "embedding", 128)
    targets = np.stack(outputs(given.teacher, encoded, "embedding", "fp32"))
    assert lengths(done.model, encoded, targets, "fp32") == proof.after
    norms = np.linalg.norm(np.stack(outputs(done.model, encoded, "embedding", "fp32")), axis=1)
    assert proof.after == pytest.approx((norms / np.linalg.norm(targets, axis=1)).mean())


def test_normalized_vectors_need_no_such_proof(tmp_path: Path) -> None:
    given = workspace(tmp_path, None, Embedding())
    step = Distill(
        objectives=(Cosine(),), train=replace(SETUP, epochs=1), require_improvement=False
    )
    assert [proof.claim for proof in step.apply(given).proofs] == ["cosine on dev"]


def test_the_prompt_is_read_in_training_and_in_judging(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Encoded] = []

    def noted(*args: Any) -> Encoded:
        seen.append(encode_examples(*args))
        return seen[-1]

    monkeypatch.setattr("leanformer.distill.step.encode_examples", noted)
    given = workspace(tmp_path, None, ASKED)
    Distill(
        objectives=(Cosine(),), train=replace(SETUP, epochs=1), require_improvement=False
    ).apply(given)
    expected = tiny_tokenizer("bert")([f"play {text}" for text in TEXTS])["input_ids"]
    assert len(seen) == 3  # to train on, to judge the student by, and to ask the teacher
    assert all([row["input_ids"] for row in encoded.rows] == expected for encoded in seen)


def test_a_student_reads_no_more_of_a_text_than_its_teacher() -> None:
    for ours, read in ((None, 9), (Embedding(), 9), (None, 64)):
        student, tokenizer, teacher = pair(ours, Embedding())
        theirs = tiny_tokenizer("bert")
        theirs.model_max_length, before = read, tokenizer.model_max_length
        follow_description(student, tokenizer, teacher, theirs, [Cosine()])
        assert tokenizer.model_max_length == min(read, before)


def test_a_student_of_another_architecture_takes_it_over_too(tmp_path: Path) -> None:
    given = workspace(tmp_path, None, RAW)
    student = model_for("embedding", 2, num_hidden_layers=2)
    assert embedding_of(with_student(given, student, 2, "").model) == RAW


def test_a_narrower_student_has_no_prefixes_of_its_teacher(tmp_path: Path) -> None:
    given = workspace(tmp_path, None, Embedding(widths=(8,)))
    student = model_for("embedding", 2, num_hidden_layers=2, hidden_size=16)
    assert embedding_of(with_student(given, student, 2, "").model) == Embedding()


def test_a_teacher_cache_belongs_to_a_pooling() -> None:
    teacher, tokenizer = model_for("embedding"), tiny_tokenizer("bert")
    encoded = encode_examples(Examples(texts=TEXTS), tokenizer, "embedding", 32)
    keys = set()
    for embedding in (Embedding(), RAW, Embedding(pooling=Pooling(mode="max"))):
        describe_embedding(teacher, tokenizer, embedding)
        keys.add(key_of(teacher, encoded, None, "embedding"))
    assert len(keys) == 3
