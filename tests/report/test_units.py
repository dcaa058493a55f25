import pytest

from leanformer.report.units import (
    ABSENT,
    amount,
    at_least,
    column,
    duration,
    percent,
    score,
    share,
    significant,
    times,
)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (7_712_345, "bytes", "7.71 MB"), (90.9e6, "bytes", "90.9 MB"), (512, "bytes", "512 bytes"),
        (0.00192, "s", "1.92 ms"), (12.0, "s", "12 s"), (0.00192, "s/text", "1.92 ms/text"), (3.2e-5, "s", "32 µs"),
        (22_713_216, "parameters", "22.7 M parameters"), (30522, "tokens", "30,522 tokens"),
        (0.9125, "fraction", "91.25 %"), (2.6, "x", "2.6×"), (18, "nodes", "18 nodes"), (0.0131, "", "0.0131"),
        (1e-6, "", "1.0e-06"), (None, "s", ABSENT), (True, "", "True"), ("bf16", "", "bf16"), (0, "nodes", "0 nodes"),
    ],
)  # fmt: skip
def test_amount(value, unit, text):
    assert amount(value, unit) == text


def test_a_column_keeps_its_decimals():
    assert column([0.68, 8.1, None, 1234.0]) == ["0.68", "8.10", ABSENT, "1,234.00"]
    assert column([None, None]) == [ABSENT, ABSENT]
    assert column([236.0, 7900.4]) == ["236", "7,900"]


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(0.94, "0.94×"), (1.84, "1.84×"), (2.6, "2.6×"), (14.149, "14.1×"), (120.4, "120×")],
)
def test_times(ratio, text):
    assert times(ratio) == text


def test_percent_share_score_and_significant():
    assert percent(0.9925) == "99.2 %"
    assert at_least(0.98999) == "98.99 %"
    assert (share(0.99), share(0.995)) == ("99 %", "99.5 %")
    assert (score(0.9031, "accuracy"), score(0.8741, "spearman"), score(1.3, "loss")) == (
        "90.3 %",
        "0.874",
        "1.300",
    )
    assert (significant(0), significant(float("nan")), significant(1757.2)) == (
        "0",
        ABSENT,
        "1,757",
    )


def test_the_probability_of_a_token_is_told_as_perplexity() -> None:
    assert score(0.05, "token_probability") == "perplexity 20.0"
    assert score(0.00125, "token_probability") == "perplexity 800"
    assert score(0.0, "token_probability") == "0.0 %"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.25, "0.25 s"),
        (5.04, "5.0 s"),
        (59.0, "59 s"),
        (60, "1.0 min"),
        (1330, "22 min"),
        (10_300, "2.9 h"),
        (90_000, "25 h"),
        (200_000, "2.3 days"),
        (0, "0 s"),
    ],
)
def test_spans_of_time(seconds, text):
    assert duration(seconds) == text
