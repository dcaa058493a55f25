"""A step that names what is not there is refused before the steps that come first are done."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_data
import torch

from leanformer.attention.attend import Attend
from leanformer.core.step import Sketch, Step
from leanformer.data import Source
from leanformer.distill.objectives import AttentionMaps, FeatureMaps, HiddenStates, Relations
from leanformer.distill.progressive import Progressive
from leanformer.distill.step import Distill
from leanformer.distill.students.distilbert import Distilbert
from leanformer.distill.students.miniature import Miniature
from leanformer.distill.students.mobilebert import Mobilebert
from leanformer.distill.students.tinybert import Tinybert
from leanformer.models.families import FAMILIES
from leanformer.models.sketch import without_weights
from leanformer.models.tiny import tiny_model
from leanformer.prune.lottery import Lottery
from leanformer.prune.patterns import Blocks, NOfM
from leanformer.prune.shrink import Shrink
from leanformer.prune.sparse_gpt import SparseGpt
from leanformer.prune.sparsify import Sparsify
from leanformer.quantize.int8 import Int8
from leanformer.quantize.quantize_aware import QuantizeAware
from leanformer.quantize.weight_only import WeightOnly
from leanformer.recipe import Recipe, run
from leanformer.train.steps.finetune import Finetune

LAYERS = "bert.encoder.layer"


def distilled(*objectives: Any) -> Distill:
    return Distill(objectives=objectives)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Source]:
    """A BERT of three layers, width 32 and 48 neurons, and data."""
    place = tmp_path_factory.mktemp("start")
    model = tiny_data.write_encoder(place / "model")
    return str(model), Source(path=str(tiny_data.write_data(place / "data")))


@pytest.fixture
def foreseen(
    start: tuple[str, Source], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """Begin a recipe whose first step fails if it is done."""

    def never(self: Step, workspace: Any) -> Any:
        raise AssertionError("a step was done")

    monkeypatch.setattr(Finetune, "apply", never)

    def call(*steps: Step) -> None:
        model, data = start
        recipe = Recipe(model=model, data=data, steps=(Finetune(), *steps))
        run(recipe, tmp_path / "run")

    return call


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([Shrink(layers=99)], r"steps\[1\] \(shrink\): layers: 99 of the model's 3"),
        ([Shrink(layers=(0, 3))], "layer 3 is out of range"),
        ([Shrink(layers=2), Shrink(layers=3)], r"steps\[2\] .*layers: 3 of the model's 2"),
        ([Attend(layers=(1, 3))], "there is no layer 3; the model has 3 attention layers"),
        ([Shrink(layers=2), distilled(HiddenStates(levels=(0, 1, 2, 3)))], r"steps\[2\] \(distill\): objectives\[0\].levels: .* must name 3"),
        ([Shrink(layers=2), distilled(FeatureMaps(layers=(2,)))], "layers 0 to 1"),
        ([Shrink(layers=2), distilled(FeatureMaps(teacher_layers="last-of-block"))], "cannot cut 3"),
        ([Shrink(heads=0.5), distilled(AttentionMaps())], "heads are compared one by one"),
        ([distilled(Relations(teacher_layer=3))], "which has 0 to 2"),
        ([Shrink(layers=2), Progressive(teacher_layers=(1, 3), attention=0)], r"\(progressive\): teacher_layers"),
        ([Distilbert(layers=4)], "cannot be taken from a teacher of 3"),
        ([Distilbert(layers=(0, 3))], "layer 3 is out of range"),
        ([Tinybert(layers=4)], "cannot be taken from a teacher of 3"),
        ([Miniature(size="small")], "layers: 4 cannot be taken"),
        ([Sparsify(by=Finetune(), pattern=Blocks(rows=32, columns=32))], "do not tile a weight of 48 x 32"),
        ([Shrink(ffn=0.7, multiple=2), SparseGpt(pattern=NOfM(n=2, m=4))], "do not divide rows of 34"),
        ([SparseGpt(keep_dense=("nowhere",))], "keep_dense: no layer is named nowhere"),
        ([Sparsify(by=distilled(HiddenStates(levels=(9,))), sparsity=0.5)], "levels"),
        ([Lottery(by=distilled(HiddenStates(levels=(9,))))], "levels"),
        ([QuantizeAware(modules_to_not_convert=("nowhere",))], "no layer is named nowhere"),
        ([Shrink(layers=2), QuantizeAware(modules_to_not_convert=(f"{LAYERS}.2.output.dense",))], "no layer is named"),
        ([WeightOnly(modules_to_not_convert=("nowhere",))], "no layer is named nowhere"),
        ([Int8(modules_to_not_convert=("nowhere",))], "no linear layer is named nowhere"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_refused_before_the_fine_tuning(
    foreseen: Callable[..., None], steps: list[Step], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        foreseen(*steps)


@pytest.mark.parametrize(
    "steps",
    [
        [Shrink(layers=2, heads=0.5, ffn=0.5, multiple=8), distilled(HiddenStates())],
        [Shrink(layers=2), Attend(layers=(1,)), distilled(FeatureMaps(layers=(1,)))],
        [Shrink(ffn=0.5, spread="global"), distilled(HiddenStates(levels=(9,)))],  # not known
        [Mobilebert(), Shrink(layers=7)],
        [Distilbert(), Shrink(layers=7)],
        [Miniature(size="small", init="random"), Shrink(layers=7)],
        [Int8(modules_to_not_convert=("classifier", "output.dense"))],
    ],
)
def test_what_is_there_or_not_known_passes(
    foreseen: Callable[..., None], steps: list[Step]
) -> None:
    with pytest.raises(AssertionError, match="a step was done"):
        foreseen(*steps)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_shrinking_is_foreseen_for_every_family(family: str) -> None:
    model, _ = tiny_model(family)
    step = Shrink(layers=2, heads=0.5, ffn=0.5, multiple=8)
    sketch = step.foresee(Sketch(model=without_weights(model)))
    if sketch.model is not None:
        assert sketch.model.config.num_hidden_layers == 2
    assert model.config.num_hidden_layers > 2


def test_a_sketch_takes_no_memory_and_leaves_the_model() -> None:
    model, _ = tiny_model("bert", head="masked")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    sketch = without_weights(model)
    assert {p.device.type for p in sketch.parameters()} == {"meta"}
    assert {b.device.type for b in sketch.buffers()} <= {"meta"}
    assert sketch.get_output_embeddings().weight is sketch.get_input_embeddings().weight
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name])
