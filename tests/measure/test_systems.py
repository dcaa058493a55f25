import time
from functools import partial

import pytest
from runtime_samples import LABELS, TEXTS

from leanformer.measure.systems import LATENCIES, LOADS, measure_systems
from leanformer.models.tiny import tiny_model
from leanformer.models.tiny_tokenizers import tiny_tokenizer
from leanformer.runtime.batching import batches_in_order
from leanformer.runtime.manifest import Manifest
from leanformer.runtime.systems.transformer import Transformer
from leanformer.runtime.torch_backend import TorchSession
from leanformer.text import reader_of

READER = reader_of(tiny_tokenizer("bert"), 48)


def length(text):
    return len(READER(text).ids)


def system(layers, opened=None):
    """A model of so many layers; `opened` notes with how many threads, and in whose order."""
    model, _ = tiny_model("bert", num_hidden_layers=layers)
    manifest = Manifest(kind="classification", labels=LABELS, max_length=48)

    def open_it(threads, rows):
        if opened is not None:
            opened.append((threads, rows))
        session = TorchSession(model, "classification", threads=threads)
        plan = None if rows is None else partial(batches_in_order, rows=rows)
        return Transformer(session, READER, manifest, plan=plan)

    return open_it


class Rival:
    """No transformer, and it has no batches."""

    def answer(self, texts, pairs=None):
        return [len(text) for text in texts]


@pytest.fixture(scope="module")
def measured():
    systems = {"deep": system(3), "flat": system(1), "rival": lambda threads, rows: Rival()}
    return measure_systems(systems, length, TEXTS * 6, rounds=2, threads=1)


def test_every_system_has_every_quantity_with_its_spread(measured):
    assert set(measured.quantities) == {"deep", "flat", "rival"}
    for quantities in measured.quantities.values():
        assert set(quantities) == {*LOADS, *LATENCIES, "cpu_time"} - {"latency_each"}
        for name, quantity in quantities.items():
            if name not in ("latency_mean", "latency_worst"):
                assert 0 <= quantity.low <= quantity.value <= quantity.high
    assert measured.quantities["flat"]["throughput"].unit == "texts/s"
    assert measured.quantities["flat"]["latency_32_one_thread"].unit == "s"


def test_both_ran_in_the_same_rounds_so_ratios_can_be_taken(measured):
    assert measured.speedup("deep", "deep").value == 1
    assert measured.speedup("deep", "flat").value > 0
    assert measured.speedup("deep", "rival", "throughput_one_thread").value > 1
    assert measured.speedup_over_users("deep", "flat").unit == "x"


def test_each_is_opened_once_for_each_number_of_threads_and_order():
    opened = []
    measure_systems({"one": system(1, opened)}, length, TEXTS, rounds=1, threads=2)
    assert sorted(opened, key=repr) == [(1, None), (2, 16), (2, None)]


def test_latencies_of_real_texts_are_a_mixture_where_some_texts_take_longer():
    class Mixed:
        def answer(self, texts, pairs=None):
            if "slow" in texts[0]:
                time.sleep(0.01)

    asked = ["slow"] * 20 + ["fast"] * 80
    found = measure_systems(
        {"a": lambda *_: Mixed()}, length, asked, rounds=2, loads=("latency_each",)
    )
    mean, median, worst = (found.quantities["a"][name].value for name in LATENCIES)
    assert median < mean < worst
    assert worst >= 0.01
    assert len(found.timings["latency_each"]["a"].calls) == 2 * 64


def test_texts_are_read_once_and_whole():
    texts = (text for text in TEXTS)
    found = measure_systems({"a": system(1)}, length, texts, rounds=1, loads=("throughput",))
    assert set(found.quantities["a"]) == {"throughput", "cpu_time"}


def test_refusals():
    with pytest.raises(ValueError, match="loads: speed not among latency_32"):
        measure_systems({"a": system(1)}, length, TEXTS, loads=("speed",))
    with pytest.raises(ValueError, match="texts: a load is made of the caller's texts"):
        measure_systems({"a": system(1)}, length, [])
