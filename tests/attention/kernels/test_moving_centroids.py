"""Centroids move once per forward pass of a training, whoever trains and however."""

import copy
import pickle
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from attached_cases import drawn_model, two_texts
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint
from transformers import AlbertConfig, AutoModelForSequenceClassification

from leanformer.attention import Heads, Routing
from leanformer.attention.hf.attach import attach, attached
from leanformer.attention.kernels.moving_centroids import nearest
from leanformer.models.tiny import tiny_model

HEADS = Heads(num_heads=4, num_kv_heads=4, head_dim=8)
QUICK = Routing(clusters=3, window=9, decay=0.5)
WAYS = (None, True, False)  # without checkpointing, reentrant and not


def core(**settings: Any) -> Any:
    """A built mechanism in training."""
    return Routing(**{**vars(QUICK), **settings}).build(HEADS).train()


def text(seed: int, length: int = 30) -> torch.Tensor:
    """Queries, keys and values, [3, B, H, T, D]."""
    return torch.randn(3, 2, 4, length, 8, generator=torch.Generator().manual_seed(seed))


def moved(before: torch.Tensor, *texts: torch.Tensor) -> torch.Tensor:
    """The equation, centroid by centroid."""
    after = before.clone()
    for head in range(4):
        vectors = torch.cat([qkv[part, :, head].flatten(0, 1) for qkv in texts for part in (0, 1)])
        normed = F.layer_norm(vectors, (8,), eps=0)
        mine = (normed @ before[head].T).argmax(-1)
        for cluster in range(3):
            if (mine == cluster).any():
                mean = F.normalize(F.normalize(normed[mine == cluster], dim=-1).sum(0), dim=0)
                after[head, cluster] = F.normalize(0.5 * before[head, cluster] + 0.5 * mean, dim=0)
    return after


def step(attention: Any, qkv: torch.Tensor, reentrant: bool | None) -> None:
    """Forward and backward of one batch."""
    x = qkv.clone().requires_grad_()

    def run(y: torch.Tensor) -> torch.Tensor:
        return attention(*y)

    mixed = run(x) if reentrant is None else checkpoint(run, x, use_reentrant=reentrant)
    mixed.square().sum().backward()


@pytest.mark.parametrize("reentrant", WAYS)
def test_they_move_once_per_forward_pass(reentrant: bool | None) -> None:
    attention = core()
    expected = attention.centroids.clone()
    for seed in range(3):  # parts of one batch, or batches: each is a forward pass
        step(attention, text(seed), reentrant)
        expected = moved(expected, text(seed))
        torch.testing.assert_close(attention.state_dict()["centroids"], expected)
    assert not torch.allclose(core().centroids, expected)


@pytest.mark.parametrize("reentrant", WAYS)
def test_calls_of_one_forward_pass_see_the_same_centroids(reentrant: bool | None) -> None:
    attention = core()
    before = attention.centroids.clone()
    x = text(0).requires_grad_()
    seen = []

    def run(y: torch.Tensor) -> torch.Tensor:
        seen.append(attention.centroids.clone())
        return attention(*y)

    mixed = x[0]
    for seed in range(3):  # a shared layer
        qkv = torch.stack([mixed, *text(seed)[1:]])
        mixed = run(qkv) if reentrant is None else checkpoint(run, qkv, use_reentrant=reentrant)
    mixed.sum().backward()
    assert len(seen) == (3 if reentrant is None else 6)
    assert all(torch.equal(one, before) for one in seen)
    attention.eval()(*text(5))
    assert not torch.equal(attention.centroids, before)


def test_forward_passes_of_one_backward_pass_are_one_move() -> None:
    attention = core()
    before = attention.centroids.clone()
    x = text(0).requires_grad_()
    (attention(*x).sum() + attention(*text(1)).sum()).backward()
    torch.testing.assert_close(attention.state_dict()["centroids"], moved(before, text(0), text(1)))


def test_a_frozen_layer_moves_them_too_and_evaluation_does_not() -> None:
    attention = core()
    before = attention.centroids.clone()
    with torch.no_grad():
        attention.eval()(*text(0))
        attention.train()(*text(0))  # of reentrant checkpointing, maybe: a backward pass decides
    assert torch.equal(attention.state_dict()["centroids"], before)
    attention.forget()
    attention(*text(0))
    torch.testing.assert_close(attention.state_dict()["centroids"], moved(before, text(0)))


def checkpointed(forward: Any, reentrant: bool) -> Any:
    """A module's forward that is run again in the backward pass; transformers has none here."""

    def run(*inputs: Any, **named: Any) -> Any:
        return checkpoint(partial(forward, **named), *inputs, use_reentrant=reentrant)

    return run


