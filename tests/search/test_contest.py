from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr
from search.toy import KINDS, contest_of, said, served

from leanformer.models.tiny import tiny_model
from leanformer.runtime.torch_backend import TorchSession
from leanformer.search.contest import Contest


def naive(contest: Contest, outputs: list[Any], split: str) -> float:
    """The quality of outputs, by the definition of each task's metric."""
    examples = getattr(contest.dataset, split)
    if contest.kind == "classification":
        return float(
            np.mean([o.argmax() == y for o, y in zip(outputs, examples.labels, strict=True)])
        )
    if contest.kind == "regression":
        return float(spearmanr([output[0] for output in outputs], examples.labels).statistic)
    if contest.kind == "embedding":
        cosines = [
            a @ b / np.linalg.norm(a) / np.linalg.norm(b)
            for a, b in zip(outputs, said(contest, examples), strict=True)
        ]
        return float(np.mean(cosines))
    # Every word is one token of the tiny vocabulary; a span is a run of the one label.
    right = ours = theirs = 0
    for output, labels in zip(outputs, examples.labels, strict=True):
        mine = runs(output[1 : len(labels) + 1].argmax(1).tolist())
        true = runs(labels)
        right, ours, theirs = right + len(mine & true), ours + len(mine), theirs + len(true)
    return 2 * right / (ours + theirs)


def runs(labels: list[int]) -> set[tuple[int, int]]:
    """First and last place of each stretch of ones."""
    padded = [0, *labels, 0]
    starts = [i for i in range(1, len(padded)) if padded[i] > padded[i - 1]]
    ends = [i for i in range(1, len(padded)) if padded[i] < padded[i - 1]]
    return set(zip(starts, ends, strict=True))


@pytest.mark.parametrize("split", ["dev", "test"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_system_is_judged_by_the_metric_of_the_task(
    tmp_path: Path, kind: Any, split: str
) -> None:
    contest = contest_of(tmp_path, kind)
    judged = contest.judge(served(contest, TorchSession(contest.teacher, kind)), split)
    examples = getattr(contest.dataset, split)
    outputs = said(contest, examples)
    for text, ours, theirs in zip(examples.texts, judged.outputs, outputs, strict=True):
        if kind == "tokens":  # one output per word, that of its first token
            words = contest.tokenizer(text).word_ids()
            theirs = theirs[[words.index(place) for place in range(len(ours))]]
        np.testing.assert_allclose(ours, theirs, atol=2e-5)
    assert judged.quality == pytest.approx(naive(contest, outputs, split), abs=1e-6)


def test_another_model_of_embeddings_is_judged_by_the_teacher(tmp_path: Path) -> None:
    contest = contest_of(tmp_path, "embedding")
    teacher, contest.teacher = contest.teacher, tiny_model("bert", head="embedding", seed=1)[0]
    outputs = said(contest, contest.dataset.dev)
    session = TorchSession(contest.teacher, "embedding")
    contest.teacher = teacher
    judged = contest.judge(served(contest, session), "dev")
    assert judged.quality == pytest.approx(naive(contest, outputs, "dev"), abs=1e-5)
    assert judged.quality < 0.99


def test_pairs_are_judged_as_pairs(tmp_path: Path) -> None:
    contest = contest_of(tmp_path, "classification", pairs=True)
    session = TorchSession(contest.teacher, "classification", pairs=True)
    judged = contest.judge(served(contest, session), "dev")
    outputs = said(contest, contest.dataset.dev)
    for ours, theirs in zip(judged.outputs, outputs, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)


def test_no_more_is_read_than_model_and_request_allow(tmp_path: Path) -> None:
    contest = contest_of(tmp_path, "classification")
    assert contest.max_length == 32
    contest.tokenizer.model_max_length = 16
    assert contest.max_length == 16
    assert contest.describe(tmp_path / "teacher", "pytorch", "fp32").max_length == 16
