from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_data
import torch
from quantize.rounding import Blocks
from torch import nn
from train.toy import FAST, examples

from leanformer.core.record import Record, read
from leanformer.core.workspace import Workspace
from leanformer.data import Dataset, Source, Task
from leanformer.distill.objectives import AttentionScores, HiddenStates, SoftTargets
from leanformer.distill.step import Distill
from leanformer.models.tiny import tiny_model
from leanformer.quantize.activations import Calibrated, Dynamic, MovingAverage
from leanformer.quantize.fake import QATEmbedding, QATLinear, rounded_layers
from leanformer.quantize.pack import Pack
from leanformer.quantize.quantize_aware import QuantizeAware
from leanformer.quantize.quantizer import Quantizer
from leanformer.quantize.quantizers import Gptq, Ternary, TernaryLossAware, Uniform
from leanformer.recipe import Recipe, open_model, run
from leanformer.train import TrainSetup
from leanformer.train.steps.finetune import Finetune

SETUP = TrainSetup(
    epochs=4, learning_rate=1e-3, batch_size=16, precision="fp32", checkpoint_seconds=0.0
)
TEACH = Distill(train=SETUP, require_improvement=False)
SHORT = replace(SETUP, epochs=2)
DEEP = replace(
    TEACH, objectives=(HiddenStates(), AttentionScores(), SoftTargets())
)  # TernaryBERT's


def workspace_of(tmp_path: Path, family: str = "bert", head: str = "classification") -> Workspace:
    kind: Any = {
        "classification": "classification",
        "embedding": "embedding",
        "masked": "masked-lm",
    }[head]
    model, tokenizer = tiny_model(family, head=head, num_labels=2)
    task = Task(kind=kind, labels=("music", "rice") if kind == "classification" else ())
    texts = replace(examples(), labels=examples().labels if kind == "classification" else None)
    dataset = Dataset(name="toy", task=task, train=texts, dev=texts, test=texts)
    return Workspace(
        name="small", model=model, tokenizer=tokenizer, dataset=dataset, folder=tmp_path,
        record=Record(tmp_path / "record.jsonl"),
    )  # fmt: skip


def swapped(workspace: Workspace, **settings: Any) -> set[str]:
    QuantizeAware(**{"weights": Blocks(), **settings}).apply(workspace)
    return set(rounded_layers(workspace.model))


def test_the_encoder_rounds_and_the_rest_stays(tmp_path: Path) -> None:
    workspace = workspace_of(tmp_path)
    weights = {n: p.detach().clone() for n, p in workspace.model.named_parameters()}
    done = QuantizeAware(weights=Blocks(), embeddings=Blocks(bits=3)).apply(workspace)
    assert all(proof.ok for proof in done.proofs)
    names = set(rounded_layers(workspace.model))
    assert len(names) == 6 * 3 + 2  # the pooler is reached, and the words
    assert "bert.embeddings.word_embeddings" in names
    assert "bert.embeddings.position_embeddings" not in names
    assert "classifier" not in names
    assert all(torch.equal(weights[n], p) for n, p in workspace.model.named_parameters())
    (rounded, changed) = done.proofs
    assert rounded.after == sum(m.weight.numel() for m in rounded_layers(workspace.model).values())
    assert changed.after > 0


def test_what_rounds_can_be_chosen(tmp_path: Path) -> None:
    kept = "bert.encoder.layer.0.output.dense"
    names = swapped(
        workspace_of(tmp_path),
        embeddings=Blocks(),
        tables="all",
        head=True,
        modules_to_not_convert=(kept,),
    )
    assert {"classifier", "bert.embeddings.token_type_embeddings"} <= names
    assert kept not in names
    assert len(names) == 6 * 3 + 1 + 1 - 1 + 3


def test_a_layer_that_the_task_does_not_reach_stays(tmp_path: Path) -> None:
    workspace = workspace_of(tmp_path, head="embedding")
    workspace.model.spare = nn.Linear(3, 3)
    names = swapped(workspace)
    assert "spare" not in names
    assert len(names) == 6 * 3 + 1


def test_calibrated_ranges_are_those_of_the_float_model(tmp_path: Path) -> None:
    workspace = workspace_of(tmp_path)
    swapped(workspace, activations=Calibrated(), texts=4)
    layers = [m for m in workspace.model.modules() if isinstance(m, QATLinear)]
    assert all(layer.activations is not None and layer.activations.grid() for layer in layers)


