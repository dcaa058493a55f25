"""What a cascade's folder holds, and what it refuses."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from runtime.systems.cascades import NAMES, TEXTS, cascade, halfway, ngrams, transformer

import leanformer
from leanformer.runtime.gates import Entropy, Margin, Reliability
from leanformer.runtime.manifest import (
    _signature,
    check_files,
    read_manifest,
    write_manifest,
)
from leanformer.runtime.serving.opening import open_system
from leanformer.runtime.systems.cascade import Cascade, Rule
from leanformer.runtime.systems.cascade_folder import check_listed, read_rule


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("parts")
    return ngrams(folder / "cheap"), transformer(folder / "dear")


def signed(folder: Path) -> None:
    """Describe a folder that was changed as if it had always been so."""
    write_manifest(folder, read_manifest(folder))


def test_parts_hold_what_answers_and_nothing_else(parts: tuple[Path, Path], tmp_path: Path) -> None:
    (parts[1] / "onnx").mkdir(exist_ok=True)
    (parts[1] / "onnx" / "model.onnx").write_text("a candidate that did not win")
    about = replace(read_manifest(parts[1]), instructions=("other",))
    write_manifest(parts[1], about, exported_here=False)
    made = cascade(tmp_path / "c", *parts)
    assert not (made / "second" / "onnx").exists()
    for part in (made, made / "first", made / "second"):
        check_files(part, (own := read_manifest(part)), own.files)
    assert read_manifest(made / "second").instructions == ("other",)
    whole = read_manifest(made)
    assert {"first/leanformer.json", "second/leanformer.json", "cascade.json"} <= set(whole.files)
    assert (whole.precision, whole.max_length) == ("fp32", 32)
    assert read_rule(made) == Rule(gate=Margin(), threshold=0.3, deferred=20, texts=40, names=NAMES)
    assert read_rule(made).rate == 0.5


def test_a_gate_may_be_given_as_an_object(parts: tuple[Path, Path], tmp_path: Path) -> None:
    made = cascade(tmp_path / "c", *parts, halfway(parts[0], "entropy"), gate=Entropy())
    assert read_rule(made).gate == Entropy()
    assert set(leanformer.load(made).sources(TEXTS)) == set(NAMES)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gate": "magin"}, r"gate.use: 'magin' is no gate .*did you mean 'margin'"),
        ({"threshold": float("inf")}, "threshold: inf lets the second part answer every text"),
        ({"threshold": float("-inf")}, "threshold: -inf lets the first part answer every text"),
        ({"threshold": float("nan")}, "threshold"),
        ({"deferred": -1}, "deferred: -1 is not at least 0"),
        ({"texts": 0, "deferred": 0}, "texts: 0 is not at least 1"),
        ({"deferred": 41}, "deferred: 41 of 40 texts is more than all"),
        ({"names": ("", "b")}, "has an empty name"),
        ({"names": ("a", "a")}, "names: 'a' names two parts of a, a; give each its own name"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(
    parts: tuple[Path, Path], tmp_path: Path, settings: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        cascade(tmp_path / "c", *parts, **{"threshold": 0.3, **settings})
    assert not (tmp_path / "c").exists()


def test_parts_that_answer_different_questions_are_refused(
    parts: tuple[Path, Path], tmp_path: Path
) -> None:
    cheap, _ = parts
    cases = [
        (transformer(tmp_path / "order", labels=("bank", "pet", "film")), "labels: .pet, bank"),
        (transformer(tmp_path / "pairs", pairs=True), "pairs: False and True differ"),
        (transformer(tmp_path / "kind", "multi-label"), "kind: 'classification' and 'multi-label'"),
    ]
    for dear, message in cases:
        with pytest.raises(ValueError, match=message):
            cascade(tmp_path / "c", cheap, dear)
    numbers = transformer(tmp_path / "numbers", "regression", labels=())
    with pytest.raises(ValueError, match=f"{numbers} and {numbers}: kind: no gate tells how sure"):
        cascade(tmp_path / "c", numbers, numbers)


def test_a_gate_of_other_outputs_is_refused_when_it_is_saved_and_when_it_is_opened(
    parts: tuple[Path, Path], tmp_path: Path
) -> None:
    """A class too few would otherwise be found out by the first text that is answered."""
    message = "gate: offsets: 2 for outputs of 3 classes; fit the gate on outputs of this system"
    with pytest.raises(ValueError, match=message):
        cascade(tmp_path / "c", *parts, gate=Reliability(offsets=(0.0, 0.1)))
    assert not (tmp_path / "c").exists()
    made = cascade(tmp_path / "c", *parts, gate=Reliability(offsets=(0.0, 0.1, 0.2)))
    rule = json.loads((made / "cascade.json").read_text())
    rule["gate"]["offsets"].pop()
    (made / "cascade.json").write_text(json.dumps(rule))
    signed(made)
    with pytest.raises(ValueError, match=rf"c: {message}; save the cascade again"):
        open_system(made)


def test_damaged_and_foreign_parts_are_refused_before_anything_is_written(
    parts: tuple[Path, Path], tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere/leanformer.json is missing"):
        cascade(tmp_path / "c", parts[0], tmp_path / "nowhere")
    broken = transformer(tmp_path / "broken")
    (broken / "config.json").write_text("{}")
    with pytest.raises(ValueError, match=r"broken/config.json is damaged"):
        cascade(tmp_path / "c", parts[0], broken)
    assert not (tmp_path / "c").exists()


def test_a_part_is_not_replaced_by_its_cascade(parts: tuple[Path, Path], tmp_path: Path) -> None:
    inside = ngrams(tmp_path / "out" / "cheap")
    for folder in (tmp_path / "out", inside):
        with pytest.raises(ValueError, match="which is written anew; name another folder"):
            cascade(folder, inside, parts[1], overwrite=True)
    made = cascade(tmp_path / "c", *parts)
    with pytest.raises(FileExistsError, match="is not empty"):
        cascade(made, *parts)
    cascade(made, *parts, threshold=0.5, overwrite=True)
    assert read_rule(made).threshold == 0.5


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "a\\..\\..\\secret"])
def test_a_file_that_leads_out_of_a_part_is_not_copied(
    parts: tuple[Path, Path], tmp_path: Path, name: str
) -> None:
    """Whoever writes a description can sign it: names are looked at too."""
    bad = ngrams(tmp_path / "bad")
    fields = json.loads((bad / "leanformer.json").read_text())
    del fields["checksum"]
    fields["files"][name] = "0" * 64
    fields["checksum"] = _signature(fields)
    (bad / "leanformer.json").write_text(json.dumps(fields))
    with pytest.raises(ValueError, match="is not inside the folder; export it again"):
        cascade(tmp_path / "c", bad, parts[1])


def test_parts_that_the_checksums_do_not_cover_are_refused(
    parts: tuple[Path, Path], tmp_path: Path
) -> None:
    made = cascade(tmp_path / "c", *parts)
    about = read_manifest(made)
    for gone in ("first/ngrams.json", "second/leanformer.json"):
        files = {name: one for name, one in about.files.items() if name != gone}
        part, _, _ = gone.partition("/")
        with pytest.raises(ValueError, match=f"{gone} is not among the files of the cascade"):
            check_listed(made, part, replace(about, files=files))


def test_a_rule_that_was_changed_and_signed_is_checked(
    parts: tuple[Path, Path], tmp_path: Path
) -> None:
    made = cascade(tmp_path / "c", *parts)
    whole = json.loads((made / "cascade.json").read_text())
    for change, message in (
        ({"threshold": "much"}, r"cascade.json is damaged \(threshold"),
        ({"gate": {"use": "os"}}, "'os' is no gate"),
        ({"names": ["a"]}, "names"),
        ({"folder": "../other"}, "Rule has no field 'folder'"),
        ({"deferred": 99}, "more than all"),
    ):
        (made / "cascade.json").write_text(json.dumps(whole | change))
        signed(made)
        with pytest.raises(ValueError, match=message):
            open_system(made)
    (made / "cascade.json").write_text(json.dumps(whole | {"names": ["a", "a"]}))
    signed(made)
    with pytest.raises(
        ValueError, match=r"c: names: 'a' names two parts .* save the cascade again"
    ):
        open_system(made)


def test_a_cascade_of_other_labels_than_its_parts_is_refused(
    parts: tuple[Path, Path], tmp_path: Path
) -> None:
    made = cascade(tmp_path / "c", *parts)
    system = open_system(made)
    assert isinstance(system, Cascade)
    other = replace(read_manifest(made), labels=("x", "y", "z"))
    with pytest.raises(ValueError, match=r"labels: .x, y, z. and .pet, bank, film. differ"):
        Cascade(system.first, system.second, system.rule, other)
