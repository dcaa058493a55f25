import numpy as np
import pytest
from runtime_samples import LABELS, plain_folder
from transformers import AutoTokenizer

from leanformer.runtime.batching import Padding
from leanformer.runtime.predictor import load, softmax


@pytest.fixture(scope="module")
def predictor(classifier):
    return load(classifier, threads=1)


def test_answers_come_in_the_callers_order_whatever_the_batches(predictor, texts):
    together = predictor.predict(texts)
    predictor.max_tokens = 8
    apart = predictor.predict(texts)
    predictor.max_tokens = 2048
    alone = [predictor.predict([text])[0] for text in texts]
    for a, b, c in zip(together, apart, alone, strict=True):
        assert a.label == b.label == c.label
        assert a.label in LABELS
        assert a.score == pytest.approx(c.score, abs=1e-5)
        assert 1 / 3 <= a.score <= 1


def test_padding_is_reported(predictor, texts):
    predictor.predict(texts)
    lengths = [len(ids) for ids in predictor.tokenizer(texts)["input_ids"]]
    assert predictor.padding.real == sum(lengths)
    assert predictor.padding.padded >= sum(lengths)


def test_no_texts_give_no_answers(predictor):
    assert predictor.predict([]) == []
    assert predictor.padding == Padding(0, 0)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["fine", "  "], r"texts\[1\] is empty"),
        (["fine", 3], r"texts\[1\]: 3 is int, not a text"),
        (["fine", None], r"texts\[1\]: None is NoneType"),
        ("fine", "texts: got one string; give a list"),
    ],
)
def test_what_is_no_text_is_refused_with_its_place(predictor, texts, message):
    with pytest.raises(ValueError, match=message):
        predictor.predict(texts)


def test_long_texts_are_cut_with_a_warning_or_refused(predictor, caplog):
    long = "the film was slow " * 40
    assert len(predictor.predict(["jump", long])) == 2
    assert "1 of 2 texts cut to 32 tokens" in caplog.text
    with pytest.raises(ValueError, match=r"texts\[1\] is 162 tokens long and the model reads 32"):
        predictor.predict(["jump", long], truncate=False)


def test_pairs_must_be_as_many(predictor):
    with pytest.raises(ValueError, match="pairs: 1 for 2 texts; give as many"):
        predictor.predict(["a film", "jump"], ["a film"])
    with pytest.raises(ValueError, match=r"pairs\[0\] is empty"):
        predictor.predict(["a film"], [""])


def test_a_classifier_makes_no_embeddings(predictor):
    with pytest.raises(ValueError, match="this model does classification: call predict"):
        predictor.encode(["a film"])


def test_embeddings_have_unit_length(tmp_path, texts):
    plain_folder(tmp_path / "x", "embedding", ())
    encoder = load(tmp_path / "x", threads=1)
    vectors = encoder.encode(texts)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(encoder.encode(texts[2:3])[0], vectors[2], atol=1e-5)
    assert len(encoder.encode([])) == 0
    with pytest.raises(ValueError, match="call encode"):
        encoder.predict(texts)


def test_regression_gives_numbers_and_pairs_are_demanded(tmp_path, texts):
    plain_folder(tmp_path / "x", "regression", (), pairs=True)
    scorer = load(tmp_path / "x", threads=1)
    answers = scorer.predict(texts, texts[::-1])
    assert all(isinstance(answer, float) for answer in answers)
    with pytest.raises(ValueError, match="this model compares two texts"):
        scorer.predict(texts)


def test_words_take_the_label_of_their_first_token(tmp_path):
    plain_folder(tmp_path / "x", "tokens", ("O", "B-DISH", "I-DISH"))
    tagger = load(tmp_path / "x", threads=1)
    sentences = [["the", "film", "was", "slow"], ["jump"]]
    labels = tagger.label_words(sentences)
    assert [len(row) for row in labels] == [4, 1]
    rows = tagger.outputs([" ".join(words) for words in sentences])
    full = AutoTokenizer.from_pretrained(tmp_path / "x")
    encoded = full(sentences, is_split_into_words=True)
    for index, row in enumerate(labels):
        firsts = [encoded.word_to_tokens(index, word).start for word in range(len(row))]
        assert row == [tagger.manifest.labels[rows[index][first].argmax()] for first in firsts]


def test_spans_are_pieces_of_their_text(tmp_path):
    plain_folder(tmp_path / "x", "tokens", ("B-DISH", "I-DISH", "B-PER"))
    text = "the film was slow, jump"
    spans = load(tmp_path / "x", threads=1).predict([text])[0]
    assert spans
    for span in spans:
        assert span.text == text[span.start : span.end]
        assert span.label in ("DISH", "PER")


def test_softmax_of_large_numbers():
    np.testing.assert_allclose(softmax(np.array([1000.0, 1000.0])), [0.5, 0.5])
