"""Our attention kernels beside the packages that people use, in the same rounds.

    pip install --no-deps --target peers performer-pytorch==1.1.4 reformer-pytorch==1.4.4 \\
        local-attention==1.11.2 einops==0.8.2 axial-positional-embedding==0.3.12 \\
        product-key-memory==0.3.0 hyper-connections==0.4.11 torch-einops-utils==0.2.0
    pip install --no-build-isolation --no-deps --target peers pytorch-fast-transformers==0.4.0
    PYTHONPATH=peers python benchmarks/attention_peers.py run      (on a quiet machine!)
    python benchmarks/attention_peers.py table                  (writes docs/results/attention.md)

One text of 4,096 tokens, 8 heads of 64, float32. `run` appends to `attention-peers.jsonl`; a peer
that is not installed is left out. Layers of transformers are whole ones, with their projections,
beside the same layer converted (`leanformer.attention.convert`). Pairs that should be equal are
checked before they are timed; the others do the same kind of work, by other random numbers or with
other constants. The table also draws on `attention.jsonl`, which `leanformer attention bench`
wrote.
"""

import argparse
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from statistics import median

import torch
from attention_layers import LAYERS, layer_calls
from attention_tables import PEERS, write_table
from torch import Tensor

from leanformer.attention import LSH, Linear, Mechanism, Performer, SlidingWindow
from leanformer.attention.bench.peak import growth
from leanformer.attention.bench.workload import System, Workload, inputs
from leanformer.core.record import Record
from leanformer.measure.environment import environment
from leanformer.measure.interleave import interleave, speedup, spread

WORK = Workload(length=4096)
WINDOW = 256


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["run", "table", "peak"])
    parser.add_argument("--only", nargs="*", default=[*PAIRS, *LAYERS], help="of run: pairs")
    parser.add_argument("--of", nargs=3, help="of peak: the pair, ours or theirs, the passes")
    asked = parser.parse_args()
    warnings.filterwarnings("ignore")
    if asked.what == "table":
        write_table()
        return
    if asked.what == "peak":
        name, who, passes = asked.of
        short, whole = (
            calls_of(name, passes == "both", length, checked=False)[who]
            for length in (512, WORK.length)
        )
        short()  # what the first call loads stays loaded
        print(growth(whole))
        return
    for name in asked.only:
        for backward in (False, True):
            try:
                calls = calls_of(name, backward, WORK.length)
            except ImportError as error:
                print(f"{name}: left out, {error}")
                break
            measure(name, calls, backward)


def calls_of(
    name: str, backward: bool, length: int, *, checked: bool = True
) -> Mapping[str, Callable[[], None]]:
    """Ours and theirs, ready to be timed; those that should be equal have been compared.

    Raises:
        ImportError: The peer is not installed.
        AssertionError: They differ.
    """
    if name in LAYERS:
        return layer_calls(LAYERS[name](length), length, backward, checked=checked)
    mechanism, causal, peer = PAIRS[name]
    work = replace(WORK, causal=causal, backward=backward, length=length)
    ours, rival = mechanism.build(work.heads).eval(), peer(length)
    if checked and name in EQUAL:
        texts = inputs(replace(work, backward=False))
        with torch.no_grad():
            torch.testing.assert_close(ours(*texts), rival(*texts), rtol=1e-3, atol=1e-4)
    return {"ours": work.call(ours), "theirs": work.call(rival)}


def measure(name: str, calls: Mapping[str, Callable[[], None]], backward: bool) -> None:
    """Run both in turn, and append how much faster ours is and what each takes at its peak."""
    timings = interleave(calls, rounds=7, warmup=1)
    rounds = zip(timings["ours"].calls, timings["theirs"].calls, strict=True)
    found = speedup(timings["theirs"], timings["ours"])
    Record(PEERS).write(
        "peer",
        name=name,
        causal=name in PAIRS and PAIRS[name][1],
        backward=backward,
        length=WORK.length,
        seconds=timings["ours"].seconds(),
        speedup=found,
        cpu=spread([theirs.cpu / ours.cpu for ours, theirs in rounds], "x"),
        peak={who: peak_of(name, who, backward) for who in calls},
        threads=torch.get_num_threads(),
        environment=environment(),
    )
    print(f"{name} {'training' if backward else 'inference'}: {found.value:.2f}x")


def peak_of(name: str, who: str, backward: bool) -> int:
    """Bytes at the peak of one call, beyond its inputs, in a fresh process: the median of three.

    What the allocator still holds from before differs from process to process.
    """
    passes = "both" if backward else "forward"
    command = [sys.executable, __file__, "peak", "--of", name, who, passes]
    ended = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(3)]
    return int(median(int(one.stdout.split()[-1]) for one in ended))


def local_attention(causal: bool) -> Callable[[int], System]:
    """lucidrains' window."""

    def make(length: int) -> System:
        from local_attention import LocalAttention

        return LocalAttention(
            WINDOW,
            causal=causal,
            exact_windowsize=True,
            use_rotary_pos_emb=False,
            autopad=True,
            look_forward=0 if causal else 1,
        )

    return make


def performer(length: int) -> System:
    """lucidrains' FAVOR+, not causal: its causal form needs a CUDA kernel."""
    from performer_pytorch import FastAttention

    return FastAttention(dim_heads=64, nb_features=256)


def reformer(causal: bool) -> Callable[[int], System]:
    """lucidrains' LSH attention: queries are the keys, chunks of 64 tokens, one round."""

    def make(length: int) -> System:
        from reformer_pytorch import LSHAttention

        attention = LSHAttention(bucket_size=64, n_hashes=1, causal=causal)

        def system(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            shared, values = (x.flatten(0, 1) for x in (query, value))
            return attention(shared, values)[0].unflatten(0, query.shape[:2])

        return system

    return make


def idiap(causal: bool) -> Callable[[int], System]:
    """idiap's linear attention, whose causal form is a C++ kernel."""

    def make(length: int) -> System:
        from fast_transformers.attention import CausalLinearAttention, LinearAttention
        from fast_transformers.masking import FullMask, LengthMask, TriangularCausalMask

        kind, mask = LinearAttention, FullMask(length)
        if causal:
            kind, mask = CausalLinearAttention, TriangularCausalMask(length)
        attention, lengths = kind(64), LengthMask(torch.tensor([length]))

        def system(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            there = (x.transpose(1, 2) for x in (query, key, value))
            return attention(*there, mask, lengths, lengths).transpose(1, 2)

        return system

    return make


# name -> ours, whether causal, theirs
PAIRS: dict[str, tuple[Mechanism, bool, Callable[[int], System]]] = {
    "window / local-attention": (SlidingWindow(), False, local_attention(False)),
    "causal window / local-attention": (SlidingWindow(), True, local_attention(True)),
    "FAVOR+ / performer-pytorch": (Performer(), False, performer),
    "LSH / reformer-pytorch": (LSH(shared_qk=True), False, reformer(False)),
    "causal LSH / reformer-pytorch": (LSH(shared_qk=True), True, reformer(True)),
    "linear / fast-transformers": (Linear(), False, idiap(False)),
    "causal linear / fast-transformers": (Linear(), True, idiap(True)),
}
EQUAL = [name for name in PAIRS if "window" in name or "linear" in name]


if __name__ == "__main__":
    main()
