from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr
from search.toy import KINDS, contest_of, served
from sklearn.metrics import accuracy_score
from sklearn.metrics.pairwise import cosine_similarity

from leanformer.core.record import read
from leanformer.data import Examples
from leanformer.runtime.torch_backend import TorchSession
from leanformer.search.entrants.simplest import enter_simplest
from leanformer.search.entry import SIMPLEST, TEACHER, Entry


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_judged_by_the_same_metric_on_the_same_examples(tmp_path: Path, kind: str) -> None:
    contest = contest_of(tmp_path, kind)
    session = TorchSession(contest.teacher, contest.kind)
    said: list[str] = []
    contest.entries[TEACHER] = Entry(
        name=TEACHER, role="teacher", folder=tmp_path, backend="pytorch", precision="fp32",
        judged=contest.judge(served(contest, session), "dev"),
    )  # fmt: skip
    contest.watch = lambda name, text: said.append(text)
    enter_simplest(contest, tmp_path / "simplest")
    judged, dev = contest.entries[SIMPLEST].judged, contest.dataset.dev
    assert said[0].startswith(f"{SIMPLEST}, fitted in ")
    assert len(judged.statistics) == len(dev)
    if kind == "classification":
        assert (
            judged.quality == accuracy_score(dev.labels, judged.predicted) == 1.0
        )  # train's texts
    if kind == "regression":
        assert judged.quality == pytest.approx(spearmanr(judged.predicted, dev.labels).statistic)
    if kind == "tokens":
        assert [len(tags) for tags in judged.predicted] == [len(words) for words in dev.words or ()]
    if kind == "embedding":
        assert judged.quality == pytest.approx(
            np.mean(cosine_similarity(judged.predicted, contest.targets("dev")).diagonal())
        )


def test_one_that_cannot_be_fitted_is_recorded_with_the_reason(tmp_path: Path) -> None:
    contest = contest_of(tmp_path, "classification")
    train = contest.dataset.train
    blank = Examples(texts=["! ?"] * len(train), labels=train.labels)
    object.__setattr__(contest.dataset, "train", blank)
    for _ in range(2):  # a resumed search records it once
        enter_simplest(contest, tmp_path / "simplest")
    assert SIMPLEST not in contest.entries
    (choice,) = [e for e in read(contest.record.path) if e["event"] == "choice"]
    assert (choice["name"], choice["decision"]) == (SIMPLEST, "skipped")
    assert "empty vocabulary" in choice["reason"]


def test_a_resumed_search_does_not_fit_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contest = contest_of(tmp_path, "classification")
    session = TorchSession(contest.teacher, contest.kind)
    contest.entries[TEACHER] = Entry(
        name=TEACHER, role="teacher", folder=tmp_path, backend="pytorch", precision="fp32",
        judged=contest.judge(served(contest, session), "dev"),
    )  # fmt: skip
    enter_simplest(contest, tmp_path / "simplest")
    first = contest.entries.pop(SIMPLEST)
    monkeypatch.setattr("leanformer.search.entrants.simplest.fit_tfidf", None)
    enter_simplest(contest, tmp_path / "simplest")
    assert contest.entries[SIMPLEST].dev == first.dev
    fits = [e["quantities"]["fit"] for e in contest.known("model") if e["name"] == SIMPLEST]
    assert fits[0] == fits[1]
