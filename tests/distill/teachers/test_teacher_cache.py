import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_disk import small_disk
from train.toy import TEXTS, examples

from leanformer.core.storage.disk import DiskFull
from leanformer.data import Encoded, Task, encode_examples
from leanformer.distill.distillation import Distillation
from leanformer.distill.objectives import HiddenStates, SoftTargets
from leanformer.distill.teachers import teacher_cache
from leanformer.distill.teachers.teacher_cache import TeacherCache, key_of
from leanformer.distill.teachers.translation import Translation
from leanformer.models.tiny import tiny_model

LABELS = {"classification": ("music", "rice"), "tokens": ("O", "rice")}
WIDTH, LEVELS = 32, 4


def teacher_and_texts(kind: Any) -> tuple[Any, Encoded]:
    head = "tokens" if kind == "tokens" else "classification"
    model, tokenizer = tiny_model("bert", head=head, num_labels=2)
    return model, encode_examples(examples(kind), tokenizer, kind, 32)


def kept_in(
    folder: Path,
    model: Any,
    encoded: Encoded,
    kind: str,
    hidden: bool = True,
    dtype: torch.dtype = torch.bfloat16,
) -> Any:
    return TeacherCache(
        folder,
        key_of(model, encoded, None, kind),
        [encoded.length(index) for index in range(len(encoded))],
        width=2,
        per_token=kind == "tokens",
        hidden=(LEVELS, WIDTH) if hidden else (0, 0),
        dtype=dtype,
    )


def loss_for(model: Any, kind: Any, kept: TeacherCache | None) -> Distillation:
    task = Task(kind=kind, labels=LABELS[kind])
    return Distillation((SoftTargets(), HiddenStates()), model, model, task, kept=kept)


@pytest.mark.parametrize("kind", ["classification", "tokens"])
def test_what_is_read_is_what_was_said_in_any_batch(tmp_path: Path, kind: Any) -> None:
    model, encoded = teacher_and_texts(kind)
    loss = loss_for(model, kind, kept_in(tmp_path, model, encoded, kind))
    assert loss._kept is not None
    said = {}
    for index in range(0, 16, 4):
        batch = encoded.batch([index, index + 1, index + 2, index + 3])
        assert loss._kept.read(batch) is None
        said[index] = loss._asked(batch)
    loss._teacher.clear()  # from here on it cannot be asked
    for index, before in said.items():
        again = loss._asked(encoded.batch([index, index + 1, index + 2, index + 3]))
        assert torch.equal(again.logits, before.logits)
        assert all(map(torch.equal, again.hidden, before.hidden))
    mixed = encoded.batch([15, 0, 6])
    found = loss._asked(mixed)
    with torch.no_grad():
        expected = model(**mixed.inputs, output_hidden_states=True)
    real = mixed.inputs["attention_mask"].bool()
    near = {"rtol": 0.05, "atol": 0.05}  # bf16
    logits = (found.logits, expected.logits)
    ours, theirs = (x[real] for x in logits) if kind == "tokens" else logits
    torch.testing.assert_close(ours.float(), theirs, **near)
    for level, state in zip(found.hidden, expected.hidden_states, strict=True):
        torch.testing.assert_close(level[real].float(), state[real], **near)


def test_a_later_training_goes_on_with_what_is_there(tmp_path: Path) -> None:
    model, encoded = teacher_and_texts("classification")
    first = kept_in(tmp_path, model, encoded, "classification")
    batch, other = encoded.batch([0, 1, 2]), encoded.batch([3, 4])
    said = loss_for(model, "classification", first)._asked(batch)
    first.flush()
    again = kept_in(tmp_path, model, encoded, "classification")
    found = again.read(batch)
    assert found is not None
    assert torch.equal(found.logits, said.logits)
    assert again.read(other) is None
    assert again.read(encoded.batch([2, 3])) is None


