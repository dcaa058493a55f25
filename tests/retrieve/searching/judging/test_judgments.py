from pathlib import Path

import pytest

from leanformer.retrieve.searching.judging.judgments import (
    read_beir_texts,
    read_judgments,
    read_run,
    write_run,
)


def written(folder: Path, text: str) -> Path:
    (file := folder / "file").write_text(text)
    return file


def test_trec_and_beir_judgments_are_the_same_table(tmp_path: Path) -> None:
    expected = {"q1": {"d1": 1.0, "d2": 0.0}, "q2": {"d1": -1.0}}
    trec = "q1 0 d1 1\nq1\t0\td2 0\n\nq2 0 d1 -1 \n"
    beir = "query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td2\t0\nq2\td1\t-1\n"
    assert read_judgments(written(tmp_path, trec)) == expected
    assert read_judgments(written(tmp_path, beir)) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("q1 d1\n", r"file:1: 'q1 d1' is neither"),
        ("q1 0 d1 high\n", r"file:1: grade 'high' is not a number"),
        ("q1 0 d1 nan\n", r"file:1: grade 'nan' is not a number"),
        ("q1 0 d1 1\nq1 0 d1 2\n", r"file:2: query 'q1' and document 'd1' stand here twice"),
        ("query-id\tcorpus-id\tscore\n", "no judgment in this file"),
    ],
)
def test_judgments_that_do_not_fit_are_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_judgments(written(tmp_path, text))


def test_a_run_survives_its_file(tmp_path: Path) -> None:
    run = {"q1": [("d2", 3.25), ("d1", 0.1 + 0.2)], "q2": [("d9", -1.0)]}
    write_run(tmp_path / "run", run)
    assert read_run(tmp_path / "run") == run
    assert (tmp_path / "run").read_text().splitlines()[0] == "q1 Q0 d2 1 3.25 leanformer"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("q1 Q0 d1 1 2.0\n", "file:1: .* is not `query Q0 document rank score name`"),
        ("q1 Q0 d1 1 x me\n", "file:1: score 'x' is not a number"),
        ("q1 Q0 d1 1 2 me\nq1 Q0 d1 2 1 me\n", "file:2: document 'd1' stands twice"),
    ],
)
def test_runs_that_do_not_fit_are_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_run(written(tmp_path, text))


def test_names_that_a_trec_file_cannot_hold_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a name in a TREC file has no white space"):
        write_run(tmp_path / "run", {"q 1": [("d", 1.0)]})
    assert not (tmp_path / "run").exists()


def test_beir_texts_have_their_title_in_front(tmp_path: Path) -> None:
    lines = '{"_id": "a", "title": "Iron", "text": "rusts"}\n\n{"_id": "b", "text": "é"}\n'
    assert read_beir_texts(written(tmp_path, lines)) == {"a": "Iron rusts", "b": "é"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"_id": 3, "text": "x"}\n', "file:1: not an object with the texts"),
        ('{"_id": "a"}\n', "file:1: not an object with the texts"),
        ('{"_id": "a", "text": "x"}\n{"_id": "a", "text": "y"}\n', "file:2: _id 'a' stands"),
    ],
)
def test_beir_texts_that_do_not_fit_are_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_beir_texts(written(tmp_path, text))
