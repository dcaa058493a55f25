"""The int8 teacher of a set, as its users have it and as leanformer serves it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from rivals_sets import RUNS

from leanformer.data import Dataset
from leanformer.models.io.load import load_model
from leanformer.models.io.save import save_model
from leanformer.runtime.calibration import Calibration
from leanformer.runtime.manifest import Manifest, write_manifest
from leanformer.runtime.openvino.export import export_openvino
from leanformer.runtime.tokenizer import compared_tokenizer

_LENGTH = 128


def plain_teacher(name: str, dataset: Dataset, saved: Path) -> Path:
    """Read by Hugging Face's tokenizer, its last layer computed for every token."""
    with patch("leanformer.runtime.openvino.export.first_token_alone", _whole):
        return exported_int8(RUNS / name / "int8-plain", dataset, saved, {})


def fast_teacher(name: str, dataset: Dataset, saved: Path) -> Path:
    """As leanformer exports it: our graph, and the fast tokenizer if its ids are equal."""
    texts = [*dataset.train.texts, *dataset.dev.texts, *(dataset.train.pairs or ())]
    tokenizer = compared_tokenizer(saved, texts)
    return exported_int8(RUNS / name / "int8-ours", dataset, saved, tokenizer)


def exported_int8(folder: Path, dataset: Dataset, saved: Path, tokenizer: dict[str, str]) -> Path:
    """The folder of a model in OpenVINO int8, made once.

    Args:
        folder: Where it lies.
        dataset: Its first training texts calibrate it.
        saved: The model.
        tokenizer: What `compared_tokenizer` found; {} = Hugging Face's.
    """
    if (folder / "leanformer.json").is_file():
        return folder
    about, pairs = dataset.task.about, dataset.train.pairs is not None
    model, own = load_model(saved, about.head)
    sample = dataset.train.take(list(range(128)))
    calibration = Calibration(
        tokenizer=own, texts=sample.texts, pairs=sample.pairs, max_length=_LENGTH
    )
    save_model(model, own, folder, overwrite=True)
    export_openvino(
        model,
        dataset.task.kind,
        folder / "openvino",
        precision="int8",
        pairs=pairs,
        calibration=calibration,
    )
    described = Manifest(
        kind=dataset.task.kind,
        labels=tuple(dataset.task.labels),
        max_length=_LENGTH,
        pairs=pairs,
        backend="openvino",
        precision="int8",
        tokenizer=tokenizer,
    )
    write_manifest(folder, described)
    return folder


@contextmanager
def _whole(graph: object) -> Iterator[bool]:
    yield False
