import multiprocessing
import os
import pickle
import signal
import threading
from functools import partial

import numpy as np
import pytest
from runtime_samples import LABELS, TEXTS, calibration_of, plain_folder

from leanformer.runtime.batching import Padding, batches_in_order
from leanformer.runtime.manifest import read_manifest, write_manifest
from leanformer.runtime.onnx.export import export_onnx
from leanformer.runtime.openvino.export import export_openvino
from leanformer.runtime.serving.answers import Unanswered
from leanformer.runtime.serving.predictor import Predictor, load
from leanformer.runtime.systems.transformer import Transformer
from leanformer.tasks.answers import softmax

BACKENDS = ("openvino", "onnxruntime", "pytorch")
MIXED = [
    [" ".join([*TEXTS[start:], *TEXTS[:start]][: 1 + start % 5]) for _ in range(count)]
    for start, count in enumerate((1, 4, 16, 2, 7, 1, 30, 3, 1, 12))
]


@pytest.fixture(scope="module")
def predictor(classifier):
    return load(classifier, threads=1)


@pytest.fixture(scope="module")
def everywhere(tmp_path_factory):
    """A classifier with a graph for every backend."""
    folder = tmp_path_factory.mktemp("everywhere") / "served"
    model, tokenizer = plain_folder(folder)
    texts = calibration_of(tokenizer)
    place = folder / "openvino"
    export_openvino(model, "classification", place, precision="int8", calibration=texts)
    export_onnx(model, "classification", folder / "onnx", precision="fp32")
    write_manifest(folder, read_manifest(folder))
    return folder


@pytest.mark.parametrize("backend", BACKENDS)
def test_eight_threads_are_answered_as_one_is(backend, everywhere):
    predictor = load(everywhere, backend, threads=1, concurrency=2)
    alone = [predictor.answer(texts) for texts in MIXED]
    failed = []

    def work(start):
        for turn in range(6):
            for index in range(start, start + len(MIXED)):
                index = (index + turn) % len(MIXED)
                try:
                    for ours, theirs in zip(
                        predictor.answer(MIXED[index]), alone[index], strict=True
                    ):
                        np.testing.assert_allclose(ours, theirs, atol=1e-5)
                except Exception as error:
                    failed.append(error)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_forked_process_answers(backend, threads, everywhere):
    predictor = load(everywhere, backend, threads=threads)
    expected = predictor.predict(list(TEXTS))
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        same = predictor.predict(list(TEXTS)) == expected
        again = load(everywhere, backend, threads=threads).predict(list(TEXTS)) == expected
        os._exit(0 if same and again else 3)
    assert os.waitpid(child, 0)[1] == 0
    assert predictor.predict(list(TEXTS)) == expected


def _answers_of(predictor, texts):
    return predictor.predict(texts)


@pytest.mark.parametrize(
    "backend",
    [
        pytest.param(backend, marks=[] if backend == "openvino" else [pytest.mark.thorough])
        for backend in BACKENDS
    ],
)
def test_a_pickle_opens_its_folder_again(backend, everywhere):
    predictor = load(everywhere, backend, threads=1)
    expected = predictor.predict(list(TEXTS))
    assert pickle.loads(pickle.dumps(predictor)).predict(list(TEXTS)) == expected
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_answers_of, (predictor, list(TEXTS))) == expected


def test_a_predictor_of_parts_cannot_be_pickled(predictor):
    parts = Predictor(predictor.system)
    with pytest.raises(TypeError, match="put together from parts"):
        pickle.dumps(parts)


def test_answers_come_in_the_callers_order_whatever_the_batches(predictor, texts):
    together = predictor.predict(texts)
    predictor.system.max_tokens = 8
    apart = predictor.predict(texts)
    predictor.system.max_tokens = 2048
    alone = [predictor.predict([text])[0] for text in texts]
    for a, b, c in zip(together, apart, alone, strict=True):
        assert a.label == b.label == c.label
        assert a.label in LABELS
        assert a.score == pytest.approx(c.score, abs=1e-5)
        assert 1 / 3 <= a.score <= 1


def test_padding_is_told(predictor, texts):
    lengths = [len(predictor.system.reader(text).ids) for text in texts]
    told = predictor.system.padding(texts)
    assert told.real == sum(lengths)
    assert told.padded >= sum(lengths)
    in_order = Transformer(
        predictor.system.session,
        predictor.system.reader,
        predictor.manifest,
        plan=partial(batches_in_order, rows=2),
    )
    pairs = [max(lengths[i : i + 2]) * len(lengths[i : i + 2]) for i in range(0, len(lengths), 2)]
    assert in_order.padding(texts) == Padding(sum(lengths), sum(pairs))
    np.testing.assert_allclose(in_order.answer(texts), predictor.answer(texts), atol=1e-5)


