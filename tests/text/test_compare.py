"""Differences between two tokenizers are found: single characters, and whole texts."""

from leanformer.text.compare import differing_characters, first_difference


class Codes:
    """A token per character, except for those that it drops."""

    def __init__(self, dropped=()):
        self.dropped = set(dropped)

    def ids(self, texts):
        return [[ord(c) for c in text if ord(c) not in self.dropped] for text in texts]


def test_exactly_the_differing_characters_are_found_beside_those_without_a_character():
    same = differing_characters(Codes(), Codes())
    found = differing_characters(Codes(), Codes({0x41, 0x42, 0x43, 0x7F, 0x4E00, 0x1F600}))
    assert set(found) - set(same) >= {(0x41, 0x43), (0x7F, 0x7F), (0x4E00, 0x4E00)}

    def codes(ranges):
        return {code for low, high in ranges for code in range(low, high + 1)}

    assert codes(found) - codes(same) == {0x41, 0x42, 0x43, 0x7F, 0x4E00, 0x1F600}
    assert {0xD800, 0xE000, 0x378, 0x20000, 0x10FFFF} <= codes(same)
    assert not {0x20, 0x61, 0xE9, 0x4E2D, 0x1F602} & codes(same)


def test_tokenizers_that_have_little_in_common_share_nothing():
    assert differing_characters(Codes(), Codes(range(0x3000, 0x20000))) is None


def test_the_first_text_that_differs_is_shown():
    assert first_difference(Codes(), Codes({0x62}), ["a", "ab", "b"]) == "'ab'"
    assert first_difference(Codes(), Codes({0x63}), ["a", "ab", "b"]) == ""
