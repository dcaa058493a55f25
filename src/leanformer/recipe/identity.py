"""What tells one run from another: by content, not by path.

    begins    data that steps see, model, teacher, seed      another of these: another run
    steps     each step's settings                           equal first steps are not done again
    judged    test split, promise, name                      what is measured in the end

    key of step k = digest(begins, steps up to k)

A folder may be moved and a file renamed; labels that change in a file of the same name make another
run. Where a training runs and how often it writes a checkpoint is no part of it.
"""

import json
from dataclasses import dataclass
from typing import Any

from leanformer.core import codec
from leanformer.core.identity.digest import digest, short
from leanformer.data import Dataset
from leanformer.data.identity import identify_data
from leanformer.models.digest import content_of
from leanformer.recipe.recipe import Recipe

_HOW = (
    "checkpoint_seconds",
    "compile",
    "memory",
    "parallel",
    "teacher_cache",
)  # how a step is done, and not what
_MODELS = (
    "teachers",
    "language_model",
    "cross_encoder",
)  # fields of steps that name folders of more models

WORDS = {
    "format": "the version of the run",
    "model.weights": "the weights of the model",
    "model.config": "the configuration of the model",
    "model.tokenizer": "the tokenizer of the model",
    "teacher.weights": "the weights of the teacher",
    "teacher.config": "the configuration of the teacher",
    "teacher.tokenizer": "the tokenizer of the teacher",
    "student.weights": "the weights of the encoder that students are cut from",
    "student.config": "the configuration of the encoder that students are cut from",
    "student.tokenizer": "the tokenizer of the encoder that students are cut from",
    "test.texts": "the texts of test",
    "test.labels": "the labels of test",
} | {
    f"data.{split}.{column}": f"the {column} of {split}"
    for split in ("train", "dev", "unlabelled")
    for column in ("texts", "labels")
}
"""What a reader calls what differs."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What a run is of, as JSON values; a digest stands for what is large.

    Attributes:
        begins: Format, data, model, teacher and seed.
        steps: The settings of each step.
        judged: What the result is measured by.
    """

    begins: dict[str, Any]
    steps: tuple[dict[str, Any], ...]
    judged: dict[str, Any]

    def key(self, number: int) -> str:
        """What tells the result of a step from others."""
        return short(digest(json.dumps([self.begins, self.steps[: number + 1]], sort_keys=True)))

    def json(self) -> dict[str, Any]:
        """As `recipe.json` keeps it."""
        return {"begins": self.begins, "steps": list(self.steps), "judged": self.judged}


def identify(
    recipe: Recipe, dataset: Dataset, model: dict[str, str], teacher: dict[str, str] | None
) -> Identity:
    """The identity of a run.

    Args:
        recipe: What is done.
        dataset: Its data.
        model: The identity of the model that it begins with (`model_identity`).
        teacher: That of the teacher that it names, or None.
    """
    data = identify_data(dataset)
    test = data.pop("test")  # no step sees it
    begins = {"format": 1, "data": data, "model": model, "teacher": teacher, "seed": recipe.seed}
    promise = {key: getattr(recipe, key) for key in ("name", "measure", "keep", "confidence")}
    return Identity(
        begins=begins,
        steps=tuple(_settings(codec.encode(step)) for step in recipe.steps),
        judged=promise | {"test": test},
    )


def _settings(value: Any) -> Any:
    """The settings of a step, with the content of what they name."""
    if isinstance(value, dict):
        named = {key: _contents(value[key]) for key in _MODELS if key in value}
        return {key: _settings(item) for key, item in value.items() if key not in _HOW} | named
    return [_settings(item) for item in value] if isinstance(value, list) else value


def _contents(names: Any) -> Any:
    """Folders of models by what they hold; names on the hub as they are."""
    return [_contents(name) for name in names] if isinstance(names, list) else content_of(names)
