"""Words and spans: served by the tokens that are trained and judged."""

import numpy as np
import pytest
from runtime_samples import plain_folder

from leanformer.data import Examples, encode_examples
from leanformer.models.families import FAMILIES
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.runtime.manifest import Manifest, write_manifest
from leanformer.runtime.serving.predictor import load
from leanformer.text import entities, split_words, word_tags
from leanformer.train.evaluate import outputs


@pytest.mark.parametrize("family", FAMILIES)
def test_words_take_the_label_of_their_first_token(family, tmp_path):
    """The words that are trained and judged are read by the same tokens as those that are served."""
    model, tokenizer = tiny_model(family, head="tokens", num_labels=3)
    save_model(model, tokenizer, tmp_path / "x")
    names = ("O", "B-DISH", "I-DISH")
    write_manifest(tmp_path / "x", Manifest(kind="tokens", labels=names, max_length=32))
    tagger = load(tmp_path / "x", threads=1)
    sentences = [["the", "film", "was", "slow"], ["jump"], ["xylophone,", "\u200b", "rice"]]
    texts = [" ".join(words) for words in sentences]
    encoded = encode_examples(
        Examples(texts=texts, words=sentences, labels=[[0] * len(s) for s in sentences]),
        tokenizer, "tokens", 32,
    )  # fmt: skip
    judged = outputs(model, encoded, "tokens", "fp32")
    expected = [
        word_tags(row, words.firsts, names)
        for row, words in zip(judged, encoded.words, strict=True)
    ]
    assert tagger.label_words(sentences) == expected
    assert tagger.label_words(iter(sentences)) == expected
    rows = tagger.answer(texts[:2])
    for ours, row, words in zip(rows, judged, encoded.words, strict=False):
        np.testing.assert_allclose(ours, row[list(words.firsts)], atol=1e-5)


@pytest.mark.parametrize(
    ("sentences", "message"),
    [
        (["the film"], r"sentences\[0\]: got a string; give its words as a list"),
        ([3], r"sentences\[0\]: int is not a list of texts"),
        ([["the", ""]], r"sentences\[0\]\[1\] is empty"),
        ([["the"], ["a", 3]], r"sentences\[1\]\[1\] is 3 \(int\)"),
    ],
)
def test_sentences_that_are_not_words_are_refused(sentences, message, tmp_path):
    plain_folder(tmp_path, "tokens", ("O", "B-DISH", "I-DISH"))
    with pytest.raises(ValueError, match=message):
        load(tmp_path, threads=1).label_words(sentences)


def test_a_text_without_words_has_no_spans(tmp_path):
    plain_folder(tmp_path, "tokens", ("O", "B-DISH", "I-DISH"))
    tagger = load(tmp_path, threads=1)
    assert tagger.predict(["\u200b", "\u2060"]) == [[], []]
    assert tagger.label_words([[]]) == [[]]


@pytest.mark.parametrize("labels", [("B-DISH", "I-DISH", "B-PER"), ("S-DISH", "B-x-y", "E-x-y")])
def test_spans_are_pieces_of_their_text_and_those_of_the_words(labels, tmp_path):
    plain_folder(tmp_path / "x", "tokens", labels)
    tagger = load(tmp_path / "x", threads=1)
    text = "the film was slow, jump 我爱 caf\u0065\u0301"
    found = tagger.predict([text])[0]
    assert found
    for span in found:
        assert span.text == text[span.start : span.end]
        assert span.label in ("DISH", "PER", "x-y")
        assert 1 / 3 <= span.score <= 1
    words = [text[start:end] for start, end in split_words(text)]
    tags = tagger.label_words([words])[0]
    ends = [(words[first], words[last - 1]) for first, last, _ in entities(tags)]
    for span, (first, last) in zip(found, ends, strict=True):
        assert span.text.startswith(first)
        assert span.text.endswith(last)
    assert [span.label for span in found] == [kind for _, _, kind in entities(tags)]
