"""One battery over everything that is registered: what holds for a technique, holds for each."""

import dataclasses
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import leanformer
from leanformer import recipe
from leanformer.attention import GlobalTokens, SlidingWindow
from leanformer.core.codec import decode, encode
from leanformer.core.step import steps_of
from leanformer.core.technique import families, field_docs, find
from leanformer.data import IGNORE, Batch
from leanformer.distill.objective import Dims, Outputs
from leanformer.models.attention.inputs import AttentionInputs
from leanformer.train.loss import count
from leanformer.train.steps.finetune import Finetune

TESTS = Path(__file__).parents[1]
FAMILIES = (
    *("attention", "calibrate", "distill", "prune", "quantize"),
    *("retrieve", "runtime", "tasks", "train"),
)

for package in FAMILIES:
    home = importlib.import_module(f"leanformer.{package}")
    for module in pkgutil.walk_packages(home.__path__, f"leanformer.{package}."):
        importlib.import_module(module.name)

ALL = [
    pytest.param(cls, id=f"{family}-{name}")
    for family, members in families().items()
    for name, cls in members.items()
    if cls.__module__.startswith("leanformer.")
]
OBJECTIVES = [param for param in ALL if param.values[0].family == "objective"]  # type: ignore[attr-defined]
STEPS = [param for param in ALL if param.values[0].family == "step"]  # type: ignore[attr-defined]
SMALL, DEEP, WIDE = Dims(2, 12, (2,) * 2), Dims(4, 12, (2,) * 4), Dims(4, 24, (2,) * 4)
NO_PROJECTION = ("feature-maps", "last-hidden")  # refuse unequal widths


_NEEDED: dict[str, Any] = {
    "Shrink": {"ffn": 0.5},
    "FixedBits": {"bits": (4, 2)},
    "Sparsify": {"by": Finetune()},
    "Lottery": {"by": Finetune()},
    "Union": {"patterns": (SlidingWindow(), GlobalTokens())},
}


def example(cls: Any) -> Any:
    """The technique with as few settings as it takes."""
    return cls(**_NEEDED.get(cls.__name__, {}))


def test_the_first_techniques_are_there() -> None:
    assert {"soft-targets", "hidden-states", "logits", "cosine", "labels"} <= set(
        families()["objective"]
    )
    assert {"attention-maps", "attention-scores", "embeddings", "feature-maps"} <= set(
        families()["objective"]
    )
    assert {"jensen-shannon", "last-hidden", "relations", "reverse-kl"} <= set(
        families()["objective"]
    )
    assert {"taylor", "activation", "magnitude"} <= set(families()["unit-criterion"])
    assert {"finetune", "distill", "shrink", "cut-vocabulary", "int8"} <= set(families()["step"])
    assert {"classification", "regression", "tokens", "embedding"} <= set(families()["task"])
    assert len(OBJECTIVES) >= 13


@pytest.mark.parametrize("cls", ALL)
class TestEveryTechnique:
    def test_it_is_frozen_and_takes_keywords_only(self, cls: Any) -> None:
        assert cls.__dataclass_params__.frozen
        made = example(cls)
        for field in dataclasses.fields(cls):
            assert field.kw_only
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(made, field.name, None)
        with pytest.raises(TypeError):
            cls(1)

    def test_it_is_documented(self, cls: Any) -> None:
        sentence = inspect.cleandoc(cls.__dict__["__doc__"]).splitlines()[0]
        assert sentence.endswith((".", ":", ";")) or len(sentence) > 60
        assert not sentence.startswith(f"{cls.__name__}(")  # a dataclass without one writes its own
        docs = field_docs(cls)
        for field in dataclasses.fields(cls):
            assert docs.get(field.name), f"{cls.__name__}.{field.name} has no docstring"

    def test_it_names_its_paper(self, cls: Any) -> None:
        assert cls.paper == "" or re.search(r"\b(19|20)\d\d\b", cls.paper)

    def test_its_name_is_lower_case_with_hyphens_and_finds_it(self, cls: Any) -> None:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", cls.technique)
        assert find(cls.technique, cls.family) is cls

    def test_it_survives_the_codec(self, cls: Any) -> None:
        made = example(cls)
        (interface,) = [
            base for base in cls.__mro__ if base is not cls and "family" in base.__dict__
        ]
        table = encode(made)
        assert table["use"] == cls.technique
        assert decode(interface, table) == made

    def test_it_derives_from_an_interface_and_nothing_from_it(self, cls: Any) -> None:
        assert not cls.__subclasses__()
        assert all(inspect.isabstract(base) for base in cls.__bases__)

    def test_it_has_a_test_file_at_the_mirrored_path(self, cls: Any) -> None:
        *folders, file = cls.__module__.split(".")[1:]
        assert (TESTS.joinpath(*folders) / f"test_{file}.py").is_file()

    def test_its_file_is_named_after_it(self, cls: Any) -> None:
        file = cls.__module__.split(".")[-1]
        if cls.technique != "union":  # it stands beside the interface, whose `|` makes it
            assert file == cls.technique.replace("-", "_") or file == "step"


KEEP = torch.tensor([[True] * 5, [True, True, True, False, False]])


