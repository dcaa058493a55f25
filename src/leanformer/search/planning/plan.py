"""The plan: what will be done with which data, said before anything is done.

    facts       data, task, columns, model, training, time and device, each in words
    splits      rows, repeated and contradictory texts, texts that will be cut
    labels      how many rows of each split have each label
    warnings    what makes a result worth less: texts that are learned from and judged by
    notes       what may be meant otherwise

The terminal and the report show the same plan; the record keeps it as one event.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from leanformer.core.record import Record
from leanformer.data import Dataset, Examples, encode_examples
from leanformer.data.plan import DataCounts, Shared, count_data
from leanformer.report.units import percent
from leanformer.search.planning.facts import (
    Fact,
    counted,
    fact_of_device,
    fact_of_model,
    facts_of_data,
)
from leanformer.search.request import Request
from leanformer.text import reader_of


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What will be done, in words and counts that a record can keep.

    Attributes:
        facts: What each fact is about, and what is said of it, a line each.
        splits: A row of counts per split.
        labels: A row of counts per label: its name, and its examples in each split.
        max_length: Tokens that are read of a text.
        warnings: What makes a result worth less than it looks.
        notes: What may be meant otherwise.
    """

    facts: tuple[Fact, ...]
    splits: tuple[Mapping[str, Any], ...]
    labels: tuple[Mapping[str, Any], ...]
    max_length: int
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


def make_plan(
    request: Request, dataset: Dataset, model: Any, tokenizer: Any, work: tuple[Fact, ...]
) -> Plan:
    """The plan of a search or a recipe.

    Args:
        request: What is asked.
        dataset: The splits.
        model: The opened model.
        tokenizer: Its tokenizer.
        work: What will be trained, and for how long.
    """
    counts = count_data(dataset)
    length = int(min(request.max_length, tokenizer.model_max_length))
    cut = {
        own.split: _cut(getattr(dataset, own.split), dataset, tokenizer, length)
        for own in counts.splits
    }
    device = fact_of_device(request.device, request.threads)
    return Plan(
        facts=(*facts_of_data(dataset), fact_of_model(request, dataset, model), *work, device),
        splits=tuple(
            {
                "split": own.split,
                "rows": own.rows,
                "repeated": own.repeated,
                "contradictory": own.contradictory,
                "cut": cut[own.split][0],
                "longest": cut[own.split][1],
                "queries": own.queries or None,
                "numbers": own.numbers,
            }
            for own in counts.splits
        ),
        labels=_label_rows(counts, dataset),
        max_length=length,
        warnings=tuple(
            _leak(shared, counts, "text" if dataset.train.pairs is None else "pair of texts")
            for shared in counts.shared
            if shared.is_leak
        ),
        notes=tuple(_notes(counts, cut["train"][0], length, len(dataset.train))),
    )


def write_plan(record: Record, plan: Plan) -> None:
    """Write the `plan` event, unless the record's last one says the same."""
    plans = [event for event in record.events() if event["event"] == "plan"]
    fields = json.loads(json.dumps(asdict(plan)))  # tuples are lists in a record
    if not plans or any(plans[-1].get(name) != own for name, own in fields.items()):
        record.write("plan", **fields)


def _cut(examples: Examples, dataset: Dataset, tokenizer: Any, length: int) -> tuple[int, int]:
    """How many texts are longer than what is read of them; tokens of the longest in characters."""
    cut = encode_examples(examples.without_labels(), tokenizer, dataset.task.kind, length).truncated
    pairs = examples.pairs
    sizes = [
        len(text) + (len(pairs[place]) if pairs is not None else 0)
        for place, text in enumerate(examples.texts)
    ]
    longest = max(range(len(sizes)), key=sizes.__getitem__)
    beside = None if pairs is None else [pairs[longest]]
    (whole,) = reader_of(tokenizer, None).read([examples.texts[longest]], beside)
    return cut, len(whole.ids)


def _label_rows(counts: DataCounts, dataset: Dataset) -> tuple[Mapping[str, Any], ...]:
    splits = [own for own in counts.splits if own.labels]
    return tuple(
        {"name": name, **{own.split: own.labels[name] for own in splits}}
        for name in (dataset.task.labels if splits else ())
    )


def _leak(shared: Shared, counts: DataCounts, noun: str) -> str:
    """A warning of texts that are learned from and judged by."""
    learned, judged = shared.splits
    rows = next(own.rows for own in counts.splits if own.split == judged)
    other = f", {shared.contradictory:,} of them with another label" if shared.contradictory else ""
    part = percent(shared.rows[1] / rows)
    return (
        f"leak: {shared.rows[1]:,} of the {rows:,} rows of {judged} ({part}) have a {noun} that "
        f"is in {learned} too{other}. Quality on {judged} will look better than "
        "it is; remove these rows from one of the two."
    )


def _notes(counts: DataCounts, cut: int, length: int, texts: int) -> list[str]:
    """What may be meant otherwise."""
    notes = []
    if cut:
        notes.append(
            f"{cut:,} of {texts:,} training texts ({percent(cut / texts)}) are longer than the "
            f"{length} tokens that are read; --max-length (max_length) reads more"
        )
    for own in counts.splits:
        if own.contradictory:
            notes.append(
                f"{own.split}: {counted(own.contradictory, 'text')} with more than one label; a "
                "model cannot learn both"
            )
    for shared in counts.shared:
        if not shared.is_leak:
            first, second = shared.splits
            notes.append(f"{counted(shared.texts, 'text')} in both {first} and {second}")
    for name in counts.odd_labels:
        rows = sum(own.labels.get(name, 0) for own in counts.splits)
        notes.append(
            f"{name!r} is read as the name of a label ({rows:,} rows); where it means that there "
            "is none, remove these rows or move their texts to the unlabelled file"
        )
    for own in counts.splits:
        absent = [name for name, count in own.labels.items() if not count]
        if absent:
            notes.append(f"{own.split}: no row of {counted(len(absent), 'label')}")
    return notes