@pytest.mark.parametrize("reentrant", WAYS[1:])
def test_a_model_with_one_shared_layer_trains_the_same(reentrant: bool) -> None:
    config = AlbertConfig(
        num_hidden_layers=3, hidden_size=32, num_attention_heads=4, intermediate_size=64,
        embedding_size=16, vocab_size=60,
    )  # fmt: skip
    found = []
    for again in (False, True):
        model = drawn_model(config)
        attach(model, QUICK)
        if again:
            group = model.encoder.albert_layer_groups[0]
            group.forward = checkpointed(group.forward, reentrant)
        model.train()
        for _ in range(3):
            model(**two_texts()).last_hidden_state.square().sum().backward()
        (attention,) = attached(model).values()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        found.append([attention.state_dict()["centroids"], *gradients])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_trainer_moves_them_with_and_without_checkpointing(tmp_path: Path) -> None:
    from transformers import Trainer, TrainingArguments

    rows = [{"input_ids": torch.arange(5, 17) + row, "labels": row % 2} for row in range(8)]
    found = []
    for again in (False, True):
        model, _ = tiny_model("bert")
        before = attach_quick(model)
        arguments = TrainingArguments(
            tmp_path / str(again), max_steps=3, per_device_train_batch_size=2, report_to=[],
            gradient_accumulation_steps=2, gradient_checkpointing=again, save_strategy="no",
            use_cpu=True, disable_tqdm=True,
        )  # fmt: skip
        Trainer(model, arguments, train_dataset=rows).train()
        after = {name: x for name, x in model.state_dict().items() if "centroids" in name}
        assert all(not torch.equal(after[name], before[name]) for name in before)
        found.append(model.state_dict())
    for name, weight in found[0].items():
        torch.testing.assert_close(weight, found[1][name], msg=name)


def attach_quick(model: Any) -> dict[str, torch.Tensor]:
    """Attach; the centroids as they are then."""
    attach(model, QUICK)
    return {name: x.clone() for name, x in model.state_dict().items() if "centroids" in name}


def test_a_saved_training_goes_on_as_if_nothing_had_been() -> None:
    straight, first = core(), core()
    for attention in (straight, first):
        step(attention, text(0), None)
    resumed = core(seed=7)
    step(resumed, text(9), None)  # what it has seen before is not what it goes on with
    resumed.load_state_dict(first.state_dict())
    for attention in (straight, resumed):
        step(attention, text(1), None)
    assert torch.equal(straight.state_dict()["centroids"], resumed.state_dict()["centroids"])


def test_copies_go_on_alone() -> None:
    attention = core()
    step(attention, text(0), None)
    for other in (copy.deepcopy(attention), pickle.loads(pickle.dumps(attention))):
        step(other, text(1), None)
        twice = moved(moved(core().centroids, text(0)), text(1))
        torch.testing.assert_close(other.state_dict()["centroids"], twice)
    once = moved(core().centroids, text(0))
    torch.testing.assert_close(attention.state_dict()["centroids"], once)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_they_stay_in_float32(dtype: torch.dtype, tmp_path: Path) -> None:
    exact = core(decay=0.999).centroids
    assert torch.equal(core(decay=0.999).to(dtype).centroids, exact)
    assert torch.equal(core(decay=0.999).half().centroids, exact)
    assert core().double().centroids.dtype == torch.float64
    assert torch.equal(core().double().to(dtype).centroids, exact)
    assert core().to("meta").to(dtype).centroids.dtype == torch.float32
    assert core().to("meta").to_empty(device="cpu").to(dtype).centroids.dtype == torch.float32
    model, _ = tiny_model("bert")
    attach(model.to(dtype), Routing(clusters=3, window=4))
    drawn = {name: core.centroids.clone() for name, core in attached(model).items()}
    assert {x.dtype for x in drawn.values()} == {torch.float32}
    model.save_pretrained(tmp_path)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path, dtype=dtype)
    assert loaded.dtype == dtype
    for name, attention in attached(loaded).items():
        assert torch.equal(attention.centroids, drawn[name])
    loaded(**two_texts())


def test_small_moves_of_a_model_in_half_precision_are_not_lost() -> None:
    attention = core(decay=0.999).to(torch.bfloat16)
    before = attention.centroids.clone()
    step(attention, text(0).bfloat16(), None)
    assert (attention.state_dict()["centroids"] != before).all(-1).any()


def test_they_move_in_a_compiled_model() -> None:
    plain, compiled = core(), core()
    run = torch.compile(compiled, backend="eager")
    for seed in range(3):
        for attention in (plain, run):
            x = text(seed).requires_grad_()
            attention(*x).sum().backward()
    torch.testing.assert_close(plain.state_dict()["centroids"], compiled.state_dict()["centroids"])
    whole = torch.compile(compiled.eval(), backend="eager", fullgraph=True)
    torch.testing.assert_close(whole(*text(5)), plain.eval()(*text(5)))


def test_the_nearest_is_told_without_norming_the_tokens() -> None:
    attention, x = core(), text(3)[0] * 5 + 2
    normed = F.layer_norm(x, (8,), eps=0)
    expected = torch.einsum("bhtd,hcd->bhtc", normed, attention.centroids).argmax(-1)
    assert torch.equal(nearest(x, attention.centroids), expected)
