import pytest
import torch

from leanformer.attention import Linear, Synthesizer
from leanformer.attention.bench.peak import peak_bytes
from leanformer.attention.bench.workload import Workload


def test_a_call_that_writes_its_scores_down_has_a_higher_peak() -> None:
    """The Synthesizer writes 256 of 2,048 rows of scores down at a time, 16 MiB in 8 heads."""
    work = Workload(length=2048)
    scores = peak_bytes(Synthesizer(), work)
    assert scores > 16 * 2**20
    assert peak_bytes(Linear(), work) < scores


@pytest.mark.thorough
def test_padded_texts_bring_their_mask() -> None:
    """Of a causal call it has 4,096 x 4,096 bytes, 16 MiB, beside 8 MiB of outputs; without
    padding causality needs no mask."""
    mask, outputs = 4096**2, 8 * 4096 * 64 * 4
    padded = peak_bytes(None, Workload(length=4096, padded=0.25, causal=True))
    assert padded > mask + outputs // 2
    assert peak_bytes(None, Workload(length=4096, causal=True)) < padded - mask // 2


def test_a_process_that_fails_says_why() -> None:
    with pytest.raises(ValueError, match="peak memory at -3 tokens could not be measured"):
        peak_bytes(None, Workload(length=-3))


def test_a_device_that_does_not_count_bytes_has_no_peak() -> None:
    assert peak_bytes(None, Workload(length=8, device="mps")) is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_peaks_are_counted_on_a_gpu() -> None:
    work = Workload(length=1024, device="cuda")
    scores, linear = peak_bytes(Synthesizer(), work), peak_bytes(Linear(), work)
    assert scores is not None
    assert linear is not None
    assert 0 < linear < scores
