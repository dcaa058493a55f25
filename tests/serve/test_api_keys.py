import pytest

from leanformer.serve.api_keys import VARIABLE, check_api_key, read_api_keys
from leanformer.serve.errors import Refused


def test_keys_are_the_lines_of_a_file_and_count_before_the_environment(tmp_path):
    file = tmp_path / "keys"
    file.write_text("old-key\n\n  new-key  \r\n")
    assert read_api_keys(file, {VARIABLE: "other"}) == ("old-key", "new-key")
    assert read_api_keys(None, {VARIABLE: "other"}) == ("other",)
    assert read_api_keys(None, {}) == ()


@pytest.mark.parametrize("written", ["", "\n \n"])
def test_a_file_without_a_key_is_refused(tmp_path, written):
    file = tmp_path / "keys"
    file.write_text(written)
    with pytest.raises(ValueError, match="holds no API key"):
        read_api_keys(file, {})


def test_an_empty_variable_is_refused():
    with pytest.raises(ValueError, match="LEANFORMER_API_KEY holds no API key"):
        read_api_keys(None, {VARIABLE: ""})


def test_a_key_that_no_header_carries_is_refused(tmp_path):
    file = tmp_path / "keys"
    file.write_text("good\nschlüssel\n")
    with pytest.raises(ValueError, match="key 2 has spaces or characters beyond ASCII"):
        read_api_keys(file, {})
    with pytest.raises(OSError, match="missing"):
        read_api_keys(tmp_path / "missing", {})


@pytest.mark.parametrize("header", [b"Bearer b", b"bearer  b ", b"BEARER b"])
def test_a_valid_key_passes(header):
    check_api_key([(b"x", b"y"), (b"authorization", header)], ["a", "b"])
    check_api_key([], [])


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (b"Bearer c", "is not valid"),
        (b"Bearer \xff\xfe", "is not valid"),
        (b"Bearer", "is missing"),
        (b"Basic a", "is missing"),
        (b"a", "is missing"),
    ],
)
def test_another_key_is_refused(header, said):
    with pytest.raises(Refused, match=said) as refused:
        check_api_key([(b"authorization", header)], ["a", "b"])
    assert refused.value.status == 401
    assert refused.value.code == "invalid_api_key"
