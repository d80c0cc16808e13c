# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare a system's description with its specification and normalise it. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._formats import FORMATS, UNITS
from ansible_collections.runbook.ops.plugins.module_utils._words import closest

PREFIX = "ops_"
UNREADABLE = object()  # stands for a value whose template failed: that is reported already
NOTHING: Any = (None, "")  # an empty text, such as a vault variable not filled in yet, is the same as none


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a hint that names the word of ``known`` most like ``word``, or all of them where none is like it."""
    words = sorted(known)
    found = closest(word, words)
    return f"did you mean {found}?" if found else f"known are {', '.join(words) or 'none'}"


def normalise(description: Mapping[str, Any], options: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the normalised description, its keys without prefix, and all problems, one line each.

    The first is complete and to be trusted only where there are no problems.

    :param description: the variables that begin with ``ops_``, templates resolved, or UNREADABLE in their place
    :param options: the ``options`` of an argument specification
    """
    problems: list[str] = []
    values = _options("", description, options, problems, "")
    return {name[len(PREFIX) :]: value for name, value in values.items()}, problems


def secrets(description: Mapping[str, Any], options: Mapping[str, Any]) -> list[str]:
    """Return the values in ``description`` whose options are marked ``no_log``, whatever else is wrong with them."""
    found = []
    for name, option in options.items():
        value = description.get(name) if isinstance(description, Mapping) else None
        for item in value if isinstance(value, list) else [value]:
            if option.get("no_log") and isinstance(item, str) and item:
                found.append(item)
            elif isinstance(item, Mapping):
                found += secrets(item, option.get("options", {}))
    return found


def _options(
    path: str, values: Mapping[str, Any], options: Mapping[str, Any], problems: list[str], near: str
) -> dict[str, Any]:
    """Return ``values`` with what ``options`` add; ``near`` names the thing for people where it has a name."""
    dot = f"{path}." if path else ""
    for key in values:
        if key not in options:
            problems.append(f"{dot}{key} is not known{near}: {nearest(str(key), options)}")
    normal: dict[str, Any] = {}
    for key, option in options.items():
        value = values.get(key)
        name = key + UNITS.get(key, "")
        if value in NOTHING or (value == [] and option.get("required")):
            if option.get("required"):
                problems.append(f"{dot}{key} is missing{near}: {option['description']}")
            normal[name] = _absent(f"{dot}{key}", option)
        else:
            normal[name] = _value(f"{dot}{key}", key, value, option, problems)
    return normal


def _absent(path: str, option: Mapping[str, Any]) -> Any:
    """Return what stands for a value that was not given: its default, or an empty list, or None."""
    default = option.get("default")
    if default is None:
        return [] if option["type"] == "list" else None
    return _value(path, path.rpartition(".")[2], default, option, [])


def _value(path: str, key: str, value: Any, option: Mapping[str, Any], problems: list[str]) -> Any:
    if value is UNREADABLE:
        return [] if option["type"] == "list" else None
    shown = _shown(value, option)
    kind = option["type"]
    if kind == "list":
        if not isinstance(value, (list, tuple)):
            problems.append(f"{path} is {shown}: write a list")
            return []
        element = {**option, "type": option["elements"], "default": None}
        return [_value(f"{path}[{index}]", key, item, element, problems) for index, item in enumerate(value)]
    if kind == "dict":
        return _mapping(path, value, option, problems, shown)
    try:
        scalar = SCALARS[kind](value)
        if option.get("choices") and scalar not in option["choices"]:
            raise ValueError(
                f"use one of {', '.join(map(str, option['choices']))}; {nearest(str(scalar), option['choices'])}"
            )
        return FORMATS[key](scalar) if key in FORMATS else scalar
    except ValueError as exc:
        problems.append(f"{path} is {shown}: {exc}")
        return None


def _mapping(path: str, value: Any, option: Mapping[str, Any], problems: list[str], shown: str) -> Any:
    if not isinstance(value, Mapping):
        problems.append(f"{path} is {shown}: write a mapping of keys and values")
        return None
    if "options" not in option:
        return plain(value)
    given = [key for key, item in value.items() if item not in NOTHING]
    for keys in option.get("mutually_exclusive", []):
        both = [key for key in keys if key in given]
        if len(both) > 1:
            problems.append(f"{path} has {' and '.join(both)}: write only one of {', '.join(keys)}")
    for keys in option.get("required_one_of", []):
        if not set(keys) & set(given):
            problems.append(f"{path} has none of {', '.join(keys)}: write one of them")
    for key, wanted, keys in option.get("required_if", []):
        lacking = [name for name in keys if name not in given]
        if value.get(key, option["options"][key].get("default")) == wanted and lacking:
            problems.append(f"{path}.{lacking[0]} is missing: {key} {wanted} needs it")
    name = value.get("name")
    near = f" ({plain(name)})" if isinstance(name, str) and name else ""
    return _options(path, value, option["options"], problems, near)


def _shown(value: Any, option: Mapping[str, Any]) -> str:
    """Return ``value`` for a message: cut where long, and nothing of what may hold a secret."""
    if isinstance(value, (Mapping, list, tuple)):
        return "a mapping" if isinstance(value, Mapping) else "a list"
    if _is_secret(option):
        return "(secret)"
    text = repr(plain(value))
    return text if len(text) <= 80 else f"{text[:77]}..."


def _is_secret(option: Mapping[str, Any]) -> bool:
    return bool(option.get("no_log")) or any(_is_secret(inner) for inner in option.get("options", {}).values())


def plain(value: Any) -> Any:
    """Return ``value`` made of JSON's own types only, without what Ansible ties to its values."""
    if isinstance(value, Mapping):
        return {str.__str__(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, (int, float)):
        return int(value) if isinstance(value, int) else float(value)
    return "(unreadable)" if value is UNREADABLE else str(value)  # a date, most likely


def _text(value: Any) -> str:
    if isinstance(value, (bool, float, Mapping, list, tuple)):
        raise ValueError("write a text; in quotes where YAML takes it for something else")
    return str(plain(value))


def _whole(value: Any) -> int:
    number = _number(value)
    if number != int(number):
        raise ValueError("write a whole number")
    return int(number)


def _number(value: Any) -> float:
    if not isinstance(value, bool) and isinstance(value, (int, float, str)):
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if 0 <= number < float("inf"):
            return int(number) if number == int(number) else number
        if str(value).strip().startswith("-"):
            raise ValueError("write a number that is not negative")
    raise ValueError("write a number")


def _truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() in ("true", "false"):
        return str(value).lower() == "true"
    raise ValueError("write true or false")


SCALARS = {"str": _text, "path": _text, "int": _whole, "float": _number, "bool": _truth}
