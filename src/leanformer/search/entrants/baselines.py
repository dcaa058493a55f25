"""What a user has today: the whole teacher in PyTorch, OpenVINO int8 and ONNX Runtime."""

import json
import time
from pathlib import Path
from textwrap import shorten

from leanformer.core.storage.files import recover_folder, write_text
from leanformer.core.storage.json_file import read_json
from leanformer.models.io.save import save_model
from leanformer.runtime.backends import find_backend, graph_file
from leanformer.runtime.manifest import format_of
from leanformer.runtime.session import Precision
from leanformer.search.contest import Contest
from leanformer.search.entry import FUSED_TEACHER, INT8_TEACHER, TEACHER

_REASON = 400  # characters of a message that are kept


def enter_baselines(contest: Contest, folder: Path) -> None:
    """Export the whole teacher as its user would run it without us.

    A baseline that cannot be had is recorded with the reason, and not tried again by a search
    that is resumed.
    """
    _save_teacher(contest, folder)
    more = ", ONNX Runtime fp32, OpenVINO int8" if contest.graphs else ""
    contest.say(f"baselines: PyTorch fp32{more} of the teacher")
    contest.enter(TEACHER, "teacher", folder, "pytorch", "fp32", contest.teacher, contest.tokenizer)
    if not contest.graphs:
        return
    baselines: tuple[tuple[str, str, Precision], ...] = (
        (INT8_TEACHER, "openvino", "int8"),
        (FUSED_TEACHER, "onnxruntime", "fp32"),
    )
    for name, backend, precision in baselines:
        if contest.decided(name, "skipped"):
            continue
        try:
            if not graph_file(folder, backend, precision, format_of(folder)).is_file():
                _export(contest, name, folder, backend, precision)
            contest.enter(
                name, "baseline", folder, backend, precision, contest.teacher, contest.tokenizer
            )
        except (MemoryError, OSError):
            raise
        except Exception as error:  # converters of graphs raise kinds of their own
            reason = shorten(str(error), _REASON)
            contest.record.write("choice", name=name, decision="skipped", reason=reason)


def _export(contest: Contest, name: str, folder: Path, backend: str, precision: Precision) -> None:
    contest.say(f"exporting {name}")
    began = time.perf_counter()
    find_backend(backend).export(
        contest.teacher,
        contest.kind,
        folder,
        precision=precision,
        calibration=contest.calibration(contest.tokenizer),
    )
    contest.record.write("export", name=name, seconds=time.perf_counter() - began)


def _save_teacher(contest: Contest, folder: Path) -> None:
    """Save the teacher, with nothing beside it that was made of another one."""
    kept = folder.with_name(f"{folder.name}.json")
    ours = contest.teacher_identity
    recover_folder(folder)
    if kept.is_file() and read_json(kept) == ours and (folder / "config.json").is_file():
        return
    save_model(contest.teacher, contest.tokenizer, folder, overwrite=True)
    write_text(kept, json.dumps(ours))
