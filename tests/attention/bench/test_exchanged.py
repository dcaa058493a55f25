"""What advice cites is what was measured, and each mechanism says the same of itself."""

from pathlib import Path

import pytest

from leanformer.attention import LSH, Nystrom, Performer, Synthesizer
from leanformer.attention.bench.exchanged import DENSE, EXCHANGED, MEANING, cost_of
from leanformer.attention.presets import bigbird, longformer, mechanisms
from leanformer.core.record import read

RECORD = Path(__file__).parents[3] / "docs" / "results" / "attention-quality.jsonl"


def test_the_numbers_are_those_of_the_record() -> None:
    cited = {**EXCHANGED, "dense": DENSE}
    for moment in ("at_once", "tuned"):
        measured = {event["way"]: event[moment] for event in read(RECORD)}
        assert {name: getattr(one, moment) for name, one in cited.items()} == measured


def test_each_mechanism_says_of_itself_what_was_measured() -> None:
    said = {name: one.capabilities.swap for name, one in mechanisms().items()}
    assert {name: said[name] for name in EXCHANGED} == {
        name: one.swap for name, one in EXCHANGED.items()
    }
    assert [name for name, swap in said.items() if swap == "keeps"] == [
        "longformer", "bigbird", "nystrom"
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["linear", "performer", "performer-relu"])
def test_what_replaces_the_softmax_needs_training_though_it_has_no_parameters(name: str) -> None:
    capabilities = mechanisms()[name].capabilities
    assert not capabilities.learned
    assert capabilities.swap == "loses"


def test_other_settings_than_those_that_were_measured_promise_nothing() -> None:
    assert longformer(32).capabilities.swap == "unmeasured"
    assert bigbird(block_size=8).capabilities.swap == "unmeasured"
    assert Nystrom(landmarks=4).capabilities.swap == "unmeasured"
    assert Nystrom(kernel_size=3).capabilities.swap == "unmeasured"
    assert LSH(num_hashes=8).capabilities.swap == "unmeasured"
    assert LSH(seed=3).capabilities.swap == "ruins"
    assert Synthesizer(scores="dense").capabilities.swap == "unmeasured"
    assert Performer(seed=2).capabilities.swap == "loses"


def test_a_cost_is_said_with_its_numbers_where_there_are_any() -> None:
    said = cost_of("linear", "loses")
    assert said.startswith(MEANING["loses"])
    assert (
        "75.3% at once where dense has 86.7%, 83.0% after 160 texts where dense has 87.7%" in said
    )
    assert "windows of 256" in cost_of("longformer", "keeps")
    assert cost_of("routing", "loses") == f"{MEANING['loses']} (how much was not measured)"
    assert cost_of("strided", "unmeasured") == MEANING["unmeasured"]
    assert cost_of("longformer", "unmeasured") == MEANING["unmeasured"]  # with other settings
