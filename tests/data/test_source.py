import json
import re
from pathlib import Path

import pyarrow
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st
from pyarrow import parquet

from leanformer.data import Source
from leanformer.data.source import _hash, _split_off


def table(path: Path, rows: list[tuple[str, str]]) -> Path:
    path.write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows))
    return path


def numbered(count: int, start: int = 0) -> list[tuple[str, str]]:
    return [(f"text {n}", "odd" if n % 2 else "even") for n in range(start, start + count)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "toy"
    place.mkdir()
    table(place / "train.tsv", numbered(20))
    table(place / "valid.tsv", numbered(4, 20))
    table(place / "test.tsv", numbered(6, 24))
    return place


def test_a_folder_of_splits(folder: Path) -> None:
    (folder / "unsup.txt").write_text("more\ntexts\n")
    found = Source(path=str(folder)).read()
    assert [len(found.train), len(found.dev), len(found.test)] == [20, 4, 6]
    assert found.dev.texts[0] == "text 20"
    assert found.name == "toy"
    assert found.unlabelled is not None
    assert found.unlabelled.texts == ["more", "texts"]


def test_a_file_of_unlabelled_texts_can_be_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("one\n")
    found = Source(path=str(folder), unlabelled=tmp_path / "more.txt").read()
    assert found.unlabelled is not None
    assert found.unlabelled.texts == ["one"]


def test_one_file_is_split_the_same_way_each_time_and_in_any_order(tmp_path: Path) -> None:
    rows = numbered(100)
    first = Source(path=str(table(tmp_path / "a.tsv", rows))).read()
    second = Source(path=str(table(tmp_path / "b.tsv", rows[::-1]))).read()
    assert [len(first.train), len(first.dev), len(first.test)] == [81, 10, 9]
    for split in ("train", "dev", "test"):
        assert getattr(first, split) == getattr(second, split)
    texts = first.train.texts + first.dev.texts + first.test.texts
    assert sorted(texts) == sorted(text for text, _ in rows)


@given(st.lists(st.sampled_from("abcdefgh"), min_size=12, max_size=60))
def test_equal_rows_never_lie_on_both_sides_of_a_split(texts: list[str]) -> None:
    try:
        found = _split_off({"train": [{"text": text} for text in texts]}, _hash)
    except ValueError:
        reject()  # a handful of texts that nothing is left of
    sides = [{row["text"] for row in found[split]} for split in ("train", "dev", "test")]
    assert all(sides)
    assert sum(map(len, sides)) == len(set().union(*sides))
    assert sorted(row["text"] for rows in found.values() for row in rows) == sorted(texts)


def test_a_limit_keeps_a_part_of_the_training_rows_only(folder: Path) -> None:
    whole = Source(path=str(folder)).read()
    part = Source(path=str(folder), limit=7).read()
    assert len(part.train) == 7
    assert set(part.train.texts) < set(whole.train.texts)
    assert part == Source(path=str(folder), limit=7).read()
    assert (part.dev, part.test) == (whole.dev, whole.test)


def test_a_kind_can_be_asked_for(folder: Path) -> None:
    assert Source(path=str(folder), kind="embedding").read().task.kind == "embedding"


def test_the_bundled_intents_are_there() -> None:
    found = Source(path="bundled:intents").read()
    assert (found.name, found.task.kind, len(found.task.labels)) == (
        "intents",
        "classification",
        20,
    )


def test_a_metric_can_be_chosen(folder: Path) -> None:
    assert Source(path=str(folder)).read().task.metric == "accuracy"
    assert Source(path=str(folder), metric="f1:odd").read().task.metric == "f1:odd"
    with pytest.raises(ValueError, match="f1:prime: there is no label 'prime'; there are: even"):
        Source(path=str(folder), metric="f1:prime").read()


def test_a_limit_that_keeps_nothing_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"limit: 0 is not at least 1"):
        Source(path=str(folder), limit=0).read()


def test_two_files_for_one_split_are_refused(folder: Path) -> None:
    table(folder / "dev.tsv", numbered(4))
    with pytest.raises(ValueError, match=r"both dev\.tsv and valid\.tsv; keep one of them"):
        Source(path=str(folder)).read()


