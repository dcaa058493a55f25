import pytest
from runtime_samples import plain_folder

from leanformer.runtime.manifest import read_manifest
from leanformer.runtime.race import Row, decide, race


def row(backend, throughput, agreement=1.0, reason=""):
    return Row(
        backend=backend, precision="fp32", throughput=throughput, agreement=agreement, reason=reason
    )


def test_the_fastest_that_answers_alike_wins_and_each_has_a_reason():
    rows = decide(
        [
            row("openvino", 900.0, agreement=0.5),
            row("onnxruntime", 400.0),
            row("pytorch", 100.0),
            row("openvino", None, agreement=None, reason="crashed with SIGFPE"),
        ],
        least_agreement=0.9,
    )
    assert [r.chosen for r in rows] == [False, True, False, False]
    assert "too differently" in rows[0].reason
    assert rows[2].reason == "4.00 times slower than the chosen one"
    assert rows[3].reason == "crashed with SIGFPE"


def test_a_crashing_backend_is_skipped_and_the_winner_is_written_down(tmp_path, texts):
    plain_folder(tmp_path / "x")
    rows = race(tmp_path / "x", texts, candidates=[("openvino", "int8")], rounds=1, threads=1)
    assert "holds no openvino int8 model" in rows[0].reason
    assert rows[1].chosen
    manifest = read_manifest(tmp_path / "x")
    assert (manifest.backend, manifest.precision) == ("pytorch", "fp32")
    assert manifest.race[0]["reason"] == rows[0].reason


def test_a_race_needs_texts(tmp_path):
    with pytest.raises(ValueError, match="texts: the race needs some"):
        race(tmp_path, [])
