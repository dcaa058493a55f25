"""A data set of each kind in miniature, and tiny models for it: what whole runs are tested on."""

import json
import random
from pathlib import Path
from typing import Any

from leanformer.data import Source, encode_examples
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.runtime.manifest import Manifest, write_manifest
from leanformer.train import Supervised, TrainSetup, fit

_WORDS = {
    "animal": [
        "the",
        "quick",
        "brown",
        "fox",
        "jumps",
        "over",
        "lazy",
        "dog",
        "wonderful",
        "mountains",
    ],
    "money": [
        "my",
        "card",
        "was",
        "charged",
        "twice",
        "and",
        "i",
        "want",
        "back",
        "table",
        "people",
    ],
}
SETS = {"animal": ["fox", "dog", "jumps"], "mønt": ["card", "charged", "twice"]}
SIZES = {"train": 48, "dev": 16, "test": 16}


def texts(split: str, count: int) -> list[tuple[str, str]]:
    """Texts with their class, which a few words give away."""
    chance = random.Random(split)
    pairs = []
    for index in range(count):
        label = list(_WORDS)[index % 2]
        words = chance.choices(_WORDS[label], k=chance.randint(3, 12))
        pairs.append((" ".join(words), label))
    return pairs


def rows(kind: str, split: str, count: int) -> list[dict[str, Any]]:
    """Rows of multi-label or ranking, in jsonl's form; a few words give the answer away."""
    chance = random.Random(split)
    found: list[dict[str, Any]] = []
    for number in range(count):
        own = [name for name in SETS if chance.random() < 0.5]
        words = [word for name in own for word in chance.choices(SETS[name], k=2)]
        text = " ".join(["the", *words])
        if kind == "multi-label":
            found.append({"text": text, "labels": own})
        else:  # what is relevant, the text says alone
            query = "the quick people and mountains was back"[: 9 + number // 4]
            found.append({"query": query, "passage": text, "label": len(own)})
    return found


def write_data(folder: Path, kind: str = "classification") -> Path:
    """A folder of splits for a kind of task."""
    folder.mkdir(parents=True)
    for split, count in SIZES.items():
        if kind in ("multi-label", "ranking"):
            lines = map(json.dumps, rows(kind, split, 2 * count))
            (folder / f"{split}.jsonl").write_text("\n".join(lines))
            continue
        pairs = texts(split, count)
        if kind == "tokens":
            sentences = (
                "".join(
                    f"{word}\t{'B-ANIMAL' if word in ('fox', 'dog') else 'O'}\n"
                    for word in ["the", "dog", *text.split()]
                )
                for text, _ in pairs
            )
            (folder / f"{split}.conll").write_text("\n".join(sentences))
            continue
        table = {
            "classification": ["text\tlabel", *(f"{text}\t{label}" for text, label in pairs)],
            "regression": [
                "sentence1\tsentence2\tscore",
                *(
                    f"{text}\tthe quick fox\t{4.5 if label == 'animal' else 0.5}"
                    for text, label in pairs
                ),
            ],
            "embedding": ["text", *(text for text, _ in pairs)],
        }[kind]
        (folder / f"{split}.tsv").write_text("\n".join(table) + "\n")
    return folder


def write_encoder(folder: Path) -> Path:
    """A tiny BERT without a head."""
    model, tokenizer = tiny_model("bert", head="embedding", max_position_embeddings=160)
    save_model(model, tokenizer, folder)
    return folder


def write_classifier(folder: Path, data: Path) -> Path:
    """A tiny BERT of two layers that has learnt the classes of `data`: a teacher."""
    dataset = Source(path=str(data)).read()
    shape = {"num_hidden_layers": 2, "max_position_embeddings": 160}
    model, tokenizer = tiny_model("bert", num_labels=2, **shape)
    labels = dataset.task.labels
    model.config.id2label = dict(enumerate(labels))
    model.config.label2id = {label: index for index, label in enumerate(labels)}
    encoded = encode_examples(dataset.train, tokenizer, "classification", 64)
    setup = TrainSetup(epochs=8, learning_rate=3e-3, batch_size=16, precision="fp32")
    fit(model, encoded, Supervised("classification"), setup, seed=0)
    save_model(model.eval(), tokenizer, folder)
    return folder


def write_served(folder: Path, data: Path) -> Path:
    """The same teacher as a folder that `leanformer.load` opens, on PyTorch."""
    write_classifier(folder, data)
    labels = Source(path=str(data)).read().task.labels
    write_manifest(folder, Manifest(kind="classification", labels=labels, max_length=64))
    return folder
