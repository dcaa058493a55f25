from hypothesis import given
from hypothesis import strategies as st

from leanformer.core.shown import one_line, shown


@given(st.text(), st.integers(1, 50))
def test_a_message_is_one_line_of_at_most_so_many_characters(text: str, most: int) -> None:
    said = one_line(text, most)
    assert len(said) <= most
    assert len(said.splitlines()) <= 1
    if text == " ".join(text.split()) and len(text) <= most:
        assert said == text


def test_a_value_is_shown_as_python_writes_it_and_shortened() -> None:
    assert shown("a\nb") == r"'a\nb'"
    assert shown(list(range(100))).endswith("…")
    assert shown(10**5000) == "a int too long to show"
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    assert shown(nested) == "a list too long to show"