class Refuses(Quantizer):
    def quantize(self, weight_OI: Any, statistics: Any = None) -> Any:
        raise ValueError("block: 5 does not tile")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"clip": 0.0}, r"clip: 0.0 is not above 0"),
        ({"texts": 0}, "texts: 0 is not at least 1"),
        ({"embeddings": Gptq()}, "embeddings: .* rounds once, on statistics"),
        (
            {"modules_to_not_convert": ("nonsense",)},
            "modules_to_not_convert: no layer is named nonsense",
        ),
        (
            {"weights": Refuses()},
            "layer.0.attention.self.query: block: 5 does not .*modules_to_not_convert",
        ),
    ],
)
def test_refusals_leave_the_model_as_it_was(
    tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    workspace = workspace_of(tmp_path)
    with pytest.raises(ValueError, match=message):
        swapped(workspace, **settings)
    assert not rounded_layers(workspace.model)


def test_models_that_cannot_round_are_refused(tmp_path: Path) -> None:
    workspace = workspace_of(tmp_path)
    swapped(workspace)
    with pytest.raises(ValueError, match="the model rounds already"):
        swapped(workspace)
    workspace = workspace_of(tmp_path)
    linears = (n for n, m in workspace.model.named_modules() if isinstance(m, nn.Linear))
    with pytest.raises(
        ValueError, match="no linear layer to round; modules_to_not_convert names them all"
    ):
        swapped(workspace, modules_to_not_convert=tuple(linears))
    workspace = workspace_of(tmp_path, head="masked")
    with pytest.raises(ValueError, match="word embeddings are the weight of the head too"):
        swapped(workspace, embeddings=Blocks())
    assert not rounded_layers(workspace.model)
    assert swapped(workspace)  # its linear layers can


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_all_precisions_train_it(tmp_path: Path, precision: Any) -> None:
    workspace = workspace_of(tmp_path)
    swapped(workspace, embeddings=Blocks(), activations=MovingAverage(), clip=2.5)
    setup = replace(FAST, precision=precision, epochs=8)
    done = Finetune(train=setup, max_length=32).apply(workspace)
    assert done.proofs[0].after > 0.9
    passes = {int(m.passes) for m in workspace.model.modules() if hasattr(m, "passes")}
    assert len(passes) == 1  # those of the best evaluation
    assert passes <= set(range(4, 33, 4))


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    place = tmp_path_factory.mktemp("recipe")
    data = tiny_data.write_data(place / "animals")
    return Recipe(
        model=str(tiny_data.write_classifier(place / "teacher", data)),
        data=Source(path=str(data)),
        steps=(
            QuantizeAware(
                weights=Blocks(bits=2),
                embeddings=Blocks(bits=2),
                activations=MovingAverage(),
                clip=2.5,
            ),
            DEEP,
            Pack(),
        ),
    )


def test_a_recipe_trains_and_packs(recipe: Recipe, tmp_path: Path) -> None:
    done = run(recipe, tmp_path)
    assert done.saved == tmp_path / "02-pack" / "model"
    events = [event for event in read(tmp_path / "record.jsonl") if event["event"] == "step"]
    proofs = {proof["claim"]: proof for event in events for proof in event["proofs"]}
    assert proofs["weights on disk"]["after"] < 0.4 * proofs["weights on disk"]["before"]
    assert proofs["tensors that packing changed"]["after"] == 0
    assert proofs["accuracy on dev"]["after"] >= 0.9
    again = run(recipe, tmp_path)  # finished steps are loaded
    state = done.model.state_dict()
    assert all(torch.equal(state[n], t) for n, t in again.model.state_dict().items())


ROWS = Ternary(granularity="row")


@pytest.mark.parametrize(
    "aware",
    [
        QuantizeAware(
            weights=TernaryLossAware(), embeddings=ROWS, activations=Dynamic(), clip=2.5
        ),
        QuantizeAware(
            weights=Uniform(granularity="tensor"), embeddings=Uniform(granularity="tensor"), tables="all",
            activations=MovingAverage(start_step=2),
        ),
        QuantizeAware(weights=Uniform(bits=3, granularity="row-group", num_groups=4), activations=Calibrated()),
        QuantizeAware(weights=Uniform(bits=4, granularity="group", group_size=8, symmetric=False)),
    ],
)  # fmt: skip
def test_the_settings_of_the_papers_train_and_pack(
    recipe: Recipe, aware: QuantizeAware, tmp_path: Path
) -> None:
    done = run(replace(recipe, steps=(aware, replace(TEACH, train=SHORT), Pack())), tmp_path)
    assert all(proof.ok for proof in done.proofs)
    model, _ = open_model(str(done.saved), recipe.data.read(), seed=0)
    state = done.model.state_dict()
    assert state.keys() == model.state_dict().keys()
    assert all(torch.equal(state[n], t) for n, t in model.state_dict().items())


def test_a_run_stopped_after_the_swap_ends_the_same(recipe: Recipe, tmp_path: Path) -> None:
    whole = run(recipe, tmp_path / "whole")

    def stop(name: str, progress: Any) -> None:
        if progress.step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(recipe, tmp_path / "stopped", watch=stop)
    again = run(recipe, tmp_path / "stopped")
    state = whole.model.state_dict()
    assert all(torch.equal(state[n], t) for n, t in again.model.state_dict().items())


def test_a_recipe_trains_and_runs_in_integers(recipe: Recipe, tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="the int8 step writes an OpenVINO graph")
    from leanformer.quantize.int8 import Int8

    aware = QuantizeAware(weights=Blocks(bits=4), embeddings=Blocks(), activations=MovingAverage())
    steps = (aware, TEACH, Int8(texts=16, max_length=64))
    done = run(replace(recipe, steps=steps), tmp_path)
    claims = {proof.claim: proof for proof in done.proofs}
    assert claims["matrix products executed in int8"].after >= 6 * 2 + 1
    assert all(proof.ok for proof in done.proofs)
    rows = [e for e in read(tmp_path / "record.jsonl") if e["event"] == "requantized_by_layer"]
    assert max(row["loss"] for row in rows[0]["rows"]) == 0
    with pytest.raises(ValueError, match="modules_to_not_convert: the model was trained to round"):
        Int8(modules_to_not_convert=("classifier",)).apply(done)
    assert isinstance(done.model.get_input_embeddings(), QATEmbedding)
