import numpy as np
import pytest

from leanformer.distill.ngram_features import design
from leanformer.runtime.hashed_ngrams import kernel
from leanformer.runtime.hashed_ngrams.numbers import table_of
from leanformer.runtime.hashed_ngrams.reading import read_texts

TEXTS = ["the card the card", "where is my card", "my money", "é 我 card"] * 3
PAIRS = ["a card", "where is it", "my card", "money"] * 3


@pytest.mark.parametrize("pairs", [None, PAIRS])
def test_features_are_those_that_are_served(pairs: list[str] | None) -> None:
    read = read_texts(TEXTS, pairs)
    made = design(read)
    rng = np.random.default_rng(0)
    weights = rng.integers(-127, 128, (len(made.buckets), 5)).astype(np.int8)
    numbers = {"buckets": made.buckets, "idf": made.idf, "weights": weights}
    scores = kernel.score(read, table_of(numbers, made.bits))
    served = scores.sums[:, :5] / np.sqrt(scores.norms)[:, None]
    np.testing.assert_allclose(served, made.x @ (weights / made.idf[:, None]), rtol=1e-9)
    if pairs is None:
        assert made.levels is None
    else:
        assert (made.levels.toarray()[:, :17].argmax(1) == scores.levels[:, 0]).all()
        assert (made.levels.toarray()[:, 17:].argmax(1) == scores.levels[:, 1]).all()


def test_rare_words_weigh_more_than_common_and_than_characters() -> None:
    texts = [f"all{'':<3}the same word{number}" for number in range(20)]
    read = read_texts(texts)
    made = design(read)
    counted = kernel.count(read.part(0, 1))
    place = np.searchsorted(made.buckets, (counted.keys >> np.uint64(64 - made.bits)))
    idf, words = made.idf[place].astype(int), counted.keys & np.uint64(1) == 0
    frequency = np.bincount(made.x.indices, minlength=len(made.buckets))[place]
    for kind in (words, ~words):
        assert idf[kind & (frequency == 1)].min() > idf[kind & (frequency == 20)].max()
    assert idf[words & (frequency == 1)].min() == 1023
    rare, rare_words = idf[~words & (frequency == 1)], idf[words & (frequency == 1)]
    assert rare_words.min() == pytest.approx(2 * rare.max(), abs=2)


def test_of_too_many_buckets_the_commonest_are_kept() -> None:
    read = read_texts(TEXTS)
    whole, made = design(read), design(read, most_rows=10)
    frequency = np.bincount(whole.x.indices, minlength=len(whole.buckets))
    kept = np.isin(whole.buckets, made.buckets)
    assert kept.sum() == 10 == made.x.shape[1]
    assert frequency[kept].min() >= np.sort(frequency)[-10]
    lengths = np.sqrt(made.x.multiply(made.x).sum(1))
    np.testing.assert_allclose(lengths[lengths > 0], 1)
    assert (lengths > 0).any()


def test_no_words_are_refused() -> None:
    with pytest.raises(ValueError, match="there is not a single word in the texts"):
        design(read_texts(["", " "]))
