"""The real systems of `promises.py`: trained, asked once, and only their answers kept.

For each data set a fine-tuned MiniLM-L6 (the teacher), the same in int8, three students in int8
and, where texts have a class, TF-IDF of words and characters with a linear SVM. The pool is the
test split: nothing was trained on it or chosen by it. Answers are the index of the class, or the
number to five decimals.
"""

import sys
from pathlib import Path
from typing import Any

from foundation import manifest, serve_teacher, show
from foundation_plans import MINILM, SHARED
from foundation_tables import ROOT

from leanformer.core.record import Record, read
from leanformer.data import Dataset, Examples, Source, encode_examples
from leanformer.distill.objectives import HiddenStates, Logits, SoftTargets
from leanformer.distill.step import Distill
from leanformer.measure.quality import session_outputs
from leanformer.prune.cut_vocabulary import CutVocabulary
from leanformer.prune.shrink import Shrink
from leanformer.quantize.int8 import Int8
from leanformer.recipe import Recipe, open_model, run
from leanformer.runtime.manifest import write_manifest
from leanformer.runtime.serving.opening import open_session
from leanformer.train.setup import TrainSetup
from leanformer.train.steps.finetune import Finetune

RUNS = ROOT / "runs" / "promises"
# data set -> its folder, and the epochs of the teacher; students are taught for 8
PLANS = {
    "banking77": (SHARED / "intent/banking77", 5),
    "sst2": (SHARED / "sentiment/sst2_sentences", 3),
    "stsb": (SHARED / "glue/stsb", 3),
}
# student -> what it is begun from, and what is kept of that
STUDENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "two-thirds": ("teacher", {"layers": 4, "depth": "spaced", "ffn": 0.75}),
    "half": ("teacher", {"layers": 3, "depth": "spaced", "ffn": 0.5}),
    "third": ("half", {"layers": 2, "depth": "spaced", "heads": 0.5}),
}


def train(name: str, kept: Path) -> None:
    """Train the systems of one data set and append their answers to a record; what is there is left
    alone."""
    source = Source(path=str(PLANS[name][0]))
    dataset = source.read()

    def keep(system: str, answer: Any) -> None:
        known = read(kept) if kept.is_file() else []
        if not any((event["data"], event["system"]) == (name, system) for event in known):
            Record(kept).write("answers", data=name, system=system, answers=answer())
            sys.stderr.write(f"{name} {system}: asked\n")

    keep("gold", lambda: list(dataset.test.labels))
    place, teacher = RUNS / name / "served-teacher", teach(name, source, dataset)
    if not (place / "leanformer.json").is_file():
        serve_teacher(teacher, place)
    keep("teacher", lambda: ask(place, "pytorch", "fp32", dataset))
    keep("int8", lambda: ask(place, "openvino", "int8", dataset))
    folders = {"teacher": str(teacher.saved)}
    for student, (start, shape) in STUDENTS.items():
        recipe = Recipe(
            name=f"{name}-{student}",
            model=folders[start],
            teacher=folders["teacher"],
            data=source,
            steps=steps_of(name, start, shape),
        )
        done = run(recipe, RUNS / name / student, dataset=dataset, watch=show)
        write_manifest(done.saved, manifest(dataset))
        folders[student] = str(done.saved)
        keep(student, lambda f=done.saved: ask(f, "openvino", "int8", dataset))
    if dataset.task.kind == "classification":
        keep("tfidf-svm", lambda: ask_linear(dataset.train, dataset.test))


def teach(name: str, source: Source, dataset: Dataset) -> Any:
    """Fine-tune MiniLM-L6."""
    setup = TrainSetup(epochs=PLANS[name][1], learning_rate=1e-4, batch_size=32, precision="fp32")
    recipe = Recipe(name="teacher", model=MINILM, data=source, steps=(Finetune(train=setup),))
    return run(recipe, RUNS / name / "teacher", dataset=dataset, watch=show)


def steps_of(name: str, start: str, shape: dict[str, Any]) -> tuple[Any, ...]:
    """What makes a student of what it is begun from."""
    setup = TrainSetup(epochs=8, learning_rate=4e-4, batch_size=64, evaluations=5, precision="fp32")
    taught = Distill(
        objectives=(Logits() if name == "stsb" else SoftTargets(), HiddenStates()),
        train=setup,
        teacher_cache=RUNS / name / "outputs",
    )
    steps = (Shrink(**shape), taught, Int8())
    return (CutVocabulary(), *steps) if start == "teacher" else steps


def ask(folder: Any, backend: Any, precision: Any, dataset: Dataset) -> list[Any]:
    """What an exported model answers to the test texts."""
    _, tokenizer = open_model(str(folder), dataset, 0)
    session = open_session(Path(folder), backend, precision)
    encoded = encode_examples(dataset.test, tokenizer, dataset.task.kind, 128)
    found = session_outputs(session, encoded)
    if dataset.task.kind == "classification":
        return [int(row.argmax()) for row in found]
    return [round(float(row.reshape(-1)[0]), 5) for row in found]


def ask_linear(known: Examples, asked: Examples) -> list[int]:
    """What TF-IDF of words and characters with a linear SVM answers."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline, make_union
    from sklearn.svm import LinearSVC

    features = make_union(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True),
    )
    model = make_pipeline(features, LinearSVC()).fit(known.texts, known.labels)
    return [int(label) for label in model.predict(asked.texts)]
