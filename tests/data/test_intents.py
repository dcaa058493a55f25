"""The bundled intents are what their README promises: varied, unique, and split without leaks.

Near-duplicate: Jaccard(words) >= 0.6 or Jaccard(character 5-grams) >= 0.5, where
Jaccard(A, B) = |A and B| / |A or B|.
"""

import hashlib
import re
from collections import Counter, defaultdict
from importlib.resources import files
from itertools import combinations

import pytest

SPLITS = ("train", "dev", "test")
WORDS_LIMIT = 0.6
GRAMS_LIMIT = 0.5

Row = tuple[str, str]


def read(split: str) -> list[Row]:
    source = files("leanformer") / "data" / "bundled" / "intents" / f"{split}.tsv"
    header, *lines = source.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    assert header == "text\tlabel"
    return [(text, label) for text, label in (line.split("\t") for line in lines)]


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def grams(text: str) -> set[str]:
    text = " ".join(text.lower().split())
    return {text[i : i + 5] for i in range(max(1, len(text) - 4))}


def alike(first: set[str], second: set[str], limit: float) -> bool:
    # |A and B| <= min, |A or B| >= max: most pairs are settled by their sizes alone.
    small, large = sorted((len(first), len(second)))
    if small < limit * large:
        return False
    shared = len(first & second)
    return shared >= limit * (small + large - shared)


def near_duplicates(first: list[str], second: list[str]) -> list[tuple[str, str]]:
    right = [(text, words(text), grams(text)) for text in second]
    return [
        (text, other)
        for text, text_words, text_grams in ((t, words(t), grams(t)) for t in first)
        for other, other_words, other_grams in right
        if alike(text_words, other_words, WORDS_LIMIT)
        or alike(text_grams, other_grams, GRAMS_LIMIT)
    ]


@pytest.fixture(scope="module")
def rows() -> dict[str, list[Row]]:
    return {split: read(split) for split in SPLITS}


def test_texts_are_many_distinct_and_never_empty(rows: dict[str, list[Row]]) -> None:
    counts = Counter(text.casefold() for split in SPLITS for text, _ in rows[split])
    assert len(counts) >= 1600
    assert [text for text, count in counts.items() if count > 1] == []
    assert all(text.strip() == text and text for text in counts)


def test_twenty_intents_each_in_every_split(rows: dict[str, list[Row]]) -> None:
    labels = {split: {label for _, label in rows[split]} for split in SPLITS}
    assert len(labels["train"]) == 20
    assert labels["train"] == labels["dev"] == labels["test"]
    counts = Counter(label for split in SPLITS for _, label in rows[split])
    assert min(counts.values()) >= 60


def test_length_varies(rows: dict[str, list[Row]]) -> None:
    for split in SPLITS:
        lengths = [len(text.split()) for text, _ in rows[split]]
        assert sum(length <= 3 for length in lengths) >= 5
        assert sum(length >= 20 for length in lengths) >= 10


def test_split_follows_the_hash_of_the_text(rows: dict[str, list[Row]]) -> None:
    by_label = defaultdict(list)
    for split in SPLITS:
        for text, label in rows[split]:
            by_label[label].append((hashlib.sha256(text.encode()).hexdigest(), split))
    for label, hashed in by_label.items():
        count = len(hashed)
        test, dev = round(0.25 * count), round(0.15 * count)
        expected = ["test"] * test + ["dev"] * dev + ["train"] * (count - test - dev)
        assert [split for _, split in sorted(hashed)] == expected, label


def test_no_near_duplicate_crosses_splits(rows: dict[str, list[Row]]) -> None:
    for first, second in combinations(SPLITS, 2):
        found = near_duplicates([t for t, _ in rows[first]], [t for t, _ in rows[second]])
        assert found == []


def test_near_duplicates_are_found_by_words_and_by_grams() -> None:
    assert near_duplicates(["cancel my order please"], ["Please cancel my order!"])
    assert near_duplicates(["rescheduling deliveries"], ["reschedulin deliveries"])
    assert not near_duplicates(["where is my parcel"], ["refund my broken lamp"])
