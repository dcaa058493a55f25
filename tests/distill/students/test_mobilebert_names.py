import torch

from leanformer.distill.students.mobilebert_names import body_state

LAYER = "encoder.layer.3."


def test_the_last_ffn_is_intermediate_and_output() -> None:
    one, two = torch.zeros(1), torch.ones(1)
    found = body_state(
        {
            f"{LAYER}ffn.0.intermediate.dense.weight": one,
            f"{LAYER}ffn.1.output.LayerNorm.bias": one,
            f"{LAYER}intermediate.dense.weight": two,
            f"{LAYER}output.LayerNorm.bias": two,
            f"{LAYER}output.bottleneck.dense.bias": two,
            f"{LAYER}attention.output.dense.bias": two,
            f"{LAYER}attention.self.key.bias": two,
            "pooler.dense.weight": two,
        }
    )
    assert {key: float(value) for key, value in found.items()} == {
        "layers.3.ffns.0.widen.weight": 0,
        "layers.3.ffns.1.norm.bias": 0,
        "layers.3.ffns.2.widen.weight": 1,
        "layers.3.ffns.2.norm.bias": 1,
        "layers.3.up.bias": 1,
        "layers.3.out.bias": 1,
        "layers.3.key.bias": 1,
    }


def test_one_ffn_is_the_first() -> None:
    assert list(body_state({f"{LAYER}output.dense.bias": torch.zeros(1)})) == [
        "layers.3.ffns.0.narrow.bias"
    ]
