import re
import threading

from leanformer.serve.metrics import FAMILIES, Metrics

LINE = re.compile(r'^(\w+)\{((?:\w+="(?:[^"\\\n]|\\.)*",?)*)\} (\S+)$')


def parsed(text):
    """Series by name and labels, read by the rules of Prometheus' text form."""
    series, typed = {}, {}
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("#"):
            _, what, name, rest = line.split(" ", 3)
            if what == "TYPE":
                assert name not in typed
                typed[name] = rest
            continue
        name, labels, value = LINE.match(line).groups()
        key = (name, tuple(sorted(re.findall(r'(\w+)="((?:[^"\\\n]|\\.)*)"', labels))))
        assert key not in series
        series[key] = float(value)
    return series, typed


def test_counters_add_by_label():
    metrics = Metrics("7")
    for status in ("200", "200", "429"):
        metrics.count("leanformer_requests_total", route="/predict", status=status)
    series, typed = parsed(metrics.text())
    labels = (("route", "/predict"), ("status", "200"), ("worker", "7"))
    assert series["leanformer_requests_total", labels] == 2
    assert typed == {"leanformer_requests_total": "counter"}


def test_buckets_are_cumulative_and_bounds_belong_to_them():
    metrics = Metrics("7")
    values = [1, 1, 2, 3, 4, 1000]
    for value in values:
        metrics.observe("leanformer_batch_texts", value)
    series, typed = parsed(metrics.text())
    assert typed == {"leanformer_batch_texts": "histogram"}
    for bound in FAMILIES["leanformer_batch_texts"].bounds:
        key = (("le", str(int(bound))), ("worker", "7"))
        expected = sum(value <= bound for value in values)
        assert series["leanformer_batch_texts_bucket", key] == expected
    own = (("worker", "7"),)
    assert series["leanformer_batch_texts_bucket", (("le", "+Inf"), *own)] == len(values)
    assert series["leanformer_batch_texts_count", own] == len(values)
    assert series["leanformer_batch_texts_sum", own] == sum(values)


def test_gauges_are_read_when_asked_and_labels_are_escaped():
    metrics, values = Metrics('a"b\\c\nd'), [1.5, 2]
    metrics.gauge("leanformer_queue_texts", "Texts.", lambda: values.pop(0))
    series, _ = parsed(metrics.text())
    assert list(series.values()) == [1.5]
    assert next(iter(series))[1] == (("worker", 'a\\"b\\\\c\\nd'),)
    assert list(parsed(metrics.text())[0].values()) == [2]


def test_threads_lose_no_count():
    metrics = Metrics("7")

    def work():
        for _ in range(500):
            metrics.count("leanformer_texts_total")
            metrics.observe("leanformer_batch_texts", 2)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    series, _ = parsed(metrics.text())
    assert series["leanformer_texts_total", (("worker", "7"),)] == 4000
    assert series["leanformer_batch_texts_count", (("worker", "7"),)] == 4000
