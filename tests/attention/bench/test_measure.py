from typing import Any

import pytest
import torch

from leanformer.attention import Linear, Linformer, SlidingWindow
from leanformer.attention.bench.measure import DENSE, PADDED, check, here, measure
from leanformer.attention.bench.workload import Workload
from leanformer.attention.mechanisms.linear import LinearAttention

SMALL = {"num_heads": 2, "head_dim": 8}


def test_mechanisms_and_dense_attention_take_turns() -> None:
    work = Workload(length=64, **SMALL)
    chosen = {"near": SlidingWindow(left=4, right=4), "linear": Linear()}
    found = list(measure(chosen, work, rounds=3, memory=False))
    assert [one.name for one in found] == [DENSE, "near", "linear"]
    assert found[0].ratio.value == 1
    assert found[0].flops is None
    assert all(one.seconds.value > 0 and one.cpu.value > 0 for one in found)
    assert found[1].flops == 2 * chosen["near"].cost(work.heads, 64).flops


def test_mechanisms_that_cannot_be_causal_are_left_out_of_causal_work() -> None:
    work = Workload(length=32, causal=True, **SMALL)
    found = measure({"low": Linformer(rank=4), "linear": Linear()}, work, rounds=1, memory=False)
    assert [one.name for one in found] == [DENSE, "linear"]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("backward", [False, True])
def test_padded_texts_are_timed_with_their_mask(
    causal: bool, backward: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor | None] = []
    efficient = LinearAttention.efficient

    def watched(self: Any, query: Any, key: Any, value: Any, keep: Any, **others: Any) -> Any:
        seen.append(keep)
        return efficient(self, query, key, value, keep, **others)

    monkeypatch.setattr(LinearAttention, "efficient", watched)
    for padded in (0.0, PADDED):
        work = Workload(length=64, padded=padded, causal=causal, backward=backward, **SMALL)
        seen.clear()
        found = list(measure({"linear": Linear()}, work, rounds=1, memory=False))
        assert [one.name for one in found] == [DENSE, "linear"]
        assert len(seen) >= 2  # checked, then timed
        there = [None if keep is None else int(keep.sum()) for keep in seen]
        assert set(there) == ({48} if padded else {None})


def test_the_environment_names_the_threads_that_torch_uses() -> None:
    found = here("cpu")
    assert found["threads"] == torch.get_num_threads()
    assert "gpu" not in found


def test_the_environment_of_a_gpu_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"A GPU at {device}")
    assert here("cuda")["gpu"] == "A GPU at cuda"
    assert here("cuda:1")["gpu"] == "A GPU at cuda:1"


def test_a_mechanism_that_is_not_its_reference_is_not_timed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def wrong(self: object, query: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
        return query

    monkeypatch.setattr(LinearAttention, "efficient", wrong)
    with pytest.raises(ValueError, match=r"linear: its fast form is .* away from its reference"):
        check("linear", Linear(), Workload(length=64, **SMALL))
