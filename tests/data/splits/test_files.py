import gzip
import json
from pathlib import Path

import pytest
from datasets import Dataset, load_dataset

from leanformer.data.formats.table import read_rows
from leanformer.data.rows import Row
from leanformer.data.splits.files import read_splits, split_files


def read(path: str) -> dict[str, list[Row]]:
    return read_splits(path, split_files(path))


def put(folder: Path, *names: str) -> Path:
    """Files of three rows each, which say the file that they are of."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [{"text": f"{name} {n}", "label": "ab"[n % 2]} for n in range(3)]
        if ".parquet" in name:
            Dataset.from_list(rows).to_parquet(str(path))
        else:
            raw = "\n".join(map(json.dumps, rows)).encode()
            path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    return folder


HUB = [
    "data/train-00000-of-00002.parquet",
    "data/train-00001-of-00002.parquet",
    "data/validation-00000-of-00001.parquet",
    "data/test-00000-of-00001.parquet",
]


@pytest.mark.parametrize(
    "names",
    [
        HUB,
        [name.removeprefix("data/") for name in HUB],
        [
            "data/train-00000-of-00001-0a9f.parquet",
            "data/validation-00000-of-00001-1.parquet",
            "data/test-00000-of-00001-2.parquet",
        ],
        ["train/a.jsonl", "train/b.jsonl", "validation/c.jsonl", "test/x.jsonl"],
        ["data/train.jsonl", "data/validation.jsonl", "data/test.jsonl"],
    ],
)
def test_a_folder_in_the_hubs_layout_is_read_as_datasets_reads_it(
    tmp_path: Path, names: list[str]
) -> None:
    place = put(tmp_path / "here", *names)
    theirs = load_dataset(str(place), cache_dir=str(tmp_path / "cache"))
    ours = read(str(place))
    assert ours == {
        "train": theirs["train"].to_list(),
        "dev": theirs["validation"].to_list(),
        "test": theirs["test"].to_list(),
    }
    last = ours["train"][-1]
    assert last == read_rows(place / last["text"].split()[0])[2]
    assert last.place.startswith(str(place / last["text"].split()[0]))


def test_names_count_in_any_case_and_others_are_left_alone(tmp_path: Path) -> None:
    put(
        tmp_path, "Train.JSONL", "VAL.jsonl.gz", "Unsupervised.jsonl", "more.jsonl", "extra/a.jsonl"
    )
    (tmp_path / "test.md").write_text("no data")
    (tmp_path / "test").symlink_to(tmp_path / "gone")
    (tmp_path / "locked").mkdir(mode=0)
    found = {
        split: [file.name for file in own] for split, own in split_files(str(tmp_path)).items()
    }
    assert found == {
        "train": ["Train.JSONL"], "dev": ["VAL.jsonl.gz"], "unlabelled": ["Unsupervised.jsonl"],
    }  # fmt: skip
    assert [len(own) for own in read(str(tmp_path)).values()] == [3, 3, 3]


def test_eval_is_dev_beside_a_test_split(tmp_path: Path) -> None:
    put(tmp_path, "train.jsonl", "eval.jsonl")
    with pytest.raises(ValueError, match=r"eval may be the development or the test split; call it"):
        read(str(tmp_path))
    put(tmp_path, "test.jsonl")
    assert read(str(tmp_path))["dev"][0]["text"] == "eval.jsonl 0"


def test_one_file_is_all_train_and_the_hub_has_no_files(tmp_path: Path) -> None:
    put(tmp_path, "a.jsonl")
    assert split_files(str(tmp_path / "a.jsonl")) == {"train": [tmp_path / "a.jsonl"]}
    assert split_files("owner/name:config") == {}
    assert [file.name for file in split_files("bundled:intents")["train"]] == ["train.tsv"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["train.jsonl", "train.parquet"], r"both train\.jsonl and train\.parquet; keep one of them"),
        (["train.jsonl", "train.jsonl.gz"], r"both train\.jsonl and train\.jsonl\.gz; keep one"),
        (["train.jsonl", "data/train.jsonl"], r"both data/train\.jsonl and train\.jsonl; keep one"),
        (["train.jsonl", "train/a.jsonl"], r"both train\.jsonl and train/; keep one of them"),
        (["train.jsonl", "dev.jsonl", "valid.jsonl"], r"both dev\.jsonl and valid\.jsonl; keep one"),
        ([HUB[0], "data/train.jsonl"], r"both data/train-\*\.parquet and data/train\.jsonl"),
        (["train/a.jsonl", "train/b.parquet"], r"train: files of \.jsonl and \.parquet; keep those of one"),
        ([HUB[1]], r"data/train-\*\.parquet lacks part 00000 of 00002; fetch it again"),
        (["dev.jsonl"], r"no train\.tsv \(\.csv, .*\.parquet, also \.gz\) in it, but dev\.jsonl: name a file"),
        (["sst2/train.jsonl", "cola/data/train.jsonl"], r"no train\.tsv .* but in its folders cola, sst2: name one"),
        (["x/a.jsonl"], r"no train\.tsv .*also \.gz\) in it$"),
        (["x/eval.jsonl"], r"no train\.tsv .*also \.gz\) in it$"),
    ],
)  # fmt: skip
def test_splits_that_are_not_clear_are_refused(
    tmp_path: Path, names: list[str], message: str
) -> None:
    put(tmp_path, *names)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        read(str(tmp_path))


def test_a_folder_has_no_configurations(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r":sst2: .* is here, and configurations are of data sets on"
    ):
        read(f"{tmp_path}:sst2")


def test_a_name_that_is_not_here_goes_to_the_hub_with_its_configuration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "leanformer.data.splits.files.hub_splits", lambda name, config: {"train": [name, config]}
    )
    assert read("nyu-mll/glue:sst2") == {"train": ["nyu-mll/glue", "sst2"]}
    assert read("nobody/version-1.5") == {"train": ["nobody/version-1.5", None]}
