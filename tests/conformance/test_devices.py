"""Every step that runs a model, on a second device made of CPU memory: the result is the CPU's."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from shadow_device import shadow
from torch import Tensor
from train.toy import FAST, TEXTS, examples

from leanformer.core.machine.device import device_of
from leanformer.core.record import Record
from leanformer.core.workspace import Workspace
from leanformer.data import Dataset, Examples, Task, encode_examples
from leanformer.distill.objectives import AttentionMaps, HiddenStates, SoftTargets
from leanformer.distill.progressive import Progressive
from leanformer.distill.step import Distill
from leanformer.distill.substitution import Substitution
from leanformer.models.io.load import load_model
from leanformer.models.io.save import save_model
from leanformer.models.tied import cpu_state
from leanformer.models.tiny import tiny_model
from leanformer.prune.criteria.weights import BrainSurgeon, Movement, WeightTaylor
from leanformer.prune.cut_vocabulary import CutVocabulary
from leanformer.prune.drop_empty import DropEmpty
from leanformer.prune.lottery import Lottery
from leanformer.prune.pack_sparse import PackSparse
from leanformer.prune.patterns import Blocks, Hybrid
from leanformer.prune.shrink import Shrink
from leanformer.prune.sparse_gpt import SparseGpt
from leanformer.prune.sparsify import Sparsify
from leanformer.quantize.activations import Calibrated, Dynamic, MovingAverage
from leanformer.quantize.hessian_bits import HessianBits
from leanformer.quantize.pack import Pack
from leanformer.quantize.quantize_aware import QuantizeAware
from leanformer.quantize.quantizers import Gptq, Ternary, TernaryLossAware, Uniform
from leanformer.quantize.weight_only import WeightOnly
from leanformer.train.evaluate import outputs
from leanformer.train.optimizers import Sgd
from leanformer.train.steps.finetune import Finetune

SETUP = replace(FAST, steps=4, checkpoint_seconds=60.0, optimizer=Sgd(learning_rate=1e-2))
"""SGD: Adam makes whole steps of gradients that are rounding."""
TUNE = Finetune(train=SETUP, max_length=32, require_improvement=False)
TEACH = Distill(train=SETUP, max_length=32, require_improvement=False)
HIDDEN = replace(TEACH, objectives=(SoftTargets(temperature=2.0), HiddenStates()))
MASKED = Task(kind="masked-lm")
CLASSES = Task(kind="classification", labels=("music", "rice"))


def workspace(folder: Path, device: torch.device, task: Task, teacher: str = "bert") -> Workspace:
    """A student of three layers and a teacher, both on the device."""
    head: Any = {"masked-lm": "masked"}.get(task.kind, task.kind)
    model, tokenizer = tiny_model("bert", head=head, num_labels=2, seed=1)
    other, theirs = tiny_model(teacher, head=head, num_labels=2)
    texts = examples() if task.labels else Examples(texts=TEXTS)
    dataset = Dataset(name="toy", task=task, train=texts, dev=texts, test=texts)
    return Workspace(
        name="small", model=model.to(device), tokenizer=tokenizer, dataset=dataset, folder=folder,
        record=Record(folder / "record.jsonl"), teacher=other.to(device), teacher_tokenizer=theirs,
    )  # fmt: skip


def same_weights(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    for name in ours:
        torch.testing.assert_close(
            theirs[name], ours[name], rtol=0, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}"
        )


def check(
    folder: Path, steps: tuple[Any, ...], task: Task = CLASSES, teacher: str = "bert"
) -> None:
    """Apply `steps` on both devices: the last model stays where it was, and equals the CPU's."""
    found = []
    for device in (torch.device("cpu"), shadow()):
        done = workspace(folder / device.type, device, task, teacher)
        for step in steps:
            done = step.apply(done)
        assert {tensor.device for tensor in done.model.state_dict().values()} == {device}
        said = torch.zeros(0)
        if not isinstance(steps[-1], Pack | PackSparse):  # containers compute nothing
            encoded = encode_examples(done.dataset.dev, done.tokenizer, task.kind, 32)
            rows = outputs(done.model, encoded, task.kind, "fp32")
            said = torch.cat([torch.from_numpy(row).flatten() for row in rows])
        found.append((cpu_state(done.model), said))
    (weights, answers), (others, said) = found
    same_weights(weights, others)
    torch.testing.assert_close(said, answers, rtol=0, atol=1e-4)


def cached(folder: Path) -> tuple[Any, ...]:
    """The second student reads what the first one's teacher said."""
    step = replace(HIDDEN, teacher_cache=folder / "outputs")
    return (step, step)


