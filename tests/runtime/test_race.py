import numpy as np
import pytest
from runtime_samples import plain_folder

from leanformer.core.machine.child import PassingFault
from leanformer.runtime import race as module
from leanformer.runtime.manifest import read_manifest, write_manifest
from leanformer.runtime.onnx.export import export_onnx
from leanformer.runtime.race import Row, decide, race
from leanformer.runtime.serving.predictor import Predictor
from leanformer.runtime.serving.smoke import Smoke


def row(backend, throughput, agreement=1.0, reason="", latency=None):
    return Row(
        backend=backend, precision="fp32", throughput=throughput, agreement=agreement,
        reason=reason, latency=latency,
    )  # fmt: skip


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


def test_latency_decides_where_it_is_asked_for():
    rows = [row("openvino", 400.0, latency=0.02), row("onnxruntime", 100.0, latency=0.01)]
    assert [r.chosen for r in decide(rows, 0.9)] == [True, False]
    slow, quick = decide(rows, 0.9, by="latency")
    assert quick.chosen
    assert quick.reason == "the one with the lowest latency that answers like PyTorch"
    assert slow.reason == "2.00 times slower than the chosen one"


def test_the_form_that_was_chosen_wins_if_it_answers_alike():
    rows = [row("openvino", 100.0), row("onnxruntime", 400.0)]
    own, faster = decide(rows, 0.9, kept=("openvino", "fp32"))
    assert own.chosen
    assert own.reason == "the form that was measured and chosen; it answers like PyTorch"
    assert (faster.chosen, faster.reason) == (False, "4.00 times faster than the chosen one")
    wrong = [row("openvino", 100.0, agreement=0.5), row("onnxruntime", 400.0)]
    assert [r.chosen for r in decide(wrong, 0.9, kept=("openvino", "fp32"))] == [False, True]


def test_a_crashing_backend_is_skipped_and_the_winner_is_written_down(tmp_path, texts):
    plain_folder(tmp_path / "x")
    rows = race(tmp_path / "x", texts, candidates=[("openvino", "int8")], rounds=1, threads=1)
    assert "holds no openvino int8 model" in rows[0].reason
    assert rows[1].chosen
    assert rows[1].throughput_one_thread > 0
    manifest = read_manifest(tmp_path / "x")
    assert (manifest.backend, manifest.precision) == ("pytorch", "fp32")
    assert manifest.race[0]["reason"] == rows[0].reason


def test_graphs_that_look_at_their_batch_race_where_that_is_asked(tmp_path, texts, monkeypatch):
    model, _ = plain_folder(tmp_path)
    export_onnx(model, "classification", tmp_path / "onnx", precision="int8")
    write_manifest(tmp_path, read_manifest(tmp_path))
    dynamic = [("onnxruntime", "int8")]
    rows = race(tmp_path, texts, candidates=dynamic, rounds=1, threads=1)
    assert rows[0].batch_dependent
    assert rows[0].throughput is None
    assert "its answers change with the other texts of a batch" in rows[0].reason
    assert not read_manifest(tmp_path).batch_dependent
    monkeypatch.setattr(module, "_timed", faster_where(*dynamic))
    rows = race(tmp_path, texts, candidates=dynamic, rounds=1, threads=1, batch_dependent=True)
    assert rows[0].chosen
    assert read_manifest(tmp_path).batch_dependent


def faster_where(*fast):
    def timed(runners, *_):
        return {one: 2.0 if one in fast else 1.0 for one in runners}, dict.fromkeys(runners, 1.0)

    return timed


def test_a_backend_that_changes_with_its_batch_is_left_out(tmp_path, texts, monkeypatch):
    plain_folder(tmp_path)
    monkeypatch.setattr(module, "smoke_test", lambda *_: Smoke("", 0.3))
    rows = race(tmp_path, texts, candidates=[("pytorch", "bf16")], rounds=1, threads=1)
    assert "change with the other texts of a batch, by 30.0%" in rows[0].reason
    assert rows[1].chosen


def test_answers_that_are_not_numbers_do_not_win(tmp_path, texts, monkeypatch):
    plain_folder(tmp_path)
    monkeypatch.setattr(module, "smoke_test", lambda *_: Smoke("", 0.0))
    monkeypatch.setattr(module, "_timed", faster_where(("pytorch", "bf16")))
    answer = Predictor.answer

    def not_numbers(self, *args, **settings):
        rows = answer(self, *args, **settings)
        return [row * np.nan for row in rows] if self.manifest.precision == "bf16" else rows

    monkeypatch.setattr(Predictor, "answer", not_numbers)
    rows = race(tmp_path, texts, candidates=[("pytorch", "bf16")], rounds=1, threads=1)
    assert "answers too differently from PyTorch (0.000)" in rows[0].reason
    assert rows[1].chosen


def test_a_model_that_answers_nan_everywhere_has_no_winner():
    with pytest.raises(ValueError, match="race: PyTorch fp32 itself answers these texts with numb"):
        decide([row("pytorch", 100.0, agreement=0.0)], least_agreement=0.9)


def test_a_fault_that_passes_is_no_reason(tmp_path, texts, monkeypatch):
    def none(*_):
        raise PassingFault("no memory")

    plain_folder(tmp_path)
    before = read_manifest(tmp_path)
    monkeypatch.setattr(module, "smoke_test", none)
    with pytest.raises(PassingFault):
        race(tmp_path, texts, candidates=[("pytorch", "bf16")], rounds=1, threads=1)
    assert read_manifest(tmp_path) == before


def test_a_race_needs_texts(tmp_path):
    with pytest.raises(ValueError, match="texts: the race needs some"):
        race(tmp_path, [])
