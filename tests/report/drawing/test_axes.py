import pytest

from leanformer.report.drawing.axes import quality_axis


@pytest.mark.parametrize(
    ("values", "metric", "tickformat"),
    [
        ([0.5, 0.9], "accuracy", ".0%"),
        ([0.91, 0.92], "accuracy", ".1~%"),
        ([0.5, 0.9], "spearman", ".2f"),
        ([0.001, 0.0012], "token_probability", ".2~g"),  # two decimals would all be 0.00
    ],
)
def test_ticks_suit_the_metric_and_the_range_holds_all_marks(
    values: list[float], metric: str, tickformat: str
) -> None:
    axis = quality_axis(values, metric)
    assert axis["tickformat"] == tickformat
    low, high = axis["range"]
    assert low < min(values)
    assert max(values) < high
    if metric == "token_probability":
        assert high - low < 0.001
    assert quality_axis([], metric) == {}
