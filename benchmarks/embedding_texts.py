"""Texts of the benchmarks of embeddings: sentences of STS-B, abstracts of Cranfield, paragraphs of
XQuAD, from the shared data; nothing of it is copied into the project."""

import csv
import gzip
import random
from dataclasses import dataclass
from pathlib import Path

from retrieval_sets import DATA, collection


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Pairs of sentences and how similar people found them, 0 to 5."""

    first: list[str]
    second: list[str]
    scores: list[float]


def stsb(split: str = "test", folder: Path = DATA) -> Pairs:
    """A split of STS-B."""
    lines = _text(folder / f"glue/stsb/{split}.tsv.gz").splitlines()
    rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    return Pairs(
        first=[row["sentence1"] for row in rows],
        second=[row["sentence2"] for row in rows],
        scores=[float(row["score"]) for row in rows],
    )


def sentences(folder: Path = DATA) -> list[str]:
    """The different sentences of STS-B's three splits, in their order."""
    splits = [stsb(split, folder) for split in ("train", "dev", "test")]
    return list(dict.fromkeys(text for one in splits for text in (*one.first, *one.second)))


def mixed_texts(count: int, folder: Path = DATA) -> list[str]:
    """Three sentences for each longer text, shuffled: half paragraphs, half abstracts."""
    rng = random.Random(0)
    short = rng.sample(sentences(folder), count - count // 4)
    paragraphs, abstracts = (
        list(collection(name, folder).passages.values()) for name in ("xquad", "cranfield")
    )
    long = rng.sample([*paragraphs, *abstracts[:240]], count // 4)
    texts = [*short, *long]
    rng.shuffle(texts)
    return texts


def _text(file: Path) -> str:
    return gzip.decompress(file.read_bytes()).decode()
