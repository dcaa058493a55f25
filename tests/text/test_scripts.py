import re

import pytest

from leanformer.text.scripts import HANGUL, UNSPACED, characters_of, is_unspaced


@pytest.mark.parametrize("character", "京タตມក人々𠮷ｱ〇")
def test_characters_of_scripts_without_spaces(character: str) -> None:
    assert is_unspaced(character)
    assert re.fullmatch(f"[{characters_of(*UNSPACED)}]", character)


@pytest.mark.parametrize("character", "aé한я हا1")
def test_characters_of_scripts_with_spaces(character: str) -> None:
    assert not is_unspaced(character)
    assert not re.fullmatch(f"[{characters_of(*UNSPACED)}]", character)


def test_korean_is_a_range_of_its_own() -> None:
    assert re.fullmatch(f"[{characters_of(HANGUL)}]+", "한국어")


def test_ranges_are_in_order_and_apart() -> None:
    ends = [code for pair in UNSPACED for code in pair]
    assert ends == sorted(set(ends))
