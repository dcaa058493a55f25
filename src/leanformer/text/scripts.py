"""Scripts that are written without spaces between words, as ranges of their characters."""

Range = tuple[int, int]
"""The first and the last code point."""

UNSPACED: tuple[Range, ...] = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # marks and numbers among Chinese characters
    (0x3040, 0x30FF),  # kana
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),  # Chinese characters
    (0x4E00, 0x9FFF),
    (0xAA60, 0xAA7F),  # Burmese
    (0xF900, 0xFAFF),  # Chinese characters
    (0xFF66, 0xFF9F),  # kana of half width
    (0x20000, 0x3FFFF),  # Chinese characters
)
HANGUL: Range = (0xAC00, 0xD7AF)
"""Korean: its spaces separate phrases, whose words are found by their syllables."""


def is_unspaced(character: str) -> bool:
    """Whether a character is of a script without spaces between words."""
    code = ord(character)
    return code >= UNSPACED[0][0] and any(low <= code <= high for low, high in UNSPACED)


def characters_of(*ranges: Range) -> str:
    """The inside of a class of a regular expression, "a-zA-Z", that has these characters."""
    return "".join(f"{chr(low)}-{chr(high)}" for low, high in ranges)
