# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a probe may be told, and one line for who told it wrong. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._words import closest


class ProbeError(Exception):
    """A probe could not look: the message says why in one line, ``remedy`` what to do."""

    def __init__(self, message: str, remedy: str | None = None) -> None:
        super().__init__(message)
        self.remedy = remedy


class Option(NamedTuple):
    """One option of a probe."""

    kind: str  # a key of KINDS
    text: str  # what it says, in which unit
    default: Any = None
    required: bool = False
    choices: tuple[Any, ...] = ()


COMMON = {
    "probe": Option("str", "which probe", required=True),
    "name": Option("str", "what the table calls it; the probe finds a name without it"),
    "section": Option("str", "the heading it stands under; each probe has one of its own"),
    "timeout_seconds": Option("float", "how long it may take", 5.0),
    "worst": Option("str", "the worst that its checks may be", "critical", choices=("critical", "warning")),
    "about": Option("things", "the thing it tells of, or things by globs of what its checks' ids end with"),
    "needs": Option("needs", "things that what it tells of needs, for all of them or by thing"),
    "live": Option(
        "dict",
        "a deployed service: {live.name}, {live.port} and {live.unit} in other options mean its live slot; with those before the first deploy",
    ),
}


def read_options(raw: Mapping[str, Any], options: Mapping[str, Option], *, where: str) -> dict[str, Any]:
    """Return ``raw`` with every option of the probe in its type, defaults filled in.

    :param where: how an error names the place, such as ``probes[2] (disk)``
    :raises ValueError: an option is not known, missing or of the wrong type; the message is one line.
    """
    allowed = {**COMMON, **options}
    for key in raw:
        if key not in allowed:
            own = ", ".join(sorted({*options, *COMMON} - {"probe"}))
            raise ValueError(f"{where}: there is no option {key!r}{nearest(key, allowed)}; allowed are {own}")
    values = {}
    for key, option in allowed.items():
        value = raw.get(key)
        if value is None:
            if option.required:
                raise ValueError(f"{where}: {key} is missing: {option.text}")
            values[key] = option.default
            continue
        try:
            values[key] = KINDS[option.kind](value)
        except (TypeError, ValueError) as exc:
            raise ValueError(f"{where}: {key} must be {EXPECTED[option.kind]}, not {value!r}") from exc
        if option.choices and values[key] not in option.choices:
            listed = ", ".join(map(str, option.choices))
            raise ValueError(f"{where}: {key} must be one of {listed}, not {value!r}")
    if values["timeout_seconds"] <= 0:
        raise ValueError(f"{where}: timeout_seconds must be more than 0, not {values['timeout_seconds']:g}")
    return values


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``, did you mean 'x'?`` for the known word nearest to ``word``, or nothing."""
    found = closest(str(word), known)
    return f", did you mean {found!r}?" if found else ""


def _text(value: Any) -> str:
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return str(value)
    raise TypeError


def _float(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError
    number = float(value)
    if number - number != 0:  # neither infinite nor not a number
        raise ValueError
    return number


def _int(value: Any) -> int:
    number = _float(value)
    if number != int(number):
        raise ValueError
    return int(number)


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() not in ("true", "yes", "false", "no"):
        raise ValueError
    return str(value).lower() in ("true", "yes")


def _list(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if not isinstance(value, (list, tuple)):
        raise TypeError
    return [_text(item) for item in value]


def _integers(value: Any) -> list[int]:
    return [_int(item) for item in (value if isinstance(value, (list, tuple)) else [value])]


def _dict(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError
    return dict(value)


def _things(value: Any) -> str | dict[str, str]:
    return {str(key): _text(thing) for key, thing in value.items()} if isinstance(value, Mapping) else _text(value)


def _needs(value: Any) -> list[str] | dict[str, list[str]]:
    return {str(key): _list(things) for key, things in value.items()} if isinstance(value, Mapping) else _list(value)


def _limits(value: Any) -> dict[str, float | None]:
    if not isinstance(value, Mapping) or set(value) - {"warning", "critical"}:
        raise TypeError
    return {key: None if value.get(key) is None else _float(value[key]) for key in ("warning", "critical")}


KINDS = {
    "str": _text,
    "int": _int,
    "float": _float,
    "bool": _bool,
    "list": _list,
    "integers": _integers,
    "dict": _dict,
    "limits": _limits,
    "secret": _text,
    "things": _things,
    "needs": _needs,
}
EXPECTED = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list of text",
    "integers": "a list of whole numbers",
    "dict": "a mapping",
    "secret": "the name of one of the secrets",
    "limits": "a mapping with warning and critical, each a number or null",
    "things": "text, or a mapping of globs and text",
    "needs": "a list of text, or a mapping of things and such lists",
}


def limits(warning: float | None, critical: float | None = None) -> dict[str, float | None]:
    """Return the two limits of an option of kind ``limits``; None means that there is none."""
    return {"warning": warning, "critical": critical}
