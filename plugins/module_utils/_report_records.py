# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which records are of a period, and whether one can be read. Private to this collection."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import STATUSES

SCHEMA = 1
NAME = re.compile(r"(\d{8}T\d{6}Z)-(.+)-(?:awx-\d+|[0-9a-f]{12})\.json")
RUN_STATUSES = ("running", "ok", "failed", "interrupted")
TEXTS = ("host", "id", "name", "section", "detail")
TEXTS_OR_NOTHING = ("unit", "remedy", "because")
MOST_DIGITS = 18
AHEAD_SECONDS = 86400.0  # clocks differ, by hours where a time zone was taken for UTC
NAME_SECONDS = 60.0  # the two are written by one run, from one time


class RecordError(Exception):
    """A record cannot be used; the message says why, in a few words."""


def moment(text: Any) -> float:
    """Return a time of a record as seconds since 1970.

    :raises RecordError: it is none.
    """
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp()
    except (TypeError, ValueError):
        raise RecordError(f"{text!r} is not a time") from None


def choose_names(names: Iterable[str], *, since: float, until: float) -> tuple[list[str], list[str]]:
    """Return the names of the records of runs that began in a period, in order, and those of files that are no records."""
    chosen, strange = [], []
    for name in sorted(names):
        if name.startswith(".") or not name.endswith(".json"):
            continue  # what is being written, and what others put there
        met = NAME.fullmatch(name)
        at = _time_of(met[1]) if met else None
        if at is None:
            strange.append(name)
        elif since <= at < until:
            chosen.append(name)
    return chosen, strange


def to_come(names: Iterable[str], now: float) -> list[str]:
    """Return the names of records of a time that is still to come: some controller's clock was wrong."""
    times = ((name, NAME.fullmatch(name)) for name in sorted(names))
    return [name for name, met in times if met and (_time_of(met[1]) or 0.0) > now + AHEAD_SECONDS]


def check_name(name: str, record: Mapping[str, Any]) -> None:
    """Look whether a record is the one that its name tells of.

    :raises RecordError: it began at another time.
    """
    met = NAME.fullmatch(name)
    at = _time_of(met[1]) if met else None
    if at is not None and abs(at - record["began"]) > NAME_SECONDS:
        raise RecordError("its name tells another time than it does")


def first_runs(names: Iterable[str]) -> dict[str, float]:
    """Return when each playbook ran first, by the names of the records alone: they reach further back than what is read."""
    found: dict[str, float] = {}
    for name in sorted(names):
        met = NAME.fullmatch(name)
        at = _time_of(met[1]) if met else None
        if met and at is not None:
            for part in met[2].split("+"):
                found.setdefault(part, at)
    return found


def _time_of(text: str) -> float | None:
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return None


def parse_record(content: bytes) -> dict[str, Any]:
    """Return the record.

    :raises RecordError: it was cut or changed, or is of a version that is not known.
    """
    try:
        record = json.loads(
            content.decode("utf-8"), parse_constant=lambda _word: None, parse_float=_number, parse_int=_number
        )
    except (UnicodeDecodeError, ValueError, RecursionError):
        raise RecordError("empty" if not content.strip() else "not whole, or not JSON") from None
    if not isinstance(record, dict):
        raise RecordError("not a record")
    if record.get("schema") != SCHEMA:
        raise RecordError(f"of version {str(record.get('schema'))[:20]}, known is {SCHEMA}")
    if record.get("status") not in RUN_STATUSES:
        raise RecordError("without a known status")
    record["began"] = moment(record.get("started_at"))
    if not isinstance(record.get("playbook"), str) or not isinstance(record.get("system"), str):
        raise RecordError("without playbook or system")
    for part, good in (("checks", _is_check), ("changes", _is_change), ("hosts", _is_host)):
        items = record.get(part)
        if not isinstance(items, list) or not all(good(item) for item in items):
            raise RecordError(f"its {part} are damaged")
    return record


def number_of(check: dict[str, Any]) -> float | None:
    """Return the value of ``check`` where it is a number that can be drawn."""
    value = check.get("value")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value)


def _number(text: str) -> float | None:
    """Return the number that ``text`` is, None where nothing can be made of it: not finite, or one that fits nowhere."""
    if len(text) <= MOST_DIGITS and text.lstrip("-").isdigit():
        return int(text)
    number = float(text)
    return number if math.isfinite(number) else None


def _is_check(item: Any) -> bool:
    return (
        isinstance(item, dict)
        and item.get("status") in STATUSES
        and all(isinstance(item.get(name), str) for name in TEXTS)
        and all(isinstance(item.get(name), (str, type(None))) for name in TEXTS_OR_NOTHING)
    )


def _is_change(item: Any) -> bool:
    return isinstance(item, dict) and all(isinstance(item.get(name), str) for name in ("host", "thing", "action"))


def _is_host(item: Any) -> bool:
    return isinstance(item, dict) and isinstance(item.get("host"), str) and isinstance(item.get("status"), str)
