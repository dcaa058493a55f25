"""A mask of ones is no mask: every mechanism takes the path without one, with the same outputs."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from attached_cases import two_texts
from attention_cases import EXAMPLES, built, label, random_text
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from leanformer.attention import GlobalTokens, Mechanism, SlidingWindow
from leanformer.attention.hf.attach import attach, attached
from leanformer.attention.positions import unless_whole
from leanformer.attention.presets import bigbird
from leanformer.models.tiny import tiny_model

NEAR = SlidingWindow(left=2, right=2) | GlobalTokens(tokens=(0,))


def masks_of(core: Any, monkeypatch: pytest.MonkeyPatch) -> list[Tensor | None]:
    """The masks that a built mechanism is given from now on."""
    seen: list[Tensor | None] = []
    efficient = core.efficient

    def watched(query: Tensor, key: Tensor, value: Tensor, keep: Any, **others: Any) -> Tensor:
        seen.append(keep)
        return efficient(query, key, value, keep, **others)

    monkeypatch.setattr(core, "efficient", watched)
    return seen


@pytest.mark.parametrize("mechanism", [pytest.param(one, id=label(one)) for one in EXAMPLES])
def test_a_mask_of_ones_is_no_mask(mechanism: Mechanism, monkeypatch: pytest.MonkeyPatch) -> None:
    attention, text = built(mechanism), random_text(37)
    bare = attention(*text)
    seen = masks_of(attention, monkeypatch)
    ones = torch.ones(2, 37, dtype=torch.bool)
    assert torch.equal(attention(*text, ones), bare)
    ones[1, 30:] = False
    padded = attention(*text, ones)
    assert seen[0] is None
    assert seen[1] is not None
    assert not torch.equal(padded[1], bare[1])


@pytest.mark.parametrize(("family", "head"), [("bert", "classification"), ("llama", "causal")])
@pytest.mark.parametrize("mechanism", [NEAR, bigbird(block_size=4)], ids=["longformer", "bigbird"])
def test_a_model_is_given_no_mask_where_nothing_is_padded(
    family: str, head: Any, mechanism: Mechanism, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = tiny_model(family, head=head)
    attach(model, mechanism)
    inputs = two_texts()
    ones = torch.ones_like(inputs["input_ids"])
    bare = model(input_ids=inputs["input_ids"]).logits
    seen = [masks_of(core, monkeypatch) for core in attached(model).values()]
    assert torch.equal(model(input_ids=inputs["input_ids"], attention_mask=ones).logits, bare)
    model(**inputs)  # one text is padded
    assert len(seen) == 3
    for first, second in seen:
        assert first is None
        assert second is not None


def test_masks_that_hide_something_or_cannot_be_read_stay() -> None:
    ones = torch.ones(2, 3, dtype=torch.bool)
    assert unless_whole(None) is None
    assert unless_whole(ones) is None
    holed = torch.tensor([[True, False]])
    assert unless_whole(holed) is holed
    unread = ones.to("meta")
    assert unless_whole(unread) is unread


def test_a_graph_that_was_traced_with_ones_serves_padded_texts_too() -> None:
    """While it is traced the numbers of a mask are not known."""

    def hidden(x: Tensor, keep: Tensor) -> Tensor:
        read = unless_whole(keep)
        return x if read is None else x * read

    x, ones, holed = torch.randn(4), torch.ones(4).bool(), torch.tensor([True, False, True, True])
    compiled = torch.compile(hidden, backend="eager", fullgraph=True)
    assert torch.equal(compiled(x, ones), x)
    for graph in (torch.jit.trace(hidden, (x, ones)), compiled):
        assert torch.equal(graph(x, holed), x * holed)


def test_a_mask_without_numbers_stays() -> None:
    with FakeTensorMode():
        fake = torch.ones(2, 3, dtype=torch.bool)
    assert unless_whole(fake) is fake


def test_mechanisms_do_not_wait_for_transformers() -> None:
    """It takes seconds to import, and who attends to queries and keys needs none of it."""
    code = "import sys, leanformer.attention; sys.exit('transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
