"""The main job where a student fails by rounding: it is trained on while it rounds."""

import sys
from pathlib import Path

import numpy as np
import pytest
from search.whole import Search, absent, one_student, write_data, write_teacher

import leanformer
from leanformer.runtime.serving.opening import open_system
from leanformer.search import Request, compress

pytest.importorskip("openvino", reason="students are judged as OpenVINO graphs")
pytest.importorskip("nncf", reason="the int8 step calibrates with NNCF")

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("short")]
_MODULE = sys.modules["leanformer.search.compress"]  # the package has a function of this name


def test_the_form_that_was_trained_to_round_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_data(tmp_path / "data", "regression")
    teacher = write_teacher(tmp_path / "teacher", source)
    request = Request(
        model=str(teacher), data=source, keep=0.5, student_epochs=2.0, augment=0, threads=1
    )
    done = Search(request, tmp_path / "lean")
    one_student(monkeypatch)
    monkeypatch.setattr(_MODULE, "fails_by_rounding", lambda *_: True)
    monkeypatch.setattr("leanformer.search.finish.DEFAULT", ())
    monkeypatch.setattr("leanformer.runtime.openvino.export.export_openvino", absent)
    compress(request, done.out)
    steps = [step["step"] for step in done.events("step")]
    assert steps == [
        "cut-vocabulary", "shrink", "distill", "int8", "quantize-aware", "distill", "int8",
    ]  # fmt: skip
    (name,) = [one for one in done.devs if one.startswith("L")]  # n-grams take part too
    folders = [done.out / "work" / one for one in (name, f"{name}-rounded")]
    forms = [next(folder.glob("*-int8")) / "model" for folder in folders]
    test = done.dataset.test
    plain, rounded = (
        np.array(open_system(form, "openvino", "int8", 1).answer(test.texts, test.pairs))
        for form in forms
    )
    assert np.abs(plain - rounded).max() > 1e-4
    served = leanformer.load(done.out / "model", threads=1).predict(test.texts, test.pairs)
    np.testing.assert_allclose(served, rounded.ravel(), atol=1e-5)
