import sys
from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, Features, Sequence, Value

from leanformer.data.splits.hub import hub_splits

README = """---
configs:
- config_name: ner
  data_files:
  - {split: train, path: ner/train.parquet}
  - {split: validation, path: ner/dev.parquet}
- config_name: pairs
  data_files:
  - {split: train, path: pairs/train.parquet}
  - {split: validation_matched, path: pairs/train.parquet}
  - {split: validation_mismatched, path: pairs/train.parquet}
  - {split: test_matched, path: pairs/test.parquet}
---
"""
NER = Features(
    {"tokens": Sequence(Value("string")), "ner_tags": Sequence(ClassLabel(names=["O", "B-PER"]))}
)
PAIRS = Features(
    {"premise": Value("string"), "hypothesis": Value("string"), "label": ClassLabel(names=["no", "yes"])}
)  # fmt: skip


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the hub stores of a data set with two configurations, here in a folder."""
    folder = tmp_path_factory.mktemp("hub") / "set"
    for name in ("ner", "pairs"):
        (folder / name).mkdir(parents=True)
    (folder / "README.md").write_text(README)
    words = {"tokens": [["Anna", "is"], ["a"]], "ner_tags": [[1, 0], [0]]}
    for split in ("train", "dev"):
        Dataset.from_dict(words, features=NER).to_parquet(str(folder / f"ner/{split}.parquet"))
    texts = {"premise": ["a", "b"], "hypothesis": ["c", "d"]}
    for split, label in (("train", [1, 0]), ("test", [-1, -1])):
        rows = Dataset.from_dict({**texts, "label": label}, features=PAIRS)
        rows.to_parquet(str(folder / f"pairs/{split}.parquet"))
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def test_a_configuration_is_read_with_names_for_classes(repository: Path) -> None:
    found = hub_splits(str(repository), "ner")
    assert list(found) == ["train", "dev"]
    assert found["train"][0] == {"tokens": ["Anna", "is"], "ner_tags": ["B-PER", "O"]}
    assert found["dev"][1].place == f"{repository} validation row 2"


def test_matched_splits_are_taken_and_hidden_labels_left_out(repository: Path) -> None:
    found = hub_splits(str(repository), "pairs")
    assert list(found) == ["train", "dev"]
    assert found["dev"][0].place == f"{repository} validation_matched row 1"
    assert found["dev"][0] == {"premise": "a", "hypothesis": "c", "label": "yes"}


def test_a_configuration_has_to_be_named_and_be_there(repository: Path) -> None:
    with pytest.raises(
        ValueError, match=r"several configurations; name one, e\.g\. .*:ner; there are: ner, pairs"
    ):
        hub_splits(str(repository))
    with pytest.raises(
        ValueError,
        match=r"no configuration 'pair' \(did you mean 'pairs'\?\); there are: ner, pairs",
    ):
        hub_splits(str(repository), "pair")


def test_without_a_training_split_those_that_are_there_are_named(tmp_path: Path) -> None:
    Dataset.from_dict({"text": ["a"]}).to_parquet(str(tmp_path / "set" / "test.parquet"))
    with pytest.raises(
        ValueError, match=r"the hub's data set has no split called train; there are: test"
    ):
        hub_splits(str(tmp_path / "set"))


def test_what_the_hub_does_not_give_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"nobody/nothing: no such file or folder here, and the hub"
    ):
        hub_splits("nobody/nothing", "x")


def test_without_datasets_the_way_to_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(FileNotFoundError, match=r"owner/name: .* pip install 'leanformer\[hub\]'"):
        hub_splits("owner/name")