def test_rows_without_a_mark_are_asked_for_again(tmp_path: Path) -> None:
    """After a crash marks are missing, never rows."""
    model, encoded = teacher_and_texts("classification")
    first = kept_in(tmp_path, model, encoded, "classification")
    batch = encoded.batch([0, 1])
    loss_for(model, "classification", first)._asked(batch)
    assert kept_in(tmp_path, model, encoded, "classification").read(batch) is None


def test_only_what_is_compared_is_kept(tmp_path: Path) -> None:
    model, encoded = teacher_and_texts("classification")
    kept = kept_in(tmp_path, model, encoded, "classification", hidden=False)
    task = Task(kind="classification", labels=LABELS["classification"])
    loss = Distillation((SoftTargets(),), model, model, task, kept=kept)
    assert loss._asked(encoded.batch([0, 1])).hidden == ()
    assert not (tmp_path / "hidden.bin").exists()


@pytest.mark.parametrize("change", ["teacher", "texts", "translation", "objectives"])
def test_a_stale_folder_is_refused(tmp_path: Path, change: str) -> None:
    model, encoded = teacher_and_texts("classification")
    kept_in(tmp_path, model, encoded, "classification")
    key = key_of(model, encoded, None, "classification")
    if change == "teacher":
        model.classifier.bias.data += 1e-3
    if change == "texts":
        encoded.rows[3]["input_ids"][1] += 1
    if change == "translation":
        other = Translation(torch.arange(9).unsqueeze(1), torch.ones(9, dtype=torch.long))
        assert key != key_of(model, encoded, other, "classification")
        return
    with pytest.raises(ValueError, match="holds the outputs of another teacher, of other texts"):
        kept_in(tmp_path, model, encoded, "classification", hidden=change != "objectives")


def test_a_full_disk_is_refused_before_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, encoded = teacher_and_texts("classification")
    free = type("Usage", (), {"free": 10})
    monkeypatch.setattr("shutil.disk_usage", lambda _: free)
    with pytest.raises(OSError, match="MiB are needed"):
        kept_in(tmp_path / "new", model, encoded, "classification")
    assert not (tmp_path / "new" / "outputs.json").exists()


def test_rows_lie_one_after_the_other(tmp_path: Path) -> None:
    model, encoded = teacher_and_texts("tokens")
    kept_in(tmp_path, model, encoded, "tokens")
    tokens = sum(encoded.length(index) for index in range(len(TEXTS)))
    assert (tmp_path / "hidden.bin").stat().st_size == tokens * LEVELS * WIDTH * 2
    assert (tmp_path / "logits.bin").stat().st_size == tokens * 2 * 2
    assert np.fromfile(tmp_path / "checksums.bin", np.uint64).sum() == 0


