"""Output i of a head is its label i: what config.json says of it is kept true, or refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification, pipeline

from leanformer.models.io.load import head_labels, load_model
from leanformer.models.io.quiet import quiet
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model

NAMES = ["no", "perhaps", "yes"]
OPTION = r"--fresh-head \(compress\), fresh_head = true \(a recipe\) or fresh_head=True"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[Any, Path]:
    folders = {}
    for outputs in (1, 2, 3, 12):
        folders[outputs] = tmp_path_factory.mktemp("models") / str(outputs)
        save_model(*tiny_model("bert", num_labels=outputs), folders[outputs])
    folders["tokens"] = tmp_path_factory.mktemp("models") / "tokens"
    save_model(*tiny_model("bert", head="tokens"), folders["tokens"])
    return folders


@pytest.fixture
def head(made: dict[Any, Path], tmp_path: Path) -> Any:
    """A folder with a head of so many outputs, of which config.json says this."""

    def folder(outputs: Any, **fields: Any) -> Path:
        place = Path(shutil.copytree(made[outputs], tmp_path / "m", dirs_exist_ok=True))
        config = json.loads((place / "config.json").read_text()) | fields
        config = {key: value for key, value in config.items() if value is not None}
        (place / "config.json").write_text(json.dumps(config))
        return place

    return folder


def names(*labels: str) -> dict[str, str]:
    return {str(number): label for number, label in enumerate(labels)}


def numbers(*labels: str) -> dict[str, int]:
    return {label: number for number, label in enumerate(labels)}


def said(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return config


TWELVE = [f"LABEL_{number}" for number in range(12)]


@pytest.mark.parametrize(
    ("outputs", "fields", "expected"),
    [
        (2, {"id2label": None, "label2id": None}, TWELVE[:2]),
        (3, {}, TWELVE[:3]),
        (3, {"id2label": names(*NAMES), "label2id": numbers(*NAMES)}, NAMES),
        (3, {"id2label": names(*NAMES), "label2id": None}, NAMES),
        (3, {"id2label": names(*NAMES), "label2id": {"LABEL_0": 0, "LABEL_1": 1}}, NAMES),
        (3, {"id2label": names(*TWELVE[:3]), "label2id": numbers(*NAMES)}, NAMES),
        (3, {"id2label": dict(reversed(names(*NAMES).items())), "label2id": None}, NAMES),
        (12, {"label2id": dict(sorted(numbers(*TWELVE).items()))}, TWELVE),
        (12, {"id2label": names(*"abcdefghijkl"), "label2id": numbers(*TWELVE)}, [*"abcdefghijkl"]),
    ],
)
def test_the_names_of_a_trained_head(
    outputs: int, fields: dict[str, Any], expected: list[str], head: Any, tmp_path: Path
) -> None:
    folder = head(outputs, **fields)
    model, tokenizer = load_model(folder, "classification")
    assert model.config.id2label == dict(enumerate(expected))
    assert model.config.label2id == {name: number for number, name in enumerate(expected)}
    assert head_labels(folder, "classification", expected[::-1]) == tuple(expected)
    save_model(model, tokenizer, tmp_path / "again")
    again, _ = load_model(tmp_path / "again", "classification")
    assert again.config.id2label == dict(enumerate(expected))


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"id2label": {"0": "no", "1": "yes", "3": "?"}}, "id2label must give one name for each"),
        ({"id2label": {"0": "no", "zero": "yes"}}, "id2label must give one name for each of 0, 1"),
        ({"id2label": NAMES}, "id2label must give one name for each"),
        ({"id2label": names("no", "no", "yes")}, "a name of its own; it gives 'no', 'no', 'yes'"),
        ({"id2label": {"0": 0, "1": 1, "2": 2}}, "a name of its own; it gives 0, 1, 2"),
        (
            {"id2label": names(*NAMES), "label2id": numbers(*NAMES[::-1])},
            "id2label says no, perhaps, yes and label2id yes, perhaps, no; remove the one that",
        ),
        (
            {"label2id": numbers("no", "yes")},
            "id2label has 3 names and label2id 2; name all labels",
        ),
        ({"label2id": {"no": 0, "yes": 2}}, "label2id must give one name for each"),
        ({"label2id": NAMES}, "label2id must give one name for each"),
        ({"num_labels": 4}, "num_labels is 4 and id2label has 3 names"),
        ({"num_labels": "3"}, "num_labels is '3', which is not a whole number"),
    ],
)
def test_fields_that_contradict_each_other(fields: dict[str, Any], match: str, head: Any) -> None:
    folder = head(3, **{"label2id": None, **fields})
    with pytest.raises(ValueError, match=rf"config\.json: .*{match}"):
        load_model(folder, "classification")
    load_model(folder, "classification", labels=["a", "b"], fresh_head=True)


def test_more_outputs_than_config_json_says(head: Any) -> None:
    folder = head(12, id2label=None, label2id=None)
    match = r"classifier\.\w+ has the shape \[12.*\] in the file and \[2.*\] by config"
    with pytest.raises(ValueError, match=match):
        load_model(folder, "classification")


@pytest.mark.parametrize(
    ("outputs", "fields", "labels", "expected"),
    [
        (12, {}, [str(number) for number in range(12)], [str(number) for number in range(12)]),
        (3, {}, ["10", "9", "-1"], ["-1", "9", "10"]),
        (12, {}, ["LABEL_11", "LABEL_3"], TWELVE),
        (3, {"id2label": names(*NAMES)}, NAMES[::-1], NAMES),
        (3, {"id2label": names(*NAMES)}, ["yes"], NAMES),
        (3, {"id2label": names("1", "2", "0")}, ["0", "1"], ["1", "2", "0"]),
    ],
)
def test_labels_of_data_take_the_heads_order(
    outputs: int, fields: dict[str, Any], labels: list[str], expected: list[str], head: Any
) -> None:
    folder = head(outputs, label2id=None, **fields)
    assert head_labels(folder, "classification", labels) == tuple(expected)
    model, _ = load_model(folder, "classification", labels=expected)
    assert model.config.id2label == dict(enumerate(expected))
    if labels != expected:
        with pytest.raises(ValueError, match=rf"give the same labels in the same.*{OPTION}"):
            load_model(folder, "classification", labels=labels)


@pytest.mark.parametrize(
    ("fields", "labels", "match"),
    [
        ({}, NAMES, "3 labels without names, so nothing says which .*name them in id2label of .*"),
        ({}, ["0", "3"], "3 labels without names"),
        ({}, ["0", "LABEL_1"], "3 labels without names"),
        ({}, ["0", "1"], "3 labels without names"),
        ({}, ["00", "0", "1"], "3 labels without names"),
        ({}, ["0", "1", "two"], "3 labels without names"),
        (
            {"id2label": names(*NAMES)},
            ["yes", "never", "maybe"],
            r"3 labels \(no, perhaps, yes\), and the data has others \(never, maybe\); write the .*",
        ),
        ({"id2label": names(*NAMES)}, ["0", "1", "2"], r"data has others \(0, 1, 2\)"),
    ],
)
def test_labels_that_no_output_is_for(
    fields: dict[str, Any], labels: list[str], match: str, head: Any
) -> None:
    folder = head(3, label2id=None, **fields)
    if labels == NAMES and not fields:  # who loads the model may name its outputs
        model, _ = load_model(folder, "classification", labels=labels)
        assert model.config.id2label == dict(enumerate(NAMES))
    openers: list[Any] = [head_labels]
    if labels != NAMES:
        openers.append(lambda *args: load_model(*args[:2], labels=args[2]))
    for opened in openers:
        with pytest.raises(ValueError, match=match + rf".*{OPTION}"):
            opened(folder, "classification", labels)


def test_tags_take_the_heads_order_too(head: Any) -> None:
    tags = ("O", "B-PER", "I-PER")
    folder = head("tokens", id2label=names(*tags), label2id=numbers(*tags))
    assert head_labels(folder, "tokens", ["B-PER", "O"]) == tags
    assert head_labels(folder, "classification", ["0"]) is None
    with pytest.raises(ValueError, match=r"others \(B-LOC\)"):
        head_labels(folder, "tokens", ["B-LOC", "O"])


@pytest.mark.parametrize(
    ("outputs", "purpose", "asked", "match"),
    [
        (3, "multi_label_classification", 3, "multi-label classification, several labels per text"),
        (3, "regression", 3, r"for regression \(problem_type in config.json is 'regression'\)"),
        (1, None, 1, None),
        (1, "regression", 1, None),
        (1, "multi_label_classification", 1, "multi-label classification.* the task is regression"),
        (3, None, 1, r"classification in 3 classes \(.* is None\), and the task is regression"),
        (3, "single_label_classification", 1, "in 3 classes .* the task is regression"),
        (1, None, 2, r"for regression \(.* is None\), and the task is classification, one label"),
        (3, "ranking", 3, "for ranking"),
        (3, ["regression"], 3, r"for \['regression'\]"),
        (3, None, 3, None),
        (3, "single_label_classification", 3, None),
    ],
)
def test_a_head_for_another_kind_of_task(
    outputs: int, purpose: Any, asked: int, match: str | None, head: Any
) -> None:
    folder = head(outputs, problem_type=purpose)
    if match is None:
        model, _ = load_model(folder, "classification", num_labels=asked)
        said = "regression" if asked == 1 else "single_label_classification"
        assert model.config.problem_type == said
    else:
        with pytest.raises(ValueError, match=rf"{match}.*{OPTION}"):
            load_model(folder, "classification", num_labels=asked)
        if asked > 1:
            with pytest.raises(ValueError, match=match):
                head_labels(folder, "classification", ["0", "1"])


def test_a_new_head_has_a_purpose_of_its_own(head: Any) -> None:
    folder = head(1, problem_type="regression")
    model, _ = load_model(folder, "classification", labels=["a", "b"], fresh_head=True)
    assert model.config.problem_type == "single_label_classification"
    tagger, _ = load_model(folder, "tokens", labels=["a", "b"])
    assert tagger.config.problem_type is None
    folder = head(3, problem_type="multi_label_classification")
    model, _ = load_model(folder, "classification", num_labels=1, fresh_head=True)
    assert model.config.problem_type == "regression"
    assert said(folder)["problem_type"] == "multi_label_classification"


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("fresh", [True, False])
def test_transformers_pipeline_applies_the_right_function(
    outputs: int, fresh: bool, head: Any, tmp_path: Path
) -> None:
    """Probabilities of classes, and the score itself of a regression."""
    folder = head(outputs)
    model, tokenizer = load_model(
        folder, "classification", num_labels=outputs, fresh_head=fresh, seed=3
    )
    save_model(model, tokenizer, tmp_path / "again")
    with quiet():
        answers = pipeline("text-classification", str(tmp_path / "again"), top_k=None)(["a model"])
    with torch.no_grad():
        logits = model(**tokenizer("a model", return_tensors="pt")).logits[0]
    expected = logits if outputs == 1 else logits.softmax(-1)
    found = {row["label"]: row["score"] for row in answers[0]}
    for number, label in model.config.id2label.items():
        assert found[label] == pytest.approx(float(expected[number]), abs=1e-6)


def test_what_is_written_of_a_trained_head_stays(head: Any, tmp_path: Path) -> None:
    for purpose in ("multi_label_classification", "single_label_classification", None):
        folder = head(3, problem_type=purpose)
        save_model(*load_model(folder, "classification"), tmp_path / "again", overwrite=True)
        assert said(tmp_path / "again").get("problem_type") == purpose


def test_a_head_without_an_architecture(head: Any) -> None:
    folder = head(3, architectures=None)
    with pytest.raises(ValueError, match="architectures is missing, so that nothing says what the"):
        load_model(folder, "classification", num_labels=3)
    load_model(folder, "classification", num_labels=3, fresh_head=True)
    load_model(folder, "embedding")


def test_there_is_no_fresh_head_of_an_encoder(head: Any) -> None:
    with pytest.raises(ValueError, match="fresh_head: a model for embedding has no head"):
        load_model(head(3), "embedding", fresh_head=True)


def test_a_head_of_several_labels_per_text_is_honoured_both_ways(head: Any, tmp_path: Path) -> None:
    purpose = "multi_label_classification"
    folder = head(3, id2label={0: "ü", 1: "b", 2: "a"}, problem_type=purpose)
    assert head_labels(folder, "classification", ["a", "b"], purpose) == ("ü", "b", "a")
    names = ["ü", "b", "a"]
    model, tokenizer = load_model(folder, "classification", labels=names, problem_type=purpose)
    save_model(model, tokenizer, tmp_path / "again")
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path / "again")
    assert again.config.problem_type == purpose
    inputs = tokenizer("a b", return_tensors="pt") | {"labels": torch.tensor([[1.0, 0, 1]])}
    output = again(**inputs)  # transformers' own loss is the one that we train with
    expected = torch.nn.functional.binary_cross_entropy_with_logits(output.logits, inputs["labels"])
    torch.testing.assert_close(output.loss, expected)
    fresh, _ = load_model(
        folder, "classification", labels=["x", "y"], problem_type=purpose, fresh_head=True
    )
    assert fresh.config.problem_type == purpose
    with pytest.raises(ValueError, match="and the task is multi-label classification, several"):
        load_model(head(2), "classification", labels=["x", "y"], problem_type=purpose)
