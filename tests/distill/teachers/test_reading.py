"""Teachers of other architectures and tokenizers: each reads the texts by itself."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from distill.teachers_elsewhere import TEACHERS, ending_with, teacher_of
from distill.toy import LABELS, SETUP, SPARE, model_for
from torch.nn import functional as F
from train.toy import TEXTS, examples
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from leanformer.core.record import Record
from leanformer.core.workspace import Workspace
from leanformer.data import Dataset, Examples, Task, encode_examples
from leanformer.distill.distillation import Distillation
from leanformer.distill.objectives import Cosine, HiddenStates, Logits, SoftTargets
from leanformer.distill.step import Distill
from leanformer.distill.substitution import Substitution
from leanformer.distill.teachers.reading import (
    check_answers_suffice,
    have_one_vocabulary,
    read_texts,
)
from leanformer.models.embedding import embedding_of
from leanformer.models.io.load import load_model
from leanformer.models.io.save import save_model
from leanformer.models.tiny_tokenizers import tiny_tokenizer

pytestmark = pytest.mark.usefixtures("unlisted")  # saved models are edited

KINDS = ("classification", "regression", "embedding")
OBJECTIVES = {"classification": SoftTargets(), "regression": Logits(), "embedding": Cosine()}
LONG = "a small model answers before the large one has begun, and the fox jumps over the dog"
MIXED = Examples(texts=["rice", LONG, "play some quiet music"])


def own_answer(folder: Path, kind: str, text: str) -> torch.Tensor:
    """What the folder's model says to one text, by transformers alone."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    auto = AutoModel if kind == "embedding" else AutoModelForSequenceClassification
    model = auto.from_pretrained(folder).eval()
    with torch.no_grad():
        output = model(**tokenizer([text], truncation=True, return_tensors="pt"))
    if kind == "embedding":
        return F.normalize(output.last_hidden_state[0].mean(0), dim=0)
    answer: torch.Tensor = output.logits[0]
    return answer


def loaded(folder: Path, kind: str) -> tuple[Any, Any]:
    labels = {"classification": 2, "regression": 1}.get(kind)
    head: Any = "embedding" if kind == "embedding" else "classification"
    return load_model(folder, head, num_labels=labels)


def student_batch(kind: Any, texts: Examples = MIXED) -> Any:
    encoded = encode_examples(texts, tiny_tokenizer("bert"), kind, 32)
    return encoded.batch(list(range(len(texts))))


def said(folder: Path, kind: str) -> torch.Tensor:
    """What the folder's model says in distillation, to texts of many lengths in one batch."""
    model, tokenizer = loaded(folder, kind)
    reading = read_texts(MIXED, [tokenizer], kind, None)
    with torch.no_grad():
        return reading.outputs(model, student_batch(kind)).logits


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", TEACHERS)
def test_the_answers_are_those_of_the_teachers_own_pipeline(
    family: str, kind: str, tmp_path: Path
) -> None:
    save_model(*teacher_of(family, kind), tmp_path / "m")
    expected = [own_answer(tmp_path / "m", kind, text) for text in MIXED.texts]
    torch.testing.assert_close(said(tmp_path / "m", kind), torch.stack(expected))


def test_an_encoder_decoder_answers_as_alone_and_makes_no_vectors(tmp_path: Path) -> None:
    save_model(*teacher_of("t5", "classification"), tmp_path / "m")
    expected = [own_answer(tmp_path / "m", "classification", text) for text in MIXED.texts]
    torch.testing.assert_close(said(tmp_path / "m", "classification"), torch.stack(expected))
    with pytest.raises(ValueError, match="'t5' is an encoder-decoder, whose last hidden states"):
        load_model(tmp_path / "m", "embedding")


@pytest.mark.parametrize("names_padding", [True, False])
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_decoder_whose_texts_end_with_its_padding(
    side: str, names_padding: bool, tmp_path: Path
) -> None:
    model, tokenizer = teacher_of("gpt2", "classification")
    ending_with(tokenizer, "</s>").padding_side = side
    tokenizer.pad_token = "</s>"
    model.config.pad_token_id = tokenizer.pad_token_id if names_padding else None
    save_model(model, tokenizer, tmp_path / "m")
    if not names_padding:  # as checkpoints of decoders are
        edit(tmp_path / "m" / "tokenizer_config.json", pad_token=None, bos_token="<s>")
    expected = [own_answer(tmp_path / "m", "classification", text) for text in MIXED.texts]
    torch.testing.assert_close(said(tmp_path / "m", "classification"), torch.stack(expected))


