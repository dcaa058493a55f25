"""The reranker of `benchmarks/retrieval.py`: MiniLM as a cross-encoder, and what it is trained on.

Five hundred questions of every other article of XQuAD teach a new head too little (nDCG@10 on dev
stays at chance), so that most rows are made without labels, by the inverse cloze task (Lee, Chang &
Toutanova 2019, arXiv:1906.00300): a sentence asks for the paragraph that it was taken out of, among
XQuAD's trained articles and those of WikiText-2. Beside it stand one of the
nearest ones by MiniLM and one by chance, from where the right one is from; with six wrong ones to
each right one, 1,100 steps taught nothing but their share. No article that is held out is read.
"""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
from retrieval_sets import Collection, sentences_of, wikitext, xquad

from leanformer.core.storage.files import write_text
from leanformer.recipe import read, run
from leanformer.retrieve.embed import Encoder, open_encoder

NEAREST = 4
FEWEST_SENTENCES, WIKI_QUERIES = 3, 1500
RECIPE = """model = "{model}"
measure = false

[data]
path = "{data}"
kind = "ranking"

[[steps]]
use = "finetune"
max_length = 160
train = {{ epochs = {epochs}, learning_rate = 1e-4, batch_size = 24 }}
"""
Group = list[dict[str, Any]]


def train_reranker(model: Path, folder: Path, data: Path, epochs: int) -> None:
    """Train the model; what an earlier call finished is not done again."""
    rows = folder.parent / f"{folder.name}-data"
    if not (rows / "train.jsonl").is_file():
        groups = training_groups(model, data)
        cut = len(groups) - len(groups) // 20
        for split, own in {"dev": groups[cut:], "train": groups[:cut]}.items():
            lines = [json.dumps(row, ensure_ascii=False) for group in own for row in group]
            write_text(rows / f"{split}.jsonl", "\n".join(lines) + "\n")
    recipe = folder.parent / f"{folder.name}.toml"
    write_text(recipe, RECIPE.format(model=model, data=rows, epochs=epochs))
    run(read(recipe), folder)
    print(f"trained; the model is below {folder}")


def training_groups(model: Path, data: Path) -> list[Group]:
    """Per query its passage and wrong ones, in a random order."""
    encoder, chance = open_encoder(model, threads=1), random.Random(0)
    given = xquad(False, data, trained=True)
    seen = {name for right in given.judgments.values() for name in right}
    paragraphs = {name: given.passages[name] for name in given.passages if name in seen}
    asked = Collection(paragraphs, given.questions, given.judgments)
    groups = groups_of(asked, encoder, chance)
    groups += groups_of(cloze(list(paragraphs.values()), chance), encoder, chance)
    groups += groups_of(cloze(list(wikitext(data)), chance, WIKI_QUERIES), encoder, chance)
    chance.shuffle(groups)
    return groups


def cloze(paragraphs: list[str], chance: random.Random, most: int | None = None) -> Collection:
    """A sentence of each paragraph asks for the rest of it."""
    passages, questions, judgments = {}, {}, {}
    for number, paragraph in enumerate(paragraphs):
        sentences = sentences_of(paragraph)
        if len(sentences) < FEWEST_SENTENCES:
            continue
        name = f"cloze-{number}"
        questions[name] = sentences.pop(chance.randrange(len(sentences)))
        passages[name], judgments[name] = " ".join(sentences), {name: 1.0}
    asked = chance.sample(sorted(questions), min(most or len(questions), len(questions)))
    return Collection(passages, {name: questions[name] for name in asked}, judgments)


def groups_of(given: Collection, encoder: Encoder, chance: random.Random) -> list[Group]:
    """The rows of each question: its passage, the nearest others and a few by chance."""
    names = list(given.passages)
    vectors_ND = encoder.encode(list(given.passages.values()))
    scores_QN = encoder.encode(list(given.questions.values())) @ vectors_ND.T
    groups = []
    for (key, text), scores_N in zip(given.questions.items(), scores_QN, strict=True):
        (right,) = given.judgments[key]
        near = [names[place] for place in np.argsort(-scores_N)[: NEAREST + 1]]
        near = [name for name in near if name != right]
        far = [name for name in names if name != right and name not in near]
        rows = [(right, 1), (chance.choice(near), 0), (chance.choice(far), 0)]
        groups.append(
            [
                {"query_id": key, "query": text, "passage": given.passages[name], "label": label}
                for name, label in rows
            ]
        )
    return groups