def test_no_texts_give_no_answers(predictor):
    assert predictor.predict([]) == []
    assert predictor.system.padding([]) == Padding(0, 0)


def test_a_generator_of_texts_is_read_whole(predictor, texts):
    expected = predictor.predict(texts)
    assert predictor.predict(text for text in texts) == expected
    assert predictor.predict(iter(texts)) == expected
    assert predictor.predict(np.array(texts)) == expected
    assert len(predictor.answer(text for text in texts)) == len(texts)


def test_texts_that_cannot_be_read_are_answered_with_their_error(predictor):
    long = "the film was slow " * 40
    given = ["jump", "", 3, "half \ud83d", long]
    answers = predictor.predict(given, errors="return")
    assert answers[0] == predictor.predict(["jump"])[0]
    assert answers[1] == Unanswered("texts[1] is empty; leave it out or give it a text")
    assert answers[2] == Unanswered("texts[2] is 3 (int), not a text")
    assert answers[3] == predictor.predict(["half \ufffd"])[0]
    assert answers[4] == predictor.predict([long])[0]
    answers = predictor.predict(given, errors="return", truncate=False)
    assert answers[0] == predictor.predict(["jump"])[0]
    assert answers[4].error.startswith("texts[4] is longer than the 32 tokens")
    assert predictor.predict(["", None], errors="return")[1].error.startswith("texts[1] is None")
    with pytest.raises(ValueError, match="errors: 'drop' is not one of raise, return"):
        predictor.predict(["jump"], errors="drop")
    with pytest.raises(ValueError, match="texts: got one string"):
        predictor.predict("jump", errors="return")


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["fine", "  "], r"texts\[1\] is empty"),
        (["fine", 3], r"texts\[1\] is 3 \(int\), not a text"),
        (["fine", None], r"texts\[1\] is None \(NoneType\)"),
        ("fine", "texts: got one string; give a list"),
    ],
)
def test_what_is_no_text_is_refused_with_its_place(predictor, texts, message):
    with pytest.raises(ValueError, match=message):
        predictor.predict(texts)


def test_long_texts_are_cut_with_one_warning_or_refused(classifier, caplog):
    predictor = load(classifier, threads=1)
    long = "the film was slow " * 40
    for _ in range(3):
        assert len(predictor.predict(["jump", long])) == 2
    assert caplog.text.count("1 of 2 texts cut to 32 tokens (said once)") == 1
    with pytest.raises(ValueError, match=r"texts\[1\] is longer than the 32 tokens that the model"):
        predictor.predict(["jump", long], truncate=False)


def test_cut_texts_are_told_of_also_where_errors_are_returned(classifier, caplog):
    predictor = load(classifier, threads=1)
    long = "the film was slow " * 40
    predictor.predict(["jump", "", long], errors="return", truncate=False)
    assert "cut to" not in caplog.text
    predictor.predict(["jump", "", long], errors="return")
    assert caplog.text.count("1 of 2 texts cut to 32 tokens (said once)") == 1


def test_pairs_must_be_as_many(predictor):
    with pytest.raises(ValueError, match="pairs: 1 for 2 texts; give as many"):
        predictor.predict(["a film", "jump"], ["a film"])
    with pytest.raises(ValueError, match=r"pairs\[0\] is empty"):
        predictor.predict(["a film"], [""])


@pytest.mark.parametrize("errors", ["raise", "return"])
def test_pairs_that_the_model_does_not_read_are_refused(predictor, errors):
    with pytest.raises(ValueError, match="pairs: this model reads single texts"):
        predictor.predict(["a film"], ["jump"], errors=errors)


def test_a_classifier_makes_no_embeddings(predictor):
    with pytest.raises(ValueError, match="this model does classification: call predict"):
        predictor.encode(["a film"])
    with pytest.raises(ValueError, match="this model does classification: call predict"):
        predictor.label_words([["a", "film"]])


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


def test_softmax_of_large_numbers():
    np.testing.assert_allclose(softmax(np.array([1000.0, 1000.0])), [0.5, 0.5])


def test_lengths_are_the_tokens_that_are_read(predictor):
    """Counted by the tokenizer itself, and refused where `predict` refuses."""
    reader = predictor.system.reader
    right = [min(len(reader(text).ids), 32) for text in [*TEXTS, "film " * 99]]
    assert predictor.lengths([*TEXTS, "film " * 99]) == right
    assert predictor.lengths([]) == []
    with pytest.raises(ValueError, match=r"texts\[1\] is longer than the 32 tokens"):
        predictor.lengths(["film", "film " * 99], truncate=False)
    with pytest.raises(ValueError, match=r"texts\[1\] is empty"):
        predictor.lengths(["film", " "])
    with pytest.raises(ValueError, match="reads single texts"):
        predictor.lengths(["film"], ["film"])
