"""The collections of `retrieval.py` and `embedding.py`: passages, questions, what answers which.

Cranfield: 1,400 abstracts, 225 questions, graded judgments. Its grades run from 1 (a complete
answer) to 4 (of minimum interest), and -1 (of none): the gain is 5 - grade, and 0 of -1. The
judgments count the questions from 1 to 225, whatever `.I` says.

XQuAD (English): 240 paragraphs of 48 articles, 1,190 questions, each answered by one paragraph. The
questions of every second article are held out; a cross-encoder may be trained on the others. All
240 paragraphs are searched in either case.

Paragraphs of WikiText-2 are trained on alone.
"""

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from foundation_tables import ROOT

DATA = ROOT.parent / "shared" / "data"
NAMES = ("cranfield", "xquad", "xquad-held-out")
FEWEST_WORDS = 5


@dataclass(frozen=True)
class Collection:
    """What is searched and asked.

    Attributes:
        passages: By name.
        questions: By name.
        judgments: Question -> passage -> grade.
    """

    passages: dict[str, str]
    questions: dict[str, str]
    judgments: dict[str, dict[str, float]]


def collection(name: str, folder: Path = DATA) -> Collection:
    """One of `NAMES`.

    Raises:
        FileNotFoundError: Its files are not there.
    """
    return cranfield(folder) if name == "cranfield" else xquad(name.endswith("held-out"), folder)


def cranfield(folder: Path) -> Collection:
    """Abstracts, of which two are empty and cannot be found."""
    place = folder / "retrieval" / "cranfield"
    documents = _sections(place / "cran.all.1400.gz")
    questions = _sections(place / "cran.qry.gz")
    judgments: dict[str, dict[str, float]] = {}
    for line in _read(place / "cranqrel.gz").splitlines():
        question, document, grade = line.split()
        judgments.setdefault(question, {})[document] = 5.0 - int(grade) if int(grade) > 0 else 0.0
    return Collection(
        {number: text for number, text in documents if text},
        {str(place): text for place, (_, text) in enumerate(questions, 1)},
        judgments,
    )


def xquad(held_out: bool, folder: Path, *, trained: bool = False) -> Collection:
    """Paragraphs, with all questions, those of every second article, or those of the others."""
    articles = json.loads(_read(folder / "qa" / "xquad_en" / "xquad.en.json.gz"))["data"]
    passages, questions, judgments = {}, {}, {}
    for number, article in enumerate(articles):
        wanted = number % 2 == 1 if held_out else (number % 2 == 0 or not trained)
        for part, paragraph in enumerate(article["paragraphs"]):
            name = f"{number}-{part}"
            passages[name] = paragraph["context"]
            for asked in paragraph["qas"] if wanted else ():
                questions[asked["id"]] = asked["question"]
                judgments[asked["id"]] = {name: 1.0}
    return Collection(passages, questions, judgments)


def wikitext(data: Path) -> Iterator[str]:
    """The paragraphs of WikiText-2's valid and test splits, as somebody would write them."""
    for split in ("valid", "test"):
        with gzip.open(
            data / "lm" / "wikitext2" / f"{split}.txt.gz", "rt", encoding="utf-8"
        ) as file:
            for line in file:
                if len(line) > 1 and not line.startswith(" ="):
                    plain = re.sub(r" @(.)@ ", r"\1", line.replace("<unk>", "").strip())
                    yield re.sub(r" ([.,;:?!)'])", r"\1", re.sub(" +", " ", plain))


def sentences_of(text: str) -> list[str]:
    """The sentences of a text that have at least five words."""
    return [one for one in re.split(r"(?<=[.?!]) +", text) if len(one.split()) >= FEWEST_WORDS]


def _sections(file: Path) -> list[tuple[str, str]]:
    """Number and text (.W) of each record."""
    found = []
    for record in re.split(r"^\.I ", _read(file), flags=re.MULTILINE)[1:]:
        _, _, text = record.partition("\n.W")
        found.append((record.split()[0], " ".join(text.split())))
    return found


def _read(file: Path) -> str:
    with gzip.open(file, "rt", encoding="utf-8") as stream:
        return stream.read()
