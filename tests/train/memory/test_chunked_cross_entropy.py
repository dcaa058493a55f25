from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from train.memory.languages import DECODERS, ENCODERS, language_batch, language_model, step

from leanformer.data import IGNORE
from leanformer.train import Supervised
from leanformer.train.loss import Carry, Loss
from leanformer.train.masking import masking
from leanformer.train.memory import ChunkedCrossEntropy
from leanformer.train.steps.pretrain import MaskedLanguage


def close(found: dict[str, Tensor], expected: dict[str, Tensor], error: float) -> None:
    assert found.keys() == expected.keys()
    for name, slope in expected.items():
        torch.testing.assert_close(found[name], slope, rtol=error, atol=error, msg=name)


@pytest.mark.parametrize("tokens", [0, 2, 64])
@pytest.mark.parametrize("family", [*ENCODERS, *DECODERS])
def test_a_language_model_has_the_gradients_of_the_plain_loss(family: str, tokens: int) -> None:
    """With dropout, texts of unequal length, and a row that has no target."""
    model, kind = language_model(family)
    batch, loss = language_batch(model.config.vocab_size), Supervised(kind)
    value, slopes = step(model, loss, batch)
    with ChunkedCrossEntropy(tokens=tokens).apply(model, loss):
        found, ours = step(model, loss, batch)
    torch.testing.assert_close(found, value, rtol=1e-12, atol=0)
    close(ours, slopes, 1e-12)
    assert torch.equal(step(model, loss, batch)[0], value)


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
@pytest.mark.parametrize("tied", [True, False])
def test_heads_may_be_tied_or_not(family: str, tied: bool) -> None:
    model, kind = language_model(family, tie_word_embeddings=tied)
    head = model.get_output_embeddings()
    assert (head.weight is model.get_input_embeddings().weight) == tied
    batch, loss = language_batch(model.config.vocab_size), Supervised(kind)
    _, slopes = step(model, loss, batch)
    with ChunkedCrossEntropy(tokens=2).apply(model, loss):
        _, ours = step(model, loss, batch)
    close(ours, slopes, 1e-12)


