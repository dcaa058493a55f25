"""The one way between text and objects: TOML or JSON values <-> frozen dataclasses.

A field that holds a technique is written `{ use = "soft-targets", temperature = 2.0 }`. Whatever
does not fit is answered with its place, the value, the rule and the nearest right name:

    steps[1].bits: 5 is not one of 2, 3, 4, 8

TOML has no null: a field that may be None is left out where None is its default, and is the word
"none" where it is not.
"""

import dataclasses
import inspect
import re
import tomllib
import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from leanformer.core.ranges import as_number, check_rules, member_for
from leanformer.core.renamed import new_technique, with_new_names
from leanformer.core.shown import one_line, shown
from leanformer.core.technique import find, nearest

_NONE = "none"


def decode(kind: Any, value: Any, place: str = "") -> Any:
    """`value`, read from TOML or JSON, as an object of type `kind`.

    Args:
        kind: A type: a scalar, Path, Literal, Optional, tuple[T, ...], dict[str, T], a dataclass,
            or an interface; numbers may be annotated with a `Range`.
        value: What the file holds.
        place: Where it stands, for the message of an error.

    Raises:
        ValueError: The value does not fit; the message begins with the place.
    """
    origin = get_origin(kind)
    if kind is Any:
        return value
    if origin is Annotated:
        inner, *rules = get_args(kind)
        found = decode(inner, value, place)
        check_rules(rules, found, place)
        return found
    if origin is Literal:
        return _literal(kind, value, place)
    if origin in (Union, types.UnionType):
        return _optional(kind, value, place)
    if origin is tuple:
        return _tuple(kind, value, place)
    if origin is dict:
        _expect(isinstance(value, dict), place, value, "a table")
        return {
            key: decode(get_args(kind)[1], item, _join(place, key)) for key, item in value.items()
        }
    if inspect.isclass(kind) and inspect.isabstract(kind) and hasattr(kind, "family"):
        return _technique(kind, value, place)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return _dataclass(kind, value, place)
    return _scalar(kind, value, place)


def encode(value: Any) -> Any:
    """`value` as TOML and JSON know it; techniques carry their name in `use`."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        name = getattr(value, "technique", None)
        table: dict[str, Any] = {"use": name} if name else {}
        for field in dataclasses.fields(value):
            item = getattr(value, field.name)
            if item is not None:
                table[field.name] = encode(item)
            elif field.default is not None:
                table[field.name] = _NONE
        return table
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        return {key: encode(item) for key, item in value.items()}
    return str(value) if isinstance(value, Path) else value


def override(table: dict[str, Any], setting: str) -> None:
    """Apply `path.to[0].field=value` to a decoded TOML table, in place; the value is TOML or a
    bare word.

    Raises:
        ValueError: There is no `=`, or the path leads nowhere.
    """
    path, separator, text = setting.partition("=")
    keys: list[str | int] = [
        int(part[1:-1]) if part.startswith("[") else part
        for part in re.findall(r"\[\d{1,9}\]|[^.\[\]]+", path)
    ]
    if not separator or not keys:
        raise ValueError(f"--set {one_line(setting, 80)}: write path=value, e.g. steps[0].epochs=2")
    here: Any = table
    for key in keys[:-1]:
        _check_way(setting, here, key)
        here = here.setdefault(key, {}) if isinstance(here, dict) else here[key]
    _check_way(setting, here, keys[-1])
    here[keys[-1]] = _toml_value(setting, text)


def _check_way(setting: str, here: Any, key: str | int) -> None:
    """Refuse a part of a path that is neither a field of a table nor a place in a list."""
    in_table = isinstance(here, dict) and isinstance(key, str)
    in_list = isinstance(here, list) and isinstance(key, int) and key < len(here)
    if not (in_table or in_list):
        raise ValueError(f"--set {one_line(setting, 80)}: it leads nowhere at {shown(key)}")


def _toml_value(setting: str, text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except RecursionError:
        raise ValueError(f"--set {one_line(setting, 80)}: nested too deeply") from None
    except ValueError:
        return text


def _dataclass(kind: type, value: Any, place: str) -> Any:
    _expect(isinstance(value, dict), place, value, "a table")
    value = with_new_names(kind, value, place)
    hints = get_type_hints(kind, include_extras=True)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    for key in value:
        if key not in fields and key != "use":
            raise ValueError(
                f"{_join(place, one_line(key, 80))}: {kind.__name__} has no field {shown(key)}"
                f"{nearest(key, list(fields))}; it has: {', '.join(fields) or 'none'}"
            )
    for name, field in fields.items():
        needed = (
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        )
        if needed and name not in value:
            raise ValueError(f"{_join(place, name)}: {kind.__name__} needs it and it is missing")
    decoded = {
        key: decode(hints[key], item, _join(place, key))
        for key, item in value.items()
        if key != "use"
    }
    try:
        return kind(**decoded)
    except ValueError as error:
        raise ValueError(_join(place, str(error))) from error


def _technique(kind: Any, value: Any, place: str) -> Any:
    if isinstance(value, str):
        value = {"use": value}
    named = isinstance(value, dict) and isinstance(value.get("use"), str)
    _expect(named, place, value, 'a table with use = "name"')
    name = new_technique(value["use"], kind.family, _join(place, "use"))
    try:
        cls = find(name, kind.family)
    except ValueError as error:
        raise ValueError(f"{_join(place, 'use')}: {error}") from error
    return _dataclass(cls, value, place)


def _literal(kind: Any, value: Any, place: str) -> Any:
    choices = get_args(kind)
    if not any(value == choice and type(value) is type(choice) for choice in choices):
        listed = ", ".join(str(choice) for choice in choices)
        raise ValueError(f"{place}: {shown(value)} is not one of {listed}")
    return value


def _optional(kind: Any, value: Any, place: str) -> Any:
    if value in (None, _NONE) and type(None) in get_args(kind):
        return None
    members = [member for member in get_args(kind) if member is not type(None)]
    likely = member_for(members, value)
    errors = []
    for member in sorted(members, key=lambda member: member is not likely):
        try:
            return decode(member, value, place)
        except ValueError as error:
            errors.append(error)
    raise errors[0]


def _tuple(kind: Any, value: Any, place: str) -> tuple[Any, ...]:
    _expect(isinstance(value, list | tuple), place, value, "a list")
    members = get_args(kind)
    if len(members) == 2 and members[1] is ...:
        members = (members[0],) * len(value)
    _expect(len(members) == len(value), place, value, f"a list of {len(members)}")
    return tuple(
        decode(member, item, f"{place}[{index}]")
        for index, (member, item) in enumerate(zip(members, value, strict=True))
    )


def _scalar(kind: Any, value: Any, place: str) -> Any:
    if kind is Path:
        _expect(isinstance(value, str | Path), place, value, "a path")
        return Path(value)
    if kind in (int, float):
        return kind(as_number(kind, value, place))
    names = {str: "a text", bool: "true or false"}
    _expect(isinstance(value, kind), place, value, names.get(kind, str(kind)))
    return value


def _expect(fits: bool, place: str, value: Any, rule: str) -> None:
    if not fits:
        raise ValueError(f"{place or 'the file'}: {shown(value)} is not {rule}")


def _join(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key
