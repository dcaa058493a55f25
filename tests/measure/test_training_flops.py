import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from leanformer.measure.training_flops import training_flops_per_token
from leanformer.models.tiny import tiny_model

LENGTH = 24


def counted(model, length):
    """FLOPs per token of a forward and a backward pass, as torch counts its products."""
    ids = torch.randint(5, 50, (2, length))
    counter = FlopCounterMode(display=False)
    model.set_attn_implementation("eager")  # torch does not count its own attention on a CPU
    with counter, sdpa_kernel(SDPBackend.MATH):
        model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.sum().backward()
    return counter.get_total_flops() / ids.numel()


@pytest.mark.parametrize(
    ("family", "head"),
    [("bert", "masked"), ("roberta", "masked"), ("gpt2", "causal"), ("llama", "causal")],
)
def test_it_is_what_torch_counts(family, head):
    model, _ = tiny_model(family, head=head)
    found = training_flops_per_token(model, LENGTH, causal=False)
    assert found == pytest.approx(counted(model, LENGTH), rel=1e-12)


def test_tokens_that_see_only_those_before_need_half_the_scores():
    model, _ = tiny_model("gpt2", head="causal")
    full, half = (training_flops_per_token(model, LENGTH, causal=c) for c in (False, True))
    assert full - half == 6 * 3 * 32 * LENGTH  # 3 layers of 4 heads of 8


def test_layers_that_slide_see_their_window():
    model, _ = tiny_model("modernbert", head="masked")  # windows of 4 on either side
    short, long = (training_flops_per_token(model, n, causal=False) for n in (8, 1000))
    layers = model.config.layer_types
    full, sliding = (layers.count(f"{kind}_attention") for kind in ("full", "sliding"))
    assert full
    assert sliding
    near = 2 * model.config.sliding_window + 1
    assert long - short == 12 * 32 * (full * 992 + sliding * (near - min(8, near)))


def test_a_head_at_some_tokens_alone_costs_less():
    model, _ = tiny_model("bert", head="masked")
    whole, part = (
        training_flops_per_token(model, LENGTH, causal=False, head=h) for h in (1.0, 0.25)
    )
    assert whole - part == 6 * 0.75 * 32 * model.config.vocab_size
