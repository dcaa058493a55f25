"""Texts of the benchmarks of embeddings: sentences of STS-B, abstracts of Cranfield, paragraphs of
XQuAD, from the shared data; nothing of it is copied into the project."""

import csv
import gzip
import json
import random
import re
from dataclasses import dataclass
from pathlib import Path

from rivals_sets import SHARED

_FIELD = re.compile(r"^\.([TABW])\n(.*?)(?=^\.[TABW]\n|\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Pairs of sentences and how similar people found them, 0 to 5."""

    first: list[str]
    second: list[str]
    scores: list[float]


@dataclass(frozen=True, kw_only=True)
class Collection:
    """Documents, queries, and for each query the grade of each relevant document by its index."""

    documents: list[str]
    queries: list[str]
    grades: list[dict[int, int]]


def stsb(split: str = "test", folder: Path = SHARED) -> Pairs:
    """A split of STS-B."""
    lines = _text(folder / f"glue/stsb/{split}.tsv.gz").splitlines()
    rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    return Pairs(
        first=[row["sentence1"] for row in rows],
        second=[row["sentence2"] for row in rows],
        scores=[float(row["score"]) for row in rows],
    )


def sentences(folder: Path = SHARED) -> list[str]:
    """The different sentences of STS-B's three splits, in their order."""
    splits = [stsb(split, folder) for split in ("train", "dev", "test")]
    return list(dict.fromkeys(text for one in splits for text in (*one.first, *one.second)))


def cranfield(folder: Path = SHARED) -> Collection:
    """Cranfield: abstracts with their titles; a document is relevant where its code is 1 to 4.

    Codes are 1 for a complete answer to 4 for minimal interest; every relevant document counts
    alike. Queries are numbered by their order, not by their `.I`.
    """
    place = folder / "retrieval/cranfield"
    documents = []
    for part in _items(place / "cran.all.1400.gz"):
        fields = {name: " ".join(text.split()) for name, text in _FIELD.findall(part)}
        documents.append(fields.get("W") or fields.get("T") or "no text")
    queries = [
        " ".join(text.partition(".W\n")[2].split()) for text in _items(place / "cran.qry.gz")
    ]
    grades: list[dict[int, int]] = [{} for _ in queries]
    for line in _text(place / "cranqrel.gz").splitlines():
        query, document, code = map(int, line.split())
        if code > 0:
            grades[query - 1][document - 1] = 1
    return Collection(documents=documents, queries=queries, grades=grades)


def passages(folder: Path = SHARED) -> list[str]:
    """The paragraphs of XQuAD in English."""
    articles = json.loads(_text(folder / "qa/xquad_en/xquad.en.json.gz"))["data"]
    return [part["context"] for article in articles for part in article["paragraphs"]]


def mixed_texts(count: int, folder: Path = SHARED) -> list[str]:
    """Three sentences for each longer text, shuffled: half paragraphs, half abstracts."""
    rng = random.Random(0)
    short = rng.sample(sentences(folder), count - count // 4)
    long = rng.sample([*passages(folder), *cranfield(folder).documents[:240]], count // 4)
    texts = [*short, *long]
    rng.shuffle(texts)
    return texts


def _items(file: Path) -> list[str]:
    """What follows each `.I` of one of Cranfield's files."""
    return re.split(r"^\.I \d+\s*\n", _text(file), flags=re.MULTILINE)[1:]


def _text(file: Path) -> str:
    return gzip.decompress(file.read_bytes()).decode()