def test_a_folder_without_training_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no train\.tsv \(\.csv"):
        Source(path=str(tmp_path)).read()


def test_too_few_rows_to_split_are_refused(tmp_path: Path) -> None:
    path = table(tmp_path / "a.tsv", numbered(3))
    with pytest.raises(ValueError, match=r"train: 2 rows are too few to split test off them"):
        Source(path=str(path)).read()


@pytest.mark.parametrize("name", ["absent.tsv", "./absent", "/no/such/folder", "a/b/c"])
def test_what_looks_like_a_path_and_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(FileNotFoundError, match=f"{name}: no such file or folder"):
        Source(path=name).read()


def test_an_unknown_bundled_set_is_refused() -> None:
    with pytest.raises(
        FileNotFoundError, match=r"bundled:moods: there is no such data set; there is"
    ):
        Source(path="bundled:moods").read()


@pytest.mark.parametrize("name", ["nobody/nothing", "nobody/version-1.5"])
def test_a_name_that_the_hub_does_not_give_is_refused(name: str) -> None:
    with pytest.raises(
        FileNotFoundError, match=f"{name}: no such file or folder here, and the hub"
    ):
        Source(path=name).read()


def test_rows_with_one_text_stay_together_whatever_else_they_hold(tmp_path: Path) -> None:
    rows = [f"{number}\ttext {number % 40}\t{'ab'[number % 2]}" for number in range(120)]
    path = tmp_path / "data.tsv"
    path.write_text("\n".join(["id\ttext\tlabel", *rows]) + "\n")
    found = Source(path=str(path)).read()
    sides = [set(split.texts) for split in (found.train, found.dev, found.test)]
    assert sum(map(len, sides)) == len(set().union(*sides)) == 40


def test_the_last_rows_of_a_class_stay_in_train(tmp_path: Path) -> None:
    rows = [f"t{number}\t{'ab'[number % 2]}" for number in range(60)]
    rows += [f"rare {number}\tr{number}" for number in range(20)]
    path = tmp_path / "data.tsv"
    path.write_text("\n".join(["text\tlabel", *rows]) + "\n")
    found = Source(path=str(path)).read()
    assert len(found.task.labels) == 22
    assert set(found.train.labels or []) == set(range(22))
    assert (len(found.dev), len(found.test)) == (8, 7)


def test_whole_numbers_with_a_point_are_asked_about(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("text,label\n" + "".join(f"text {i},{float(i % 2)}\n" for i in range(60)))
    with pytest.raises(ValueError, match=r"written as 0\.0, 1\.0, which may be .* --task classif"):
        Source(path=str(path)).read()
    assert Source(path=str(path), kind="classification").read().task.labels == ("0.0", "1.0")
    assert Source(path=str(path), kind="regression").read().train.labels


def test_a_label_that_is_not_a_number_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    lines = ['{"text": "a", "label": "x"}', '{"text": "b", "label": NaN}']
    path.write_text("\n".join(lines * 9) + "\n")
    said = r"label is missing in 9 of 18 rows \(.*data\.jsonl:2, 4, 6, …\)"
    with pytest.raises(ValueError, match=f"train: {said}; give each row one, or move its text"):
        Source(path=str(path)).read()


def in_format(path: Path, rows: list[dict[str, str]]) -> list[str]:
    """Write rows so that some take several lines, and the place of each."""
    source, end = f"{path}:", path.suffix
    if end == ".parquet":
        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
        return [f"{path} row {n}" for n in range(1, len(rows) + 1)]
    if end == ".json":
        path.write_text(json.dumps(rows, indent=1))
        return [f"{path} row {n}" for n in range(1, len(rows) + 1)]
    lines, places = ["text,label"] if end == ".csv" else [], []
    for number, row in enumerate(rows):
        lines += [""] * (number % 3)
        places.append(f"{source}{len(lines) + 1}")
        if end == ".csv":
            lines += f'"{row["text"]}","{row["label"]}\n"'.split("\n")
        else:
            lines.append(json.dumps(row))
    path.write_text("\n".join(lines))
    return places


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json", "a.parquet"])
@pytest.mark.parametrize("bad", [0, 16, 41, 59])
def test_a_refusal_names_the_place_in_the_users_file(tmp_path: Path, name: str, bad: int) -> None:
    rows = [{"text": f"text {n}", "label": "ab"[n % 2]} for n in range(60)]
    rows[bad]["text"] = " "
    places = in_format(tmp_path / name, rows)
    with pytest.raises(ValueError, match=f"^{re.escape(places[bad])}: text is empty"):
        Source(path=str(tmp_path / name), limit=60).read()
