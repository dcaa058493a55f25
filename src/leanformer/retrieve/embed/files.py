"""Embed files of any size: streamed, sorted by length within a window, resumable by content.

    read a window of rows -> compute each text once, long ones first -> write a shard -> go on

Memory holds one window, whatever the size of the input, and 8 bytes per row where ids are read. A
run that was killed goes on where its last whole shard ends: the rows up to there are read again,
without computing their vectors, so that a changed input is noticed. The result is the same to the
last byte as that of a run in one go, on the same machine with the same number of threads.

Legend: N texts, D width of a vector.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from leanformer.core.identity.claim import changes, keep
from leanformer.core.shards import parts_of_shards, shard_name
from leanformer.core.storage.files import check_free
from leanformer.core.storage.lock import one_at_a_time
from leanformer.data.corpus.records import Record, Records, record_files, stream_records
from leanformer.data.corpus.shards import Texts
from leanformer.retrieve.embed.distinct import with_distinct_ids
from leanformer.retrieve.embed.encoder import Encoder, open_encoder
from leanformer.retrieve.embed.progress import Meter, Progress
from leanformer.retrieve.embed.shards import Shard, take_in, write_shard, written_shards
from leanformer.retrieve.embed.stored import (
    LISTING,
    Embeddings,
    Listing,
    read_embeddings,
    write_listing,
)

DType = Literal["float32", "float16"]
Tell = Callable[[Progress], None]
REQUEST = "request.json"
SHARD_TEXTS = 4096
"""Rows of a shard, at most: what a killed run loses."""
_CHARACTERS = 2**23  # of the texts of a shard, at most
_CALL = 512  # texts that are encoded between two lines of progress
_WORDS = {"encoder": "the encoder (weights, tokenizer, pooling or prompts)"}
_TINY = 1e-12


@dataclass(frozen=True, kw_only=True)
class _Job:
    """An encoder and what its vectors are stored as."""

    encoder: Encoder
    prompt: str | None
    dtype: DType

    @property
    def normalized(self) -> bool:
        return not self.encoder.lengths_count


@one_at_a_time("out")
def embed_files(
    model: Encoder | str | Path,
    path: str | Path,
    out: str | Path,
    *,
    column: str | None = None,
    id: str | None = None,
    prompt: str | None = None,
    dtype: DType = "float32",
    batch_tokens: int | None = None,
    threads: int | None = None,
    backend: str | None = None,
    skip_errors: bool = False,
    overwrite: bool = False,
    shard_texts: int = SHARD_TEXTS,
    tell: Tell = lambda progress: None,
    command: str = "",
) -> Embeddings:
    """Embed the texts of a file or folder; goes on where an earlier run of the same work ended.

    Vectors that are compared by cosine are stored normalized. Rows that were added to the end of
    the input since are embedded too; any other change is refused.

    Args:
        model: An encoder, or what `open_encoder` opens.
        path: A file (.txt, .csv, .tsv, .jsonl or .parquet, each plain or .gz), or a folder of them.
        out: The folder of the embeddings.
        column: Column of the text; None = found by its usual names.
        id: Column of the ids, each there once; None = the lines or rows are counted.
        prompt: Name of the prompt to put before each text; "" = none; None = the model's prompt for
            documents where it has one, else its default prompt.
        dtype: What is stored.
        batch_tokens: As of `open_encoder`, which is not asked where `model` is an encoder; so are
            `threads` and `backend`.
        threads: Threads that compute.
        backend: Of an exported folder.
        skip_errors: Skip rows that cannot be read and list them, instead of stopping at the first.
        overwrite: Begin again in a folder that holds other embeddings.
        shard_texts: Rows of a shard, at most.
        tell: Told how far it is.
        command: What a second writer of the folder is told.

    Raises:
        ValueError: A row cannot be read, two have one id, the model is not an embedding model, a
            shard is damaged, the folder holds other work, or the input changed since.
        OSError: There is no such file; the folder holds something else; or somebody else writes
            there (`FolderInUse`).
    """
    _check_settings(dtype, shard_texts)
    records, out = Records(path=Path(path).expanduser(), column=column, id=id), Path(out)
    total = sum(file.stat().st_size for file in record_files(records.path))
    if not isinstance(model, Encoder):
        model = open_encoder(model, threads=threads, backend=backend, batch_tokens=batch_tokens)
    job = _Job(encoder=model, prompt=_prompt(model, prompt), dtype=dtype)
    _claim(out, job, asdict(records) | {"path": str(path)}, skip_errors, shard_texts, overwrite)
    return _embed(job, _windows(records, out, skip_errors, shard_texts), out, Meter(total), tell)


def _check_settings(dtype: str, shard_texts: int) -> None:
    if dtype not in get_args(DType):
        raise ValueError(f"dtype: {dtype!r} is not one of {', '.join(get_args(DType))}")
    if shard_texts < 1:
        raise ValueError(f"shard_texts: {shard_texts} is not a positive number of rows")


def _windows(
    records: Records, out: Path, skip_errors: bool, shard_texts: int
) -> Iterator[list[Record]]:
    """The rows of each shard; ids that were asked for are compared with all before."""
    rows = stream_records(records, keep_errors=True)
    windows = windows_of(rows if skip_errors else _without_errors(rows), shard_texts)
    return windows if records.id is None else with_distinct_ids(windows, out)


def windows_of(records: Iterable[Record], rows: int) -> Iterator[list[Record]]:
    """The rows in order, so many at a time, or fewer where texts are long."""
    window, characters = list[Record](), 0
    for record in records:
        window.append(record)
        characters += len(record.text)
        if len(window) == rows or characters >= _CHARACTERS:
            yield window
            window, characters = [], 0
    if window:
        yield window


def _without_errors(records: Iterable[Record]) -> Iterator[Record]:
    for record in records:
        if record.error:
            raise ValueError(f"{record.error}; skip_errors (--skip-errors) embeds the other rows")
        yield record


def _prompt(encoder: Encoder, asked: str | None) -> str | None:
    """The prompt that `encode` is given; a name that the model does not have is refused."""
    found = encoder.prompt_for("document") if asked is None else asked
    encoder.encode([], prompt=found)
    return found


def _claim(
    out: Path, job: _Job, about: dict[str, Any], skip_errors: bool, shard_texts: int, anew: bool
) -> None:
    """Make `out` the folder of this work, or see that it is.

    Raises:
        FileExistsError: It holds something else.
        ValueError: It holds other embeddings.
    """
    begins = {
        "encoder": job.encoder.identity,
        "precision": job.encoder.precision,
        "prompt": job.prompt,
        "dtype": job.dtype,
        "column": about["column"],
        "id": about["id"],
        "skip_errors": skip_errors,
        "shard_texts": shard_texts,
    }
    kept = out / REQUEST
    if anew and kept.is_file():
        (out / LISTING).unlink(missing_ok=True)
        for shard in sorted(out.glob("shard-*"), reverse=True):
            shutil.rmtree(shard)
        kept.unlink()
    try:
        held = changes(kept, {"begins": begins}, _WORDS)
    except ValueError as error:
        raise ValueError(f"{error}; overwrite (--overwrite) begins again") from None
    if held is None:
        check_free(out)
        keep(kept, about, {"begins": begins})


def _embed(
    job: _Job, windows: Iterator[list[Record]], out: Path, meter: Meter, tell: Tell
) -> Embeddings:
    """Write the shards that are missing, and the listing."""
    texts, shards, grown, done = Texts(), list(written_shards(out)), list[Record](), 0
    for number, shard in enumerate(shards):
        window = next(windows, [])
        same = len(window) >= shard.read and take_in(texts, window[: shard.read]) == shard.texts
        more = len(window) > shard.read
        if not same or (more and number + 1 < len(shards)):
            raise ValueError(
                f"{out / shard.name}: its texts are not those of the input, which was changed "
                "since they were embedded; name another folder, or begin again: overwrite "
                "(--overwrite)"
            )
        if more:
            take_in(texts, window[shard.read :])
            grown, shards = window, shards[:-1]
        else:
            done = window[-1].done
    rows = sum(shard.rows for shard in shards)
    meter.begin(rows, done)
    while window := grown or next(windows, []):
        (out / LISTING).unlink(missing_ok=True)
        digest = texts.digest if grown else take_in(texts, window)
        vectors_ND = _vectors(job, window, meter, tell, rows, done)
        shards.append(write_shard(out / shard_name(len(shards)), window, vectors_ND, digest))
        rows, done = rows + len(vectors_ND), window[-1].done
        window, grown = [], []  # before the next one is read: memory holds one
    if not rows:
        raise ValueError("the input holds no text that can be read; give another file")
    tell(meter.progress(rows, done, last=True))
    write_listing(out, _listing(job, out, shards))
    return read_embeddings(out, check=False)


def _vectors(
    job: _Job, window: Sequence[Record], meter: Meter, tell: Tell, rows: int, done: int
) -> NDArray[Any]:
    """The vectors [N, D] of the rows that could be read, equal texts computed once."""
    good = [record for record in window if not record.error]
    unique = dict.fromkeys(record.text for record in good)
    ordered = sorted(unique, key=len, reverse=True)
    row_of = {text: row for row, text in enumerate(ordered)}
    found_UD = np.empty((len(ordered), job.encoder.width), np.float32)
    for begin in range(0, len(ordered), _CALL):
        part = ordered[begin : begin + _CALL]
        found_UD[begin : begin + len(part)] = job.encoder.encode(part, prompt=job.prompt)
        share = (begin + len(part)) / len(ordered)
        here = done + share * (window[-1].done - done)
        tell(meter.progress(rows + round(share * len(good)), here))
    return _stored(job, found_UD, ordered)[[row_of[record.text] for record in good]]


def _stored(job: _Job, vectors_UD: NDArray[np.float32], texts: Sequence[str]) -> NDArray[Any]:
    """Vectors as they are stored.

    Raises:
        ValueError: A number is too large for float16.
    """
    if job.normalized:
        lengths_U1 = np.linalg.norm(vectors_UD, axis=1, keepdims=True)
        vectors_UD = vectors_UD / np.maximum(lengths_U1, _TINY)
    with np.errstate(over="ignore"):
        stored_UD = vectors_UD.astype(job.dtype)
    wrong = ~np.isfinite(stored_UD).all(axis=1)
    if wrong.any():
        raise ValueError(
            f"dtype: the vector of {texts[int(np.argmax(wrong))][:40]!r} has numbers that are too "
            f"large for {job.dtype}; store float32"
        )
    return stored_UD


def _listing(job: _Job, out: Path, shards: Sequence[Shard]) -> Listing:
    return Listing(
        encoder=job.encoder.identity,
        precision=job.encoder.precision,
        prompt=job.prompt or "",
        width=job.encoder.width,
        dtype=job.dtype,
        normalized=job.normalized,
        shards=tuple(shards),
        parts=parts_of_shards(out, [shard.name for shard in shards]),
    )
