"""Drift: an exact test against scipy's, and what a user is told."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runtime.systems.cascades import TEXTS, cascade, halfway, ngrams, transformer
from scipy.stats import fisher_exact

from leanformer.measure.gates.drift import Drift, chance_of, measure_drift


@given(st.data())
def test_the_chance_is_fishers(data: st.DataObject) -> None:
    texts, dev = (data.draw(st.integers(1, 300)) for _ in range(2))
    deferred, on_dev = data.draw(st.integers(0, texts)), data.draw(st.integers(0, dev))
    table = [[deferred, on_dev], [texts - deferred, dev - on_dev]]
    assert chance_of(deferred, texts, on_dev, dev) == pytest.approx(
        fisher_exact(table).pvalue, rel=1e-6, abs=1e-12
    )


def test_texts_like_dev_are_rarely_called_drifted() -> None:
    """The threshold is dev's own quantile, and new texts have scores like dev's."""
    rng, called = np.random.default_rng(0), 0
    for _ in range(400):
        dev, new = rng.random(500), rng.random(300)
        threshold = np.sort(dev)[35]
        called += chance_of(int((new < threshold).sum()), 300, 35, 500) < 0.01
    assert called / 400 <= 0.02


def drift(deferred: int, chance: float = 1e-5) -> Drift:
    return Drift(
        deferred=deferred, texts=2000, dev_deferred=70, dev_texts=1000, chance=chance,
        throughput=0.6,
    )  # fmt: skip


def test_the_warning_names_rates_samples_and_what_follows() -> None:
    said = drift(360).warning
    assert said.startswith(
        "18.0% of these 2,000 texts are passed on to the second system, and 7.0%"
    )
    assert "of the 1,000 dev texts were" in said
    assert "(99% confidence)" in said
    assert "about 0.60 times the throughput" in said
    assert "Judge the cascade on labeled texts like these" in said
    assert drift(150, chance=0.4).warning == ""


def test_a_cascade_is_compared_with_what_its_dev_said(tmp_path: Path) -> None:
    first, second = ngrams(tmp_path / "a"), transformer(tmp_path / "b")
    like = measure_drift(
        cascade(tmp_path / "like", first, second, halfway(first), deferred=200, texts=400),
        TEXTS,
        threads=1,
    )
    assert (like.deferred, like.texts, like.dev_deferred, like.dev_texts) == (20, 40, 200, 400)
    assert not like.drifted
    assert like.throughput == 1
    made = cascade(tmp_path / "c", first, second, halfway(first), deferred=8, texts=400)
    more = measure_drift(made, TEXTS, threads=1)
    assert more.drifted
    assert more.chance == chance_of(20, 40, 8, 400)
    assert 0 < more.throughput < 1
    with pytest.raises(ValueError, match="a: ngrams passes no texts on; only a cascade does"):
        measure_drift(first, TEXTS)
    with pytest.raises(ValueError, match="texts: a rate is of the caller's texts"):
        measure_drift(made, [])


def test_pairs_are_compared_too(tmp_path: Path) -> None:
    first, second = ngrams(tmp_path / "a", pairs=True), transformer(tmp_path / "b", pairs=True)
    made = cascade(tmp_path / "c", first, second, 0.3)
    found = measure_drift(made, TEXTS, TEXTS[::-1], threads=1)
    assert 0 < found.deferred < 40