@pytest.mark.parametrize("file", ["logits.bin", "hidden.bin", "checksums.bin"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "deleted", "longer"])
def test_the_teacher_reads_again_what_was_damaged(
    tmp_path: Path, file: str, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    model, encoded = teacher_and_texts("classification")
    first = kept_in(tmp_path, model, encoded, "classification")
    batch = encoded.batch([0, 1, 2, len(encoded) - 1])
    said = loss_for(model, "classification", first)._asked(batch)
    first.flush()
    data = bytearray((tmp_path / file).read_bytes())
    data[1] ^= 4
    changed = {"cut": data[: len(data) // 4], "flipped": data, "longer": data + data[:4]}
    (tmp_path / file).unlink()
    if damage != "deleted":
        (tmp_path / file).write_bytes(changed[damage])
    again = kept_in(tmp_path, model, encoded, "classification")
    found = again.read(batch)
    assert found is None
    assert bool(caplog.records) == (file != "checksums.bin" or damage in ("flipped", "longer"))
    redone = loss_for(model, "classification", again)._asked(batch)
    assert torch.equal(redone.logits, said.logits)
    assert len(caplog.records) <= 1  # said once
    again.flush()
    assert kept_in(tmp_path, model, encoded, "classification").read(batch) is not None


def test_a_cache_without_checksums_is_begun_anew_and_damage_to_its_description_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model, encoded = teacher_and_texts("classification")
    first = kept_in(tmp_path, model, encoded, "classification")
    batch = encoded.batch([0])
    loss_for(model, "classification", first)._asked(batch)
    first.flush()
    kept = tmp_path / "outputs.json"
    table = json.loads(kept.read_text())
    del table["format"]
    kept.write_text(json.dumps(table))
    assert kept_in(tmp_path, model, encoded, "classification").read(batch) is None
    assert "has no checksums and is begun anew" in caplog.text
    kept.write_text("{")
    with pytest.raises(ValueError, match=r"outputs\.json is not valid JSON"):
        kept_in(tmp_path, model, encoded, "classification")

    assert np.fromfile(tmp_path / "checksums.bin", np.uint64).sum() == 0


@pytest.mark.parametrize("kind", ["classification", "tokens"])
def test_a_teacher_in_fp32_is_kept_bit_by_bit_in_twice_the_space(tmp_path: Path, kind: Any) -> None:
    model, encoded = teacher_and_texts(kind)
    kept = kept_in(tmp_path, model, encoded, kind, dtype=torch.float32)
    task = Task(kind=kind, labels=LABELS[kind])
    objectives = (SoftTargets(), HiddenStates())
    loss = Distillation(objectives, model, model, task, kept=kept, precision="fp32")
    batch = encoded.batch([3, 0, 9])
    said = loss._asked(batch)
    loss._teacher.clear()  # from here on it cannot be asked
    again = loss._asked(batch)
    with torch.no_grad():
        expected = model(**batch.inputs, output_hidden_states=True)
    real = batch.inputs["attention_mask"].bool()
    for found in (said, again):
        ours, theirs = found.logits, expected.logits
        assert torch.equal(
            *((x[real] for x in (ours, theirs)) if kind == "tokens" else (ours, theirs))
        )
        for level, state in zip(found.hidden, expected.hidden_states, strict=True):
            assert torch.equal(level[real], state[real])
    tokens = sum(encoded.length(index) for index in range(len(TEXTS)))
    assert (tmp_path / "hidden.bin").stat().st_size == 4 * tokens * LEVELS * WIDTH


def test_a_cache_in_another_precision_is_refused(tmp_path: Path) -> None:
    model, encoded = teacher_and_texts("classification")
    kept_in(tmp_path, model, encoded, "classification")
    with pytest.raises(ValueError, match=r"or in another precision than float32, or is"):
        kept_in(tmp_path, model, encoded, "classification", dtype=torch.float32)
    about = json.loads((tmp_path / "outputs.json").read_text())
    del about["dtype"]  # as it was written before teachers kept their buffers
    (tmp_path / "outputs.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match=r"or in another precision than bfloat16, or is"):
        kept_in(tmp_path, model, encoded, "classification")


def test_a_disk_that_fills_up_is_an_error_and_no_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its room is reserved when the cache is begun: a map without it ends the process by SIGBUS."""
    monkeypatch.setattr(teacher_cache, "check_space", lambda *_: None)  # another took the room
    begin = partial(TeacherCache, key="k", width=3, per_token=False, hidden=(0, 0))
    with small_disk(tmp_path / "disk", 2**16) as place:
        with pytest.raises(DiskFull, match=r"logits.bin could not be written: No space left"):
            begin(place / "cache", lengths=[1] * 2**15)
        assert os.listdir(place / "cache") == ["outputs.json"]
    cache = begin(tmp_path / "cache", lengths=[1] * 2**15)
    file = os.stat(tmp_path / "cache" / "logits.bin")
    assert file.st_size == cache.logits.nbytes == 6 * 2**15
    assert 512 * file.st_blocks >= file.st_size
