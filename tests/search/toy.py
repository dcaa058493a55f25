"""Data sets of four kinds small enough to check by hand, and models for them."""

from pathlib import Path
from typing import Any

import torch
from train.toy import TEXTS, examples

from leanformer.core.record import Record
from leanformer.data import Dataset, Examples, Source, Task
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.runtime.manifest import Manifest
from leanformer.runtime.session import Session
from leanformer.runtime.systems.transformer import Transformer
from leanformer.search.contest import Contest
from leanformer.search.request import Request
from leanformer.text import reader_of

KINDS = ("classification", "regression", "tokens", "embedding")
LABELS = {"classification": ("music", "rice"), "tokens": ("O", "RICE")}


def dataset_of(kind: Any, pairs: bool = False) -> Dataset:
    """Sixteen texts in each split, in an order of its own in each."""
    texts = Examples(texts=TEXTS) if kind == "embedding" else examples(kind)
    if pairs:
        texts = Examples(texts=texts.texts, pairs=texts.texts[::-1], labels=texts.labels)
    turned = [texts.take(list(range(start, 16)) + list(range(start))) for start in (0, 3, 7)]
    splits = dict(zip(("train", "dev", "test"), turned, strict=True))
    return Dataset(name="toy", task=Task(kind=kind, labels=LABELS.get(kind, ())), **splits)


def contest_of(folder: Path, kind: Any, pairs: bool = False) -> Contest:
    """A contest whose teacher is a random model; nobody has entered but the teacher."""
    head = {"tokens": "tokens", "embedding": "embedding"}.get(kind, "classification")
    model, tokenizer = tiny_model("bert", head=head, num_labels=1 if kind == "regression" else 2)
    names = LABELS.get(kind)
    if names:
        model.config.id2label = dict(enumerate(names))
        model.config.label2id = {name: index for index, name in enumerate(names)}
    save_model(model, tokenizer, folder / "teacher")
    request = Request(model=str(folder / "teacher"), data=Source(path="toy"), max_length=32)
    contest = Contest(dataset_of(kind, pairs), Record(folder / "record.jsonl"), request)
    contest.enter_teacher(request.model)
    return contest


@torch.no_grad()
def said(contest: Contest, examples: Examples) -> list[Any]:
    """The teacher's output for each example, one at a time and without padding."""
    found = []
    for index, text in enumerate(examples.texts):
        pair = None if examples.pairs is None else examples.pairs[index]
        inputs = contest.tokenizer(text, pair, return_tensors="pt")
        output = contest.teacher(**inputs)
        if contest.kind == "embedding":
            mean = output.last_hidden_state[0].mean(0)
            found.append((mean / mean.norm()).numpy())
        else:
            found.append(output.logits[0].numpy())
    return found


def served(contest: Contest, session: Session) -> Transformer:
    """A session as a system that answers texts with the contest's tokenizer."""
    manifest = Manifest(
        kind=contest.kind,
        labels=contest.dataset.task.labels,
        pairs=contest.dataset.train.pairs is not None,
    )
    return Transformer(session, reader_of(contest.tokenizer, contest.max_length), manifest)