def edit(file: Path, **fields: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def sentence_transformer(folder: Path, mode: str = "lasttoken") -> None:
    """A folder as Qwen3-Embedding's: the last token, a prompt, normalized."""
    model, tokenizer = teacher_of("qwen3", "embedding")
    save_model(model, ending_with(tokenizer, "<|endoftext|>"), folder)
    names = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    modules = [
        {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{name}"}
        for n, (path, name) in enumerate(names.items())
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    (folder / "2_Normalize").mkdir()
    pooling = {"word_embedding_dimension": 32, f"pooling_mode_{mode}": True, "include_prompt": True}
    pooling["pooling_mode_mean_tokens"] = False
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    prompts = {"query": "find music: ", "document": ""}
    about = {"prompts": prompts, "default_prompt_name": "query", "similarity_fn_name": "cosine"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(about))
    limit = {"max_seq_length": 20, "do_lower_case": False}
    (folder / "sentence_bert_config.json").write_text(json.dumps(limit))


def test_an_embedding_decoder_reads_prompt_and_last_token_as_sentence_transformers(
    tmp_path: Path,
) -> None:
    from sentence_transformers import SentenceTransformer

    sentence_transformer(tmp_path / "m")
    model = SentenceTransformer(str(tmp_path / "m"), device="cpu")
    expected = np.stack([model.encode([text])[0] for text in MIXED.texts])
    np.testing.assert_allclose(said(tmp_path / "m", "embedding").numpy(), expected, atol=1e-5)


def test_a_pooling_that_is_not_known_is_refused_by_name(tmp_path: Path) -> None:
    sentence_transformer(tmp_path / "m", mode="attention")
    with pytest.raises(ValueError, match="pooling_mode_attention = True is not known"):
        load_model(tmp_path / "m", "embedding")


def workspace(folder: Path, kind: Any, teacher: tuple[Any, Any], **changes: Any) -> Workspace:
    """A BERT of two layers beside a teacher of another architecture."""
    task = Task(kind=kind, labels=LABELS.get(kind, ()))
    texts = Examples(texts=TEXTS) if kind == "embedding" else examples(kind)
    dataset = Dataset(name="toy", task=task, train=texts, dev=texts, test=texts, unlabelled=SPARE)
    model, tokenizer = teacher
    return Workspace(
        name="student", model=model_for(kind, seed=1, num_hidden_layers=2),
        tokenizer=tiny_tokenizer("bert"), dataset=dataset, folder=folder,
        record=Record(folder / "record.jsonl"), teacher=model, teacher_tokenizer=tokenizer,
    ).with_(**changes)  # fmt: skip


LEARNT = [
    *((family, "classification") for family in TEACHERS),
    *((family, kind) for family in ("albert", "qwen3", "mpnet") for kind in KINDS[1:]),
]


@pytest.mark.parametrize(("family", "kind"), LEARNT)
def test_a_bert_learns_what_any_teacher_says(family: str, kind: str, tmp_path: Path) -> None:
    given = workspace(tmp_path, kind, teacher_of(family, kind))
    texts = [*given.dataset.train.texts, *SPARE.texts]
    before = distance(given, texts, kind)
    Distill(objectives=(OBJECTIVES[kind],), train=SETUP, require_improvement=False).apply(given)
    assert distance(given, texts, kind) < 0.98 * before


def distance(given: Workspace, texts: list[str], kind: Any) -> float:
    """The objective of the student beside its teacher, on the given texts."""
    own = read_texts(Examples(texts=texts), [given.teacher_tokenizer], kind, None)
    loss = Distillation(
        (OBJECTIVES[kind],), given.model.eval(), given.teacher, given.dataset.task, own=own
    )
    with torch.no_grad():
        return float(loss.mean(given.model, student_batch(kind, Examples(texts=texts))))


def test_each_teacher_of_several_reads_by_itself(tmp_path: Path) -> None:
    first, second = teacher_of("qwen3", "classification"), teacher_of("albert", "classification", 1)
    second[0].config.id2label = dict(enumerate(LABELS["classification"]))
    second[0].config.label2id = {"music": 0, "rice": 1}
    save_model(*second, tmp_path / "second")
    given = workspace(tmp_path, "classification", first)
    step = Distill(teachers=(str(tmp_path / "second"),), train=SETUP, require_improvement=False)
    model, tokenizers = step._teacher(given)
    found = read_texts(MIXED, tokenizers, "classification", None).all_outputs(model)
    alone = [
        np.exp(read_texts(MIXED, [tokenizer], "classification", None).all_outputs(one))
        for one, tokenizer in (first, second)
    ]
    mean = sum(one / one.sum(1, keepdims=True) for one in alone) / 2
    np.testing.assert_allclose(np.exp(found), mean, atol=0.01)  # they are asked in bf16
    step.apply(given)


def test_vectors_of_several_teachers_are_averaged(tmp_path: Path) -> None:
    first, second = teacher_of("nomic_bert", "embedding"), teacher_of("albert", "embedding", 1)
    save_model(*second, tmp_path / "second")
    given = workspace(tmp_path, "embedding", first, tokenizer=tiny_tokenizer("mpnet"))
    step = Distill(objectives=(Cosine(),), teachers=(str(tmp_path / "second"),))
    model, tokenizers = step._teacher(given)
    found = read_texts(MIXED, tokenizers, "embedding", None).all_outputs(model)
    both = [
        read_texts(MIXED, [tokenizer], "embedding", None).all_outputs(one)
        for one, tokenizer in (first, second)
    ]
    mean = sum(both)
    np.testing.assert_allclose(found, mean / np.linalg.norm(mean, axis=1, keepdims=True), atol=0.01)


def test_a_cache_holds_what_the_teacher_read_by_itself(tmp_path: Path) -> None:
    def taught(name: str, **fields: Any) -> Any:
        given = workspace(tmp_path / name, "classification", teacher_of("qwen3", "classification"))
        setup = replace(SETUP, epochs=2)
        step = Distill(train=setup, require_improvement=False, teacher_cache=tmp_path / "cache")
        return replace(step, **fields).apply(given).model.state_dict()

    first = taught("first")
    assert np.fromfile(tmp_path / "cache" / "checksums.bin", np.uint64).all()
    again, asked = taught("again"), taught("asked", teacher_cache=None)
    for name, value in first.items():
        torch.testing.assert_close(again[name], value)
        torch.testing.assert_close(asked[name], value, rtol=0.02, atol=0.02)
    with pytest.raises(ValueError, match="holds the outputs of another teacher, of other texts"):
        taught("less", teacher_max_length=3)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"objectives": (SoftTargets(), HiddenStates())},
            r"hidden-states compares what both models compute for each token, and the student's "
            r"tokenizer has \d+ tokens that the teacher's has not, e\.g\. .*; use objectives that "
            "compare answers: cosine, .*logits, .*soft-targets, vectors$",
        ),
        ({"noise": 0.1}, "noise: tokens are swapped in what the student reads, and the student's"),
        ({"average_hidden": True}, r"average_hidden: the tokenizer of .* has another vocabulary"),
    ],
)
def test_what_needs_the_same_tokens_is_refused(
    fields: dict[str, Any], message: str, tmp_path: Path
) -> None:
    given = workspace(tmp_path, "classification", teacher_of("qwen3", "classification"))
    if "average_hidden" in fields:
        save_model(*teacher_of("albert", "classification"), tmp_path / "second")
        fields["teachers"] = (str(tmp_path / "second"),)
    with pytest.raises(ValueError, match=message):
        Distill(train=SETUP, **fields).apply(given)