@pytest.mark.parametrize("tokens", [0, 2])
def test_in_half_precision_it_is_as_exact_as_the_plain_loss(tokens: int) -> None:
    model, kind = language_model("bert", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    loss, seeds = Supervised(kind), range(8)  # what one batch rounds to is chance
    batches = [language_batch(model.config.vocab_size, seed=seed) for seed in seeds]
    exact = [step(model, loss, batch)[1] for batch in batches]
    model.float()
    with torch.autocast("cpu", torch.bfloat16):
        plain = [step(model, loss, batch)[1] for batch in batches]
        with ChunkedCrossEntropy(tokens=tokens).apply(model, loss):
            ours = [step(model, loss, batch)[1] for batch in batches]

    def error(found: list[dict[str, Tensor]]) -> float:
        both = zip(found, exact, strict=True)
        pairs = [(own[name].double(), slope) for own, true in both for name, slope in true.items()]
        return float(sum((a - b).square().sum() for a, b in pairs) ** 0.5)

    assert error(ours) <= 1.1 * error(plain)
    assert all(slope.dtype == torch.float32 for own in ours for slope in own.values())


def test_a_batch_without_targets_gives_zero_gradients_to_every_parameter() -> None:
    """Ranks and hooks wait for the gradient of each parameter."""
    model, kind = language_model("gpt2")
    batch, loss = language_batch(model.config.vocab_size), Supervised(kind)
    assert batch.labels is not None
    batch.labels.fill_(IGNORE)
    with ChunkedCrossEntropy(tokens=4).apply(model, loss):
        value, slopes = step(model, loss, batch)
    assert value == 0
    assert slopes.keys() == dict(model.named_parameters()).keys()
    assert not any(slope.any() for slope in slopes.values())


@contextmanager
def largest_of(model: nn.Module) -> Iterator[list[int]]:
    """Rows of the logits that the output layer computes, call by call."""
    found: list[int] = []
    head = model.get_output_embeddings()  # type: ignore[operator]
    real = nn.functional.linear

    def noted(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        if weight is head.weight:
            found.append(inputs.shape[:-1].numel())
        return real(inputs, weight, bias)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.functional, "linear", noted)
        yield found


def test_logits_of_more_than_a_chunk_are_never_there() -> None:
    model, kind = language_model("bert")
    batch, loss = language_batch(model.config.vocab_size), Supervised(kind)
    known = int(loss.counts(batch)["target"])
    with ChunkedCrossEntropy(tokens=4).apply(model, loss), largest_of(model) as rows:
        step(model, loss, batch)
    assert max(rows) == 4
    assert sum(rows) == known < 36
    with largest_of(model) as rows:
        step(model, loss, batch)
    assert rows == [36]


def test_the_loss_that_hides_words_is_split_too_and_the_model_still_answers() -> None:
    model, _ = language_model("bert")
    _, tokenizer = _tiny()
    loss = MaskedLanguage(masking(tokenizer, 0.15))
    batch = language_batch(model.config.vocab_size)
    _, slopes = step(model, loss, batch)
    plain = model.eval()(**batch.inputs).logits
    model.train()
    with ChunkedCrossEntropy(tokens=3).apply(model, loss):
        assert not loss.compilable
        _, ours = step(model, loss, batch)
        assert torch.equal(model.eval()(**batch.inputs).logits, plain)
        with torch.no_grad():
            assert loss(model, batch)[0].total.shape == ()
        model.train()
    close(ours, slopes, 1e-12)
    assert loss.compilable
    assert "compilable" not in vars(loss)


def _tiny() -> Any:
    from leanformer.models.tiny import tiny_model

    return tiny_model("bert", head="masked")


def test_all_is_undone_after_an_error() -> None:
    model, kind = language_model("gpt2")
    loss = Supervised(kind)
    hooks = len(model.base_model._forward_hooks)
    with pytest.raises(KeyError), ChunkedCrossEntropy().apply(model, loss):
        raise KeyError
    assert "forward" not in vars(model.get_output_embeddings())
    assert "outputs" not in vars(loss)
    assert len(model.base_model._forward_hooks) == hooks


class Other(Loss):
    """No loss of a language model."""

    def outputs(self, model: nn.Module, batch: Any, carry: Carry) -> Any:
        raise NotImplementedError


@pytest.mark.parametrize("loss", [Other(), Supervised("classification")])
def test_another_loss_is_refused(loss: Loss) -> None:
    model, _ = language_model("bert")
    with (
        pytest.raises(ValueError, match=f"{type(loss).__name__} is not the loss of a masked"),
        ChunkedCrossEntropy().apply(model, loss),
    ):
        raise AssertionError


def test_a_model_without_an_output_layer_is_refused() -> None:
    with (
        pytest.raises(ValueError, match="Linear has no output layer behind a base model"),
        ChunkedCrossEntropy().apply(nn.Linear(2, 2), Supervised("causal-lm")),
    ):
        raise AssertionError


@pytest.mark.parametrize("change", ["cap", "scale", "cut"])
def test_a_model_that_changes_its_logits_is_refused(change: str) -> None:
    model, kind = language_model("gpt2")
    loss, real = Supervised(kind), model.forward

    def changed(**inputs: Any) -> Any:
        output = real(**inputs)
        if change == "cap":
            output.logits = 30 * torch.tanh(output.logits / 30)
        elif change == "scale":
            output.logits = output.logits * 0.9
        else:
            output.logits = output.logits[:, :, :90]
        return output

    model.forward = changed
    with (
        pytest.raises(ValueError, match="computes its logits otherwise"),
        ChunkedCrossEntropy().apply(model, loss),
    ):
        raise AssertionError
    assert "forward" not in vars(model.get_output_embeddings())
    assert model.training
