"""Fields and techniques with a new name: recipes and checkpoints of an earlier version still read.

A row of `FIELDS` names a class, the old field, the new one, and where the value changes with the
name, how. A field that went into a nested technique is named by its path:

    train.weight_decay = 0.1   ->   train.optimizer = { use = "adamw", weight_decay = 0.1 }

A row of `TECHNIQUES` names a family, an old technique and the new one. `leanformer.core.codec`
looks here before it decodes a table, so that nothing else has to know the old names. A row stays
for one version, or for good where the short form is right too.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Renamed:
    """What became of a field.

    Attributes:
        new: What it is called now; "optimizer.weight_decay" is a field of a nested technique.
        convert: From the old value to the new one.
        technique: The nested technique, where the table does not name one.
        short: Whether the old name stays right, as a short form that is read without a note.
    """

    new: str
    convert: Callable[[Any], Any] = lambda value: value
    technique: str = ""
    short: bool = False


def _sparsity(keep: Any) -> Any:
    return round(1 - keep, 12) if type(keep) in (int, float) else keep


def _is_best(choose: Any) -> Any:
    return choose == "best" if choose in ("best", "last") else choose


def _negated(flag: Any) -> Any:
    return not flag if isinstance(flag, bool) else flag


def _granularity(per: Any) -> Any:
    names = {"rows": "row-group", "columns": "group"}
    return names.get(per, per) if isinstance(per, str) else per


_FLOAT_LAYERS = {"keep_float": Renamed("modules_to_not_convert")}

FIELDS: dict[str, dict[str, Renamed]] = {
    "BlockWindow": {"size": Renamed("block_size")},
    "Blockwise": {"size": Renamed("block_size")},
    "Fixed": {"stretch": Renamed("block_size")},
    "LSH": {
        "rounds": Renamed("num_hashes"),
        "shared": Renamed("shared_qk"),
        "chunks": Renamed("full_chunks"),
    },
    "RandomBlocks": {"count": Renamed("num_random_blocks"), "size": Renamed("block_size")},
    "Sinkhorn": {"cut": Renamed("n_top"), "size": Renamed("block_size")},
    "Finetune": {
        "choose": Renamed("load_best_at_end", _is_best),
        "regain": Renamed("require_improvement"),
    },
    "Pretrain": {"share": Renamed("mlm_probability")},
    "Distill": {
        "choose": Renamed("load_best_at_end", _is_best),
        "regain": Renamed("require_improvement"),
        "masked": Renamed("mlm_probability"),
        "keep_outputs": Renamed("teacher_cache"),
    },
    "Progressive": {
        "masked": Renamed("mlm_probability"),
        "keep_outputs": Renamed("teacher_cache"),
    },
    "CutVocabulary": {"needed": Renamed("missing_ok", _negated)},
    "Sparsify": {
        "keep": Renamed("sparsity", _sparsity),
        "saliency": Renamed("criterion"),
    },
    "SparseGpt": {
        "keep": Renamed("sparsity", _sparsity),
        "span": Renamed("block_size"),
        "damping": Renamed("damp_percent"),
    },
    "BrainSurgeon": {"block": Renamed("block_size"), "damping": Renamed("damp_percent")},
    "Hybrid": {"block": Renamed("block_size")},
    "Lottery": {"remove": Renamed("prune_fraction")},
    "Uniform": {
        "per": Renamed("granularity", _granularity),
        "group": Renamed("group_size"),
        "groups": Renamed("num_groups"),
        "ends": Renamed("clipping"),
    },
    "Ternary": {"per": Renamed("granularity")},
    "TernaryLossAware": {"per": Renamed("granularity")},
    "Dynamic": {"per": Renamed("granularity")},
    "Gptq": {"ordered": Renamed("act_order"), "damping": Renamed("damp_percent")},
    "Int8": _FLOAT_LAYERS,
    "QuantizeAware": _FLOAT_LAYERS,
    "WeightOnly": _FLOAT_LAYERS,
    "TrainSetup": {
        "micro_tokens": Renamed("max_tokens_per_microbatch"),
        "start": Renamed("start_fraction"),
        "clip": Renamed("max_grad_norm"),
        "patience": Renamed("early_stopping_patience"),
        "learning_rate": Renamed("optimizer.learning_rate", technique="adamw", short=True),
        "weight_decay": Renamed("optimizer.weight_decay", technique="adamw"),
        "warmup": Renamed("schedule.warmup", technique="linear"),
    },
}
"""Name of a class -> name that one of its fields had -> what became of it."""

TECHNIQUES: dict[str, dict[str, str]] = {"bits": {"listed-bits": "fixed-bits"}}
"""Name of a family -> name that one of its techniques had -> what it is called now."""


def new_technique(name: Any, family: str, place: str) -> Any:
    """The present name of a technique of `family`; `name` itself unless it is an old one.

    Args:
        name: What the file holds.
        family: Where the technique is looked for.
        place: Where the name stands, for messages.
    """
    new = TECHNIQUES.get(family, {}).get(name) if isinstance(name, str) else None
    if new is None:
        return name
    warnings.warn(f"{place}: {name} is called {new} now", FutureWarning, stacklevel=2)
    return new


def with_new_names(cls: type, table: dict[str, Any], place: str) -> dict[str, Any]:
    """`table` with the fields of `cls` by their present names.

    Args:
        cls: The dataclass that the table describes; rows of the classes it derives from count too.
        table: What the file holds.
        place: Where it stands, for messages.

    Raises:
        ValueError: A field stands there by both names.
    """
    rows = {old: row for base in cls.__mro__ for old, row in FIELDS.get(base.__name__, {}).items()}
    found = {old: rows[old] for old in table if old in rows}
    if not found:
        return table
    current = {key: value for key, value in table.items() if key not in found}
    for old, row in found.items():
        where = f"{place}.{old}" if place else old
        _put(current, row, row.convert(table[old]), where)
        if not row.short:
            warnings.warn(f"{where} is called {row.new} now", FutureWarning, stacklevel=2)
    return current


def _put(table: dict[str, Any], row: Renamed, value: Any, where: str) -> None:
    """Put a value into `table` under its present name, which may be a path of two."""
    outer, _, inner = row.new.rpartition(".")
    if outer:
        nested = table.get(outer, {})
        nested = {"use": nested} if isinstance(nested, str) else nested
        if not isinstance(nested, dict):
            return  # no table: refused where it is decoded
        table[outer] = table = {"use": row.technique, **nested}
    if inner in table:
        now = f"short for {row.new}" if row.short else f"called {row.new} now"
        raise ValueError(f"{where}: it is {now}, which is given too; remove one of the two")
    table[inner] = value
