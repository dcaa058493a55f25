import pytest

from leanformer.data.splits.names import is_split, split_called


def test_the_likeliest_name_comes_first() -> None:
    found = split_called(
        ["validation_mismatched", "VALIDATION_matched", "Val", "train", "test_matched"], "x"
    )
    assert found == [
        ("train", "train"), ("test", "test_matched"), ("dev", "Val"), ("dev", "VALIDATION_matched"),
    ]  # fmt: skip


def test_eval_is_only_certain_beside_test() -> None:
    assert split_called(["eval", "test"], "x") == [("test", "test"), ("dev", "eval")]
    assert split_called(["eval", "dev"], "x") == [("dev", "dev")]
    with pytest.raises(ValueError, match="x: Eval may be the development or the test split"):
        split_called(["train", "Eval"], "x")


def test_names_of_splits() -> None:
    assert [is_split(name) for name in ("Train", "eval", "validation_matched", "data", "extra")] == [
        True, True, True, False, False,
    ]  # fmt: skip
