"""The folder of a search: whose it is, and what a changed request goes on with.

    begins      data, models, seed, length of texts      another of these: another search
    settings    what is asked for, and how it is trained     what is still true is used
    test        texts and labels of the test split

Models that were trained stay where they are (`recipe.stages`), so that another `keep` or more
`minutes` cost the judging and the choice; the former record stays beside the new one.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from leanformer.core import codec
from leanformer.core.identity.claim import changes, keep
from leanformer.core.identity.differences import listed
from leanformer.core.record import Record, read
from leanformer.core.storage.files import check_space, is_empty
from leanformer.core.storage.json_file import read_json
from leanformer.data import Dataset
from leanformer.data.identity import identify_data
from leanformer.recipe.identity import WORDS
from leanformer.search.opening import Opened
from leanformer.search.request import Request

_SPACE = 2**30  # bytes: teacher, candidates with their checkpoints, exports
_BEGINS = ("seed", "max_length", "fresh_head")
_BY_CONTENT = ("model", "student", "data", "device")  # or no part of it, as the device


def claim(
    out: Path,
    request: Request,
    dataset: Dataset,
    opened: Opened,
    say: Callable[[str], None] = lambda text: None,
    *,
    write: bool = True,
) -> None:
    """Make `out` the folder of this request: new, gone on with, or changed, with a new record.

    Args:
        out: The folder.
        request: What is asked.
        dataset: Its data.
        opened: Its models.
        say: Told of what has changed since the folder was used last.
        write: Whether anything is written; if not, the folder is only checked.

    Raises:
        FileExistsError: `out` holds something that is no search.
        ValueError: `out` holds the search of other data or another model; what differs is named.
        OSError: The disk is too full.
    """
    kept, content = out / "request.json", _content(request, dataset, opened)
    changed = changes(kept, content, WORDS)
    if changed is None:
        _check_new(out)
    if not write:
        return
    if changed:
        say(f"changed since the former search: {listed(changed)}; what is trained is used again")
        before = read_json(kept)["content"].get("settings")
        _begin_record(Record(out / "record.jsonl"), before, content["settings"])
    if changed != []:
        keep(kept, codec.encode(replace(request, device="auto")), content)


def _begin_record(record: Record, before: Any, now: dict[str, Any]) -> None:
    """Set the former record aside; what was shortened stays so unless there is more time, and the
    same students are tried in the same order, beginning with the same one for the same promise."""
    kept = {"layers"}
    if _as_long(before, now):
        kept |= {"pace"} | ({"first"} if before["keep"] == now["keep"] else set())
    events = [event for event in record.events() if event["event"] in kept]
    record.set_aside()
    for event in events:
        record.write(**event)


def _as_long(before: Any, now: dict[str, Any]) -> bool:
    """Whether trainings are asked to be as long as before, in no more time."""
    if not isinstance(before, dict) or not isinstance(before.get("minutes"), int | float):
        return False
    lengths = (now.get(key) == before.get(key) for key in ("teacher_epochs", "student_epochs"))
    return bool(now["minutes"] <= before["minutes"] and all(lengths))


def opened_test_before(out: Path) -> str:
    """What weakens a verdict: that the test split is known from an earlier one; "" = it is not."""
    former = [
        path.name
        for path in sorted(out.glob("record.*.jsonl"))
        if any(event["event"] == "verdict" for event in read(path))
    ]
    if not former:
        return ""
    return f"The test split was opened before, for an earlier choice ({', '.join(former)})."


def _content(request: Request, dataset: Dataset, opened: Opened) -> dict[str, Any]:
    asked = codec.encode(request)
    settings = {key: asked[key] for key in asked if key not in (*_BEGINS, *_BY_CONTENT)}
    data = identify_data(dataset)
    test = data.pop("test")
    begins = {"format": 1, "data": data, **opened.content} | {key: asked[key] for key in _BEGINS}
    return {"begins": begins, "settings": settings, "test": test}


def _check_new(out: Path) -> None:
    if out.is_file():
        raise FileExistsError(f"{out} is a file; name a folder with --out")
    if out.is_dir() and not is_empty(out):
        raise FileExistsError(f"{out} exists and is not empty; name another folder with --out")
    check_space(out, _SPACE)
