import sys

import pytest

from leanformer.runtime.smoke import reason_of, run_once, smoke_test


def test_a_backend_that_answers_has_no_reason_against_it(classifier):
    assert smoke_test(classifier, "pytorch", "fp32") == ""


def test_a_backend_that_fails_says_why(classifier):
    assert "holds no openvino int8 model" in smoke_test(classifier, "openvino", "int8")


def test_a_hang_is_ended(classifier):
    assert smoke_test(classifier, "pytorch", "fp32", seconds=0.01) == "did not answer within 0.01 s"


@pytest.mark.parametrize(
    ("code", "words", "reason"),
    [
        (0, "noise", ""),
        (-8, "", "crashed with SIGFPE"),
        (-11, "", "crashed with SIGSEGV"),
        (1, "Traceback\n\nImportError: no such thing\n", "ImportError: no such thing"),
        (3, "", "ended with exit code 3"),
    ],
)
def test_reasons(code, words, reason):
    assert reason_of(code, words) == reason


def test_numbers_that_are_not_finite_fail(classifier, monkeypatch):
    import leanformer.runtime.session as session

    feed = session.feed
    monkeypatch.setattr(session, "feed", lambda *args: feed(*args) * float("nan"))
    with pytest.raises(ValueError, match="with numbers not finite"):
        run_once(classifier, "pytorch", "fp32")
    assert sys.modules["leanformer.runtime.session"] is session
