"""Trainings on a second device made of CPU memory, equal to those on the CPU; and on CUDA."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from shadow_device import shadow
from torch import Tensor, nn
from train.toy import FAST, TEXTS, examples, toy

from leanformer.core.machine.device import device_of
from leanformer.data import Examples, encode_examples
from leanformer.models.families import FAMILIES
from leanformer.models.tied import cpu_state
from leanformer.models.tiny import tiny_model
from leanformer.train import Progress, Supervised, fit
from leanformer.train.evaluate import masked_accuracy, outputs
from leanformer.train.masking import masking
from leanformer.train.optimizers import Sgd
from leanformer.train.steps.pretrain import MaskedLanguage

CPU = torch.device("cpu")


def same(one: dict[str, Tensor], other: dict[str, Tensor], tolerance: float = 1e-6) -> None:
    """Equal weights, but for the bias of keys: a softmax does not see it, its gradient is rounding,
    and Adam makes a whole step of it."""
    assert one.keys() == other.keys()
    for name in one:
        if "key.bias" not in name and "k_lin.bias" not in name and "key_proj.bias" not in name:
            torch.testing.assert_close(
                one[name], other[name], rtol=0, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}"
            )


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_of_every_family_trains_as_on_the_cpu(family: str) -> None:
    found = []
    setup = replace(FAST, steps=2, optimizer=Sgd(learning_rate=1e-2))
    for device in (CPU, shadow()):
        model, tokenizer = tiny_model(family, num_labels=2)
        encoded = encode_examples(examples(), tokenizer, "classification", 32)
        model.to(device)
        before = {name: tensor.clone() for name, tensor in cpu_state(model).items()}
        done = fit(model, encoded, Supervised("classification"), setup)
        assert device_of(model) == device
        after = cpu_state(model)
        assert any(not torch.equal(after[name], before[name]) for name in after)
        answers = outputs(model, encoded, "classification", "fp32")
        found.append((done.losses, after, torch.from_numpy(np.stack(answers))))
    (losses, weights, answers), (theirs, others, said) = found
    assert theirs == pytest.approx(losses, abs=1e-6)
    same(weights, others)
    torch.testing.assert_close(said, answers, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["classification", "regression", "tokens"])
def test_fine_tuning_with_dropout_evaluates_and_ends_as_on_the_cpu(kind: Any) -> None:
    found = []
    for device in (CPU, shadow()):
        model, encoded = toy(kind)
        model.to(device)

        def evaluate(model: nn.Module, encoded: Any = encoded) -> float:
            return -sum(float(abs(row).sum()) for row in outputs(model, encoded, kind, "fp32"))

        done = fit(model, encoded, Supervised(kind), FAST, evaluate=evaluate)
        found.append((done.losses, done.best, cpu_state(model)))
    (losses, best, weights), (theirs, other, others) = found
    assert theirs == pytest.approx(losses, abs=1e-5)
    assert other == pytest.approx(best, abs=1e-3)
    same(weights, others, 1e-5)


def test_pretraining_hides_the_same_tokens_as_on_the_cpu() -> None:
    found = []
    for device in (CPU, shadow()):
        model, tokenizer = tiny_model("bert", head="masked")
        encoded = encode_examples(Examples(texts=TEXTS), tokenizer, "masked-lm", 32)
        hide = masking(tokenizer, 0.3)
        fit(model.to(device), encoded, MaskedLanguage(hide), FAST)
        assert model.get_input_embeddings().weight is model.get_output_embeddings().weight
        found.append((cpu_state(model), masked_accuracy(model, hide.encoded(encoded), "fp32")))
    same(found[0][0], found[1][0], 1e-5)
    assert found[0][1] == found[1][1]


def test_tokens_of_a_batch_on_the_device_are_hidden_there() -> None:
    _, encoded = toy()
    _, tokenizer = tiny_model("bert")
    hide = masking(tokenizer, 0.5)
    batch, found = encoded.batch([0, 5, 9]), []
    for device in (CPU, shadow()):
        torch.manual_seed(0)
        hidden = hide.batch(batch.to(device))
        assert hidden.labels is not None
        assert hidden.labels.device == hidden.inputs["input_ids"].device == device
        found.append((hidden.inputs["input_ids"].cpu(), hidden.labels.cpu()))
    for ours, theirs in zip(*found, strict=True):
        assert torch.equal(ours, theirs)


def killer(step: int) -> Callable[[nn.Module, Progress], None]:
    def hook(model: nn.Module, progress: Progress) -> None:
        if progress.step == step:
            raise KeyboardInterrupt

    return hook


def resumed(folder: Path, devices: list[torch.device]) -> list[tuple[list[float], Any]]:
    """Losses and weights of a whole training on the first device, and of one that was killed there
    and goes on on the second."""
    found = []
    whole, first, second = (toy() for _ in range(3))
    for (model, encoded), device, where, hooks in (
        (whole, devices[0], None, ()),
        (first, devices[0], folder, (killer(5),)),
        (second, devices[1], folder, ()),
    ):
        model.to(device)
        try:
            done = fit(
                model, encoded, Supervised("classification"), FAST, folder=where, hooks=hooks
            )
        except KeyboardInterrupt:
            continue
        assert device_of(model).type == device.type
        found.append((done.losses, cpu_state(model)))
    return found


@pytest.mark.parametrize("second", ["shadow", "cpu"])
def test_a_training_that_was_killed_goes_on_there_and_elsewhere(
    tmp_path: Path, second: str
) -> None:
    """The dropout of the shadow device is drawn as on the CPU, so that it goes on alike there."""
    whole, after = resumed(tmp_path / "c", [shadow(), torch.device(second)])
    assert after[0] == pytest.approx(whole[0], abs=1e-5)
    same(whole[1], after[1], 1e-5)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_decoder_generates_the_same_tokens(family: str) -> None:
    found = []
    for device in (CPU, shadow()):
        model, tokenizer = tiny_model(family, head="causal")
        inputs = tokenizer(["music in the mountains"], return_tensors="pt").to(device)
        model.to(device)
        made = model.generate(**inputs, max_new_tokens=8, do_sample=False)
        assert made.device == device
        found.append(made.cpu().tolist())
    assert found[0] == found[1]
    assert len(found[0][0]) > 8


def test_a_compiled_training_has_the_same_losses_and_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Traced and not translated: that needs no compiler."""
    compiled, made = torch.compile, []

    def traced(model: nn.Module) -> Any:
        made.append(model)
        return compiled(model, backend="eager")

    monkeypatch.setattr(torch, "compile", traced)
    found = []
    for asked in (False, True):
        model, encoded = toy(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        setup = replace(FAST, steps=2, compile=asked)
        done = fit(model, encoded, Supervised("classification"), setup)
        found.append((done.losses, cpu_state(model)))
        assert made == ([model] if asked else [])
    assert found[1][0] == pytest.approx(found[0][0], abs=1e-6)
    same(found[0][1], found[1][1])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_training_on_cuda_goes_on_and_is_exported(tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="the export writes an OpenVINO graph")
    from leanformer.runtime.openvino.export import export_openvino

    cuda = torch.device("cuda", 0)
    whole, after = resumed(tmp_path / "c", [cuda, cuda])
    assert after[0] == pytest.approx(whole[0], abs=1e-4)
    same(whole[1], after[1], 1e-3)
    model, encoded = toy()
    mixed = replace(FAST, precision="bf16")
    losses = fit(model.to(cuda), encoded, Supervised("classification"), mixed).losses
    assert losses[-1] < losses[0]
    assert all(proof.ok for proof in export_openvino(model, "classification", tmp_path / "graph"))
    assert device_of(model) == cuda