def several(folder: Path) -> tuple[Any, ...]:
    model, tokenizer = tiny_model("bert", num_labels=2, seed=2)
    model.config.id2label = dict(enumerate(CLASSES.labels))
    save_model(model, tokenizer, folder / "other")
    return (replace(TEACH, teachers=(str(folder / "other"),)),)


def written(folder: Path) -> tuple[Any, ...]:
    save_model(*tiny_model("bert", head="masked"), folder / "language")
    found = [
        Substitution(copies=2, language_model=model) for model in (None, str(folder / "language"))
    ]
    return tuple(replace(TEACH, augmentation=one) for one in found)


Steps = tuple[Any, ...] | Callable[[Path], tuple[Any, ...]]


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param((TUNE,), id="fine-tune"),
        pytest.param((HIDDEN,), id="hidden-states"),
        pytest.param((replace(TEACH, objectives=(AttentionMaps(),)),), id="attention"),
        pytest.param((replace(TEACH, noise=0.3),), id="noise"),
        pytest.param((CutVocabulary(), HIDDEN), id="cut-vocabulary"),
        pytest.param(cached, id="cached"),
        pytest.param(several, id="several-teachers"),
        pytest.param(written, id="substitution"),
    ],
)
def test_training_and_distilling(tmp_path: Path, steps: Steps) -> None:
    check(tmp_path, steps(tmp_path) if callable(steps) else steps)


def test_a_teacher_of_another_vocabulary_reads_its_own_texts(tmp_path: Path) -> None:
    check(tmp_path, (TEACH,), teacher="roberta")


@pytest.mark.parametrize(
    "step",
    [
        replace(HIDDEN, mlm_probability=0.3),
        Progressive(train=SETUP, max_length=32),
    ],
    ids=lambda step: step.technique,
)
def test_masked_language_models(tmp_path: Path, step: Any) -> None:
    check(tmp_path, (step,), MASKED)


@pytest.mark.parametrize(
    "steps",
    [
        (Shrink(layers=2, heads=0.5, ffn=1 / 3, multiple=16),),
        (Sparsify(by=TUNE, sparsity=0.5, criterion=Movement(rate=10), every=1),),
        (Sparsify(by=HIDDEN, sparsity=0.5, criterion=BrainSurgeon(block_size=8), every=1),),
        (Sparsify(by=TUNE, criterion=WeightTaylor(), pattern=Blocks(rows=4, columns=8), every=1),),
        (Sparsify(by=TUNE, sparsity=0.8, pattern=Hybrid(), every=1), DropEmpty()),
        (SparseGpt(sparsity=0.5), PackSparse()),
        (Lottery(by=TUNE, rounds=2, controls=("random-mask",)),),
    ],
    ids=lambda steps: "-".join(step.technique for step in steps),
)
def test_pruning(tmp_path: Path, steps: Any) -> None:
    check(tmp_path, steps)


@pytest.mark.parametrize(
    "steps",
    [
        (QuantizeAware(activations=Calibrated()), TUNE),
        (QuantizeAware(weights=Ternary(), activations=Dynamic(), embeddings=Ternary()), HIDDEN),
        (QuantizeAware(weights=TernaryLossAware(), activations=MovingAverage()), TUNE, Pack()),
        (QuantizeAware(bits=HessianBits(slices=2, texts=8)), TUNE),
        (WeightOnly(weights=Gptq(grid=Uniform(bits=4))),),
        (WeightOnly(weights=Uniform(bits=4)),),
    ],
    ids=lambda steps: "-".join(step.technique for step in steps),
)
def test_quantizing(tmp_path: Path, steps: Any) -> None:
    check(tmp_path, steps)


@pytest.mark.slow
@pytest.mark.parametrize("scales", [pytest.param("nncf", marks=pytest.mark.thorough), "own"])
def test_an_int8_graph_is_made_of_a_copy_on_the_cpu(tmp_path: Path, scales: Any) -> None:
    pytest.importorskip("openvino", reason="the int8 step writes an OpenVINO graph")
    pytest.importorskip("nncf", reason="the int8 step calibrates with NNCF")
    from leanformer.quantize.int8 import Int8

    given = workspace(tmp_path, torch.device("cpu"), CLASSES)  # the tests above train on the other
    tuned = replace(TUNE, train=replace(FAST, epochs=10)).apply(given)
    there = replace(tuned, model=tuned.model.to(shadow()))
    done = Int8(scales=scales, onnx=scales == "own", max_length=32).apply(there)
    assert device_of(done.model) == shadow()
    assert all(proof.ok for proof in done.proofs)
    loaded, _ = load_model(str(done.saved), "classification")
    same_weights(dict(loaded.state_dict()), cpu_state(done.model))
