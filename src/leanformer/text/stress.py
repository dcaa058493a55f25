"""Texts on which tokenizers differ first: scripts, emoji, accents, spaces, and what looks special.

A fast tokenizer serves only where its ids equal those of the checkpoint's own on all of these. The
corpus is the same on every machine. Single characters are tried elsewhere, all of them
(`leanformer.text.compare`); here they meet.
"""

from collections.abc import Iterable

_SCRIPTS = (
    "The quick brown fox jumps over the lazy dog.",
    "Größe, naïve café, Ångström, fiancée, señor, łódź, İstanbul, ŞIK, ß ẞ",
    "Съешь ещё этих мягких французских булок; ёжик и Ёлка",
    "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία ΣΊΣΥΦΟΣ",
    "السَّلَامُ عَلَيْكُمْ، كيف حالك؟ ١٢٣",
    "שָׁלוֹם עוֹלָם, מה שלומך?",
    "हिन्दी में क्षत्रिय ज्ञान ऋषि १२३",
    "தமிழ் நாடு, తెలుగు, ಕನ್ನಡ, മലയാളം, සිංහල",
    "ภาษาไทยไม่มีช่องว่าง ລາວ ភាសាខ្មែរ မြန်မာ",
    "我喜欢自然语言处理。台灣繁體字，“引号”！",
    "東京タワーはカタカナとｶﾀｶﾅとひらがな。がぱ か゛",
    "한국어 띄어쓰기 \u1112\u1161\u11ab\u1100\u1173\u11af ㅋㅋㅋ",
    "Tiếng Việt có dấu: ộ ệ ữ ẵ",
    "ქართული Հայերեն አማርኛ ᏣᎳᎩ ᚠᚢᚦ 𐍈 𝔘𝔫𝔦 𠀀𪚥",
    "mixed 中文and英文 with русский текст и عربي together",
)
_EMOJI = (
    "\U0001f600\U0001f602 great!!! \U0001f44d\U0001f3fd",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 family",
    "\u2764\ufe0f \u2764 \u263a\ufe0e flags \U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7 1\ufe0f\u20e3",
    "\U0001f3f3\ufe0f\u200d\U0001f308 \U0001f9d1\u200d\U0001f4bb x\U0001f525y",
)
_ACCENTS = (
    "e\u0301 \u00e9 E\u0301 a\u0300\u0323 \u1ea1\u0300 o\u0308\u0304",
    "Z\u0351\u036b\u0343\u0332a\u0354\u031al\u034e\u0330go\u031b\u0323\u0309",
    "\u0301leading and trailing\u0301 \u0301\u0301\u0301",
    "\ufb01 \ufb02 \u00bd \u2167 \u2122 \u33a5 \uff21\uff22\uff43 \u1e9b\u0323 \u017f \u212b",
)
_PUNCTUATION = (
    "!!!???...,,,;;;:::---___***###@@@&&&%%%$$$",
    "don't can't it's 'quoted' \"double\" \u2018curly\u2019 \u201cso\u201d `tick` \u00abso\u00bb",
    "a-b a--b a\u2013b a\u2014b a\u2011b a_b a/b a\\b a|b a~b a^b a+b a=b <b> {b} [b] (b)",
    "mail@example.com https://example.com/a?b=c&d=%20#e @user #tag $5.00 \u20ac9,99 \u00a37",
    "\u2026 \u00b7 \u2022 \u00a7 \u00b6 \u2020 \u2192 \u221e \u2260 \u00b1 \u00d7 \u00b0 \u00b5",
)
_DIGITS = (
    "0 1 12 123 1234 12345 1234567890 3.14159 1,000,000 1e-5 0x1F 2024-01-31 12:30 50% v1.2.3",
    "\u0661\u0662\u0663 \u0967\u0968 \uff11\uff12 \u00b2\u00b3\u00b9 \u2460 \u2163 1st 2nd 3\u00ba",
    "9" * 120,
)
_SPECIAL: tuple[str, ...] = (
    "[CLS]",
    "[SEP]",
    "[PAD]",
    "[UNK]",
    "[MASK]",
    "<s>",
    "</s>",
    "<pad>",
    "<unk>",
)
_SPECIAL += ("<mask>", "<|endoftext|>", "<bos>", "<eos>", "[unused1]", "##ing", "\u2581the")
_WORDS = (
    "a" * 99,
    "a" * 100,
    "a" * 101,
    "un" * 400,
    "Donaudampfschifffahrtsgesellschaftskapitän" * 5,
    "é" * 101,
    "中" * 300,
    "aA" * 60 + "!" + "bB" * 60,
    "supercalifragilisticexpialidocious antidisestablishmentarianism",
    "camelCaseWord snake_case_word SCREAMING_CASE kebab-case-word",
)
_NOTHING = ("", " ", "   ", "\t\n", "\u200b", "\u00ad", "\u0301", "\x00", "\ufffd", "\u200d")
_SPACES = (
    *"\x00\x01\t\n\x0b\x0c\r\x1b\x1c \x7f\x85\xa0\xad\u1680\u180e\u2000\u2003\u2009\u200a\u200b",
    *"\u200c\u200d\u200e\u200f\u2028\u2029\u202a\u202e\u202f\u205f\u2060\u2061\u3000\ufeff\ufff9\ufffd",
)


def stress_texts(added: Iterable[str] = ()) -> list[str]:
    """The corpus: some three hundred texts.

    Args:
        added: Tokens that the tokenizer treats as a whole, which are put into texts as well.
    """
    lists = (_SCRIPTS, _EMOJI, _ACCENTS, _PUNCTUATION, _DIGITS, _WORDS, _NOTHING)
    texts = [text for texts in lists for text in texts]
    texts += [text.upper() for text in _SCRIPTS] + [text.lower() for text in _SCRIPTS]
    texts += [f" {text}  {text}\n" for text in (*_SCRIPTS, *_EMOJI)]
    texts += [" ".join(_SCRIPTS), "".join(_EMOJI), " ".join(_SCRIPTS + _ACCENTS + _DIGITS) * 3]
    texts += [form for one in _SPACES for form in (one * 2, f"a{one}{one}b", f"{one}A 1{one}")]
    for token in dict.fromkeys((*_SPECIAL, *added)):
        texts += [token, f"a {token} b", f"a{token}b", f"{token}{token}", token.lower()]
        texts.append(f" {token}.")
    return texts
