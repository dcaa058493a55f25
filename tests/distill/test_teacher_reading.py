"""Teachers of other architectures and tokenizers: each reads the texts by itself."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from distill.teachers_elsewhere import CUTTABLE, TEACHERS, ending_with, teacher_of
from distill.toy import LABELS, SETUP, SPARE, model_for
from torch.nn import functional as F
from train.toy import TEXTS, examples
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from leanformer.core.record import Record
from leanformer.core.workspace import Workspace
from leanformer.data import Dataset, Examples, Task, encode_examples
from leanformer.distill.distillation import Distillation
from leanformer.distill.ensemble import Ensemble
from leanformer.distill.objectives import Cosine, HiddenStates, Logits, SoftTargets
from leanformer.distill.step import Distill
from leanformer.distill.substitution import Substitution
from leanformer.distill.teacher_reading import have_one_vocabulary, read_texts
from leanformer.models.embedding import embedding_of
from leanformer.models.load import load_model
from leanformer.models.save import save_model
from leanformer.models.tiny_tokenizers import tiny_tokenizer

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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", TEACHERS)
def test_a_bert_learns_what_any_teacher_says(family: str, kind: str, tmp_path: Path) -> None:
    teacher, tokenizer = teacher_of(family, kind)
    given = workspace(tmp_path, kind, (teacher, tokenizer))
    texts = [*given.dataset.train.texts, *SPARE.texts]
    step = Distill(objectives=(OBJECTIVES[kind],), train=SETUP, regain=False)
    before, after = distance(given, texts, kind), None
    step.apply(given)
    after = distance(given, texts, kind)
    assert after < 0.8 * before


def distance(given: Workspace, texts: list[str], kind: Any) -> float:
    """The objective of the student beside its teacher, on the given texts."""
    own = read_texts(Examples(texts=texts), [given.teacher_tokenizer], kind, None)
    loss = Distillation(
        (OBJECTIVES[kind],), given.model.eval(), given.teacher, given.dataset.task, own=own
    )
    with torch.no_grad():
        (term,) = loss(given.model, student_batch(kind, Examples(texts=texts)))
    return float(term.mean)