def random_outputs(cls: Any, dims: Dims, seed: int, *logits: int) -> Outputs:
    """What a model of these sizes says of two texts; only what `cls` needs."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    hidden = [random(2, 5, dims.hidden) for _ in range(dims.layers + 1 if cls.needs_hidden else 0)]
    layers = []
    for heads in dims.heads if cls.needs_attention else ():
        given = (random(2, heads, 5, dims.hidden // heads) for _ in range(3))
        layers.append(AttentionInputs(*given, scaling=0.5))
    return Outputs(random(2, *logits).requires_grad_(), tuple(hidden), KEEP, tuple(layers))


@pytest.mark.parametrize(("student", "teacher"), [(SMALL, DEEP), (SMALL, WIDE)])
@pytest.mark.parametrize("cls", OBJECTIVES)
def test_an_objective_compares_tiny_outputs_and_survives_its_state(
    cls: Any, student: Dims, teacher: Dims
) -> None:
    if cls.technique in NO_PROJECTION and student.hidden != teacher.hidden:
        with pytest.raises(ValueError, match=f"{student.hidden} and {teacher.hidden}"):
            cls().build(student, teacher)
        return
    ours, theirs = random_outputs(cls, student, 0, 3), random_outputs(cls, teacher, 1, 3)
    labels = torch.tensor([0, 2])
    torch.manual_seed(0)
    module = cls().build(student, teacher)
    loss = module(ours, theirs, labels)
    assert loss.shape == ()
    assert loss.isfinite()
    assert loss > 0
    torch.manual_seed(1)
    other = cls().build(student, teacher)
    other.load_state_dict(module.state_dict())
    assert torch.equal(other(ours, theirs, labels), loss)


CASES = [
    pytest.param(cls, tokens, id=f"{cls.technique}-{tokens}")
    for cls in (param.values[0] for param in OBJECTIVES)
    for tokens in ("", "real", "masked")
    if not tokens or any(field.name == "tokens" for field in dataclasses.fields(cls))  # type: ignore[arg-type]
]


def one_text(given: Outputs, row: int) -> Outputs:
    """A batch of this text alone, without its padding."""
    keep = given.keep[row]

    def cut(layer: AttentionInputs) -> AttentionInputs:
        parts = (x[row : row + 1, :, keep] for x in (layer.query, layer.key, layer.value))
        return AttentionInputs(*parts, layer.scaling)

    logits = given.logits[row : row + 1]
    return Outputs(
        logits if logits.dim() == 2 else logits[:, keep],
        tuple(level[row : row + 1, keep] for level in given.hidden),
        keep.unsqueeze(0)[:, keep],
        tuple(cut(layer) for layer in given.attention),
    )


@pytest.mark.parametrize(("cls", "tokens"), CASES)
def test_the_mean_of_an_objective_is_over_what_its_unit_says(cls: Any, tokens: str) -> None:
    """Parts of a batch, weighed by their units, make the whole: what the training loop relies on."""
    made = cls(tokens=tokens) if tokens else cls()
    shape = (5, 3) if tokens else (3,)
    ours = random_outputs(cls, SMALL, 0, *shape)
    theirs = random_outputs(cls, DEEP, 1, *shape)
    labels = torch.tensor([0, 2])
    if tokens:
        labels = torch.tensor([[IGNORE, 0, 1, 2, IGNORE], [IGNORE, 1, IGNORE, IGNORE, IGNORE]])
    unit = made.unit
    if unit == "output":
        unit = "token" if tokens else "example"
    module = made.build(SMALL, DEEP)
    total, units = torch.zeros(()), 0
    for row in range(2):
        label = labels[row : row + 1, KEEP[row]] if tokens else labels[row : row + 1]
        part = Batch({"attention_mask": KEEP[row : row + 1]}, label, (row,))
        mean = module(one_text(ours, row), one_text(theirs, row), label)
        total = total + mean * count(part, unit)
        units += count(part, unit)
    torch.testing.assert_close(total / units, module(ours, theirs, labels))


@pytest.mark.parametrize("cls", STEPS)
def test_a_step_is_listed_by_its_family(cls: Any) -> None:
    """A line in the family's `STEPS` is what makes a step known to recipes."""
    family = importlib.import_module(".".join(cls.__module__.split(".")[:2]))
    assert cls in steps_of(family), f"add a line for {cls.__name__} to {family.__file__}"
    assert cls in recipe.STEPS


def test_recipes_know_every_technique_without_naming_a_module() -> None:
    """What a fresh process can decode is what there is: each technique hangs on a step's import."""
    code = (
        "import leanformer.recipe; from leanformer.core.technique import families; "
        "print(*(n for members in families().values() for n in members))"
    )
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    known = [param.values[0] for param in ALL]
    elsewhere = ("gate", "index", "fusion")  # named by served folders and by searches
    named = {cls.technique for cls in known if cls.family not in elsewhere}  # type: ignore[attr-defined]
    assert named <= set(ran.stdout.split())


def test_every_module_of_the_families_says_what_it_is() -> None:
    for module in pkgutil.walk_packages(leanformer.__path__, "leanformer."):
        if module.name.split(".")[1] in FAMILIES:
            assert importlib.import_module(module.name).__doc__, module.name