def test_a_task_about_tokens_needs_one_vocabulary(tmp_path: Path) -> None:
    given = workspace(tmp_path, "tokens", teacher_of("deberta-v2", "classification"))
    with pytest.raises(ValueError, match=r"distill: tokens compares the answers .* token by token"):
        Distill(train=SETUP).apply(given)
    with pytest.raises(ValueError, match="teacher_max_length: 0 is not between 3"):
        Distill(teacher_max_length=0)


def test_pieces_alike_of_another_kind_of_tokenizer_are_another_vocabulary() -> None:
    word_piece, unigram = tiny_tokenizer("bert"), tiny_tokenizer("xlm-roberta")
    unigram.get_vocab = word_piece.get_vocab
    assert not have_one_vocabulary(word_piece, [unigram])
    with pytest.raises(ValueError, match="student's tokenizer is a WordPiece and the teacher's a"):
        check_answers_suffice((), "tokens", 0.0, word_piece, [unigram])
    other = tiny_tokenizer("mpnet")
    assert not have_one_vocabulary(other, [other, word_piece])
    with pytest.raises(ValueError, match=r"the teachers' vocabularies differ \(\d+, \d+ tokens\)"):
        check_answers_suffice((), "tokens", 0.0, other, [other, word_piece])


def test_a_student_takes_over_what_vectors_are_compared_by(tmp_path: Path) -> None:
    sentence_transformer(tmp_path / "m")
    given = workspace(tmp_path, "embedding", load_model(tmp_path / "m", "embedding"))
    step = Distill(objectives=(Cosine(),), train=replace(SETUP, epochs=1), max_length=32)
    done = replace(step, require_improvement=False).apply(given)
    own = embedding_of(done.model)
    assert (own.pooling.mode, own.pooling.normalize, own.prompt) == ("mean", True, "")
    assert done.tokenizer.model_max_length == 64  # the teacher reads 20 tokens of its own


def test_texts_are_made_with_the_teachers_tokenizer(tmp_path: Path) -> None:
    given = workspace(tmp_path, "classification", teacher_of("deberta-v2", "classification"))
    step = Distill(
        augmentation=Substitution(copies=2), train=replace(SETUP, epochs=1),
        require_improvement=False,
    )  # fmt: skip
    (proof,) = step.apply(given).proofs
    assert int(proof.note.split()[0]) > len(TEXTS) + len(SPARE)
