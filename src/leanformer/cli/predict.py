"""`leanformer predict DIR --in texts.txt`: answers of an exported model, one JSON line per line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from leanformer.data.inputs import Input
    from leanformer.runtime.serving.predictor import Predictor


def predict(
    folder: Annotated[Path, typer.Argument(help="Folder that leanformer exported.")],
    in_: Annotated[
        Path, typer.Option("--in", help="Texts: txt, tsv, csv, json, jsonl or parquet.")
    ],
    out: Annotated[Path | None, typer.Option(help="File of answers; stdout without it.")] = None,
    text: Annotated[str, typer.Option(help="Column of the text.")] = "text",
    pair: Annotated[str | None, typer.Option(help="Column of the second text.")] = None,
    id_: Annotated[
        str | None, typer.Option("--id", help="Column to write beside the answer, not the text.")
    ] = None,
    skip_errors: Annotated[
        bool, typer.Option(help="Answer a row that cannot be read with its error, and go on.")
    ] = False,
    backend: Annotated[
        str | None, typer.Option(help="openvino, onnxruntime or pytorch; the winner without it.")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Threads; all cores without it.")] = None,
) -> None:
    """Answer every line of a file, in its order; a blank line is answered with an error."""
    from leanformer.core.machine.threads import check_threads
    from leanformer.core.storage.files import write_text
    from leanformer.data.inputs import read_inputs, refuse
    from leanformer.runtime.serving.predictor import load

    check_threads(threads, "--threads")
    inputs = read_inputs(in_, text, pair)
    if id_ is not None and not any(id_ in one.row for one in inputs):
        raise ValueError(f"{in_}: no column {id_!r}; there are: {_columns(inputs)}")
    if not skip_errors:
        refuse(inputs, "; --skip-errors answers the other rows")
    predictor = load(folder, backend, threads)  # type: ignore[arg-type]
    if pair is not None and predictor.about.output == "vector":
        raise ValueError(f"--pair: {folder} gives the vector of one text; leave --pair out")
    lines = "".join(
        json.dumps(answer, ensure_ascii=False, default=str) + "\n"
        for answer in _answers(predictor, inputs, text, pair, id_)
    )
    if out is None:
        typer.echo(lines, nl=False)
    else:
        write_text(out, lines)
    wrong = sum(bool(one.error) for one in inputs)
    typer.echo(f"{len(inputs) - wrong} answers, {wrong} errors", err=True)


def _columns(inputs: "list[Input]") -> str:
    return ", ".join(next((one.row for one in inputs if one.row), {}))


def _answers(
    predictor: "Predictor", inputs: "list[Input]", text: str, pair: str | None, id_: str | None
) -> list[dict[str, Any]]:
    """What is written for each row: its text or id, and the answer or the error."""
    good = [one for one in inputs if not one.error]
    texts = [one.text for one in good if one.text is not None]
    pairs = [one.pair for one in good if one.pair is not None] if pair else None
    answers = _sourced(predictor, texts, pairs)
    return [
        {
            **_beside(one, text, pair, id_),
            **({"error": one.error} if one.error else next(answers)),
        }
        for one in inputs
    ]


def _sourced(
    predictor: "Predictor", texts: list[str], pairs: list[str] | None
) -> Iterator[dict[str, Any]]:
    """The answer to each text as JSON; of a cascade, with the part that gave it."""
    plain = predictor.about.plain
    if predictor.about.output == "vector":
        return map(plain, predictor.encode(texts))
    if not predictor.system.sources:
        return map(plain, predictor.predict(texts, pairs))
    found = predictor.predict(texts, pairs, sources=True)
    return ({**plain(one.answer), "source": one.source} for one in found)


def _beside(one: "Input", text: str, pair: str | None, id_: str | None) -> dict[str, Any]:
    from leanformer.text.texts import repair

    columns = [text, *([pair] if pair else [])] if id_ is None else [id_]
    values = {column: one.row.get(column, "" if id_ is None else None) for column in columns}
    return {key: repair(v) if isinstance(v, str) else v for key, v in values.items()}
