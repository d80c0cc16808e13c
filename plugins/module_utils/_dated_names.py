# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find backups by the date in their names. Private to this collection.

A backup is one string here, ``YYYYMMDDHHMMSS/name``: strings sort by time, and cost half the memory of a pair.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import translate
from functools import lru_cache
from itertools import islice
from operator import itemgetter

STAMP = "%Y%m%d%H%M%S"
NAME = slice(15, None)  # where the name stands in a backup's string
SIDECARS = (
    ".sha1",
    ".sha224",
    ".sha256",
    ".sha384",
    ".sha512",
    ".b2",
    ".md5",
    ".minisig",
    ".sig",
    ".asc",
    ".manifest",
    ".manifest.json",
)
UNFINISHED = (".partial", ".part", ".tmp")
REMOVED = ".removed"  # a directory that is being deleted, or was when that was cut off
SET_STAMP = "00000000T000000Z"  # the shape of the moment in the name of a set's backup
AUTOMATIC = re.compile(
    r"(?<!\d)(?P<Y>\d{4})(-?)(?P<m>\d{2})\2(?P<d>\d{2})"
    r"(?:[T_. -]?(?P<H>\d{2})(?P<colon>[:-]?)(?P<M>\d{2})(?:(?P=colon)(?P<S>\d{2}))?)?(?!\d)",
    re.ASCII,
)
WIDTHS = {"Y": 4, "m": 2, "d": 2, "H": 2, "M": 2, "S": 2}
BLUR_DIGITS = str.maketrans("123456789", "000000000")
DAY, HOUR = itemgetter(slice(8)), itemgetter(slice(8, 10))
MINUTE, SECOND = itemgetter(10), itemgetter(12)  # the tens of them
CHUNK = 4096


class DateFormatError(ValueError):
    """A date format that names cannot be read with."""


@dataclass
class Dated:
    """The backups of a directory, and what else was met there."""

    backups: list[str] = field(default_factory=list)  # YYYYMMDDHHMMSS/name, oldest first
    sidecars: set[str] = field(default_factory=set)
    unfinished: int = 0
    undated: int = 0
    sets: list[str] = field(default_factory=list)  # names that backups of the set asked for have
    removed: list[str] = field(default_factory=list)  # names of what a killed run was deleting


def read_dates(
    names: Iterable[str], *, pattern: str | None = "*", date_format: str | None = None, set_name: str | None = None
) -> Dated:
    """Return the backups among ``names``: they match the glob ``pattern`` and hold a date.

    :param pattern: None: only those of the set are looked for
    :param date_format: how the date is written, of %Y %m %d %H %M %S; None finds the usual forms
    :param set_name: names of this set's backups are told apart, whatever ``pattern`` says
    :raises DateFormatError: ``date_format`` holds something else, or not a whole date.
    """
    matches = re.compile("(?!)" if pattern is None else translate(pattern)).match
    # Backups of one kind differ in their digits only: what is decided for one name holds for all of its shape.
    shape_decides = pattern is None or re.search(r"[\d\[]", pattern) is None
    expression = AUTOMATIC if date_format is None else _expression(date_format)
    prefix = None if set_name is None else f"{set_name}_"
    set_shape = None if prefix is None else prefix.translate(BLUR_DIGITS) + SET_STAMP
    found, rest = Dated(), iter(names)
    while chunk := list(islice(rest, CHUNK)):
        for shape, group in _by_shape(chunk).items():
            if shape.endswith(REMOVED):
                found.removed += [
                    name
                    for name in group
                    if _is_of(prefix, set_shape, name[: -len(REMOVED)])
                    or (matches(name[: -len(REMOVED)]) and expression.search(name))
                ]
                continue
            if shape == set_shape:
                found.sets += [name for name in group if prefix and name.startswith(prefix)]
                group = [name for name in group if prefix and not name.startswith(prefix)]  # noqa: PLW2901  # the same names, fewer
            alike = [name for name in group if matches(name)] if not shape_decides else group
            if alike and matches(alike[0]):
                _sort_in(found, alike, expression)
    found.backups.sort()
    return found


def _by_shape(names: list[str]) -> dict[str, list[str]]:
    shapes = "\0".join(names).translate(BLUR_DIGITS).split("\0")
    if shapes.count(shapes[0]) == len(shapes):  # as good as always
        return {shapes[0]: names}
    groups: dict[str, list[str]] = {}
    for name, shape in zip(names, shapes):
        groups.setdefault(shape, []).append(name)
    return groups


def _is_of(prefix: str | None, set_shape: str | None, name: str) -> bool:
    return prefix is not None and name.startswith(prefix) and name.translate(BLUR_DIGITS) == set_shape


def _sort_in(found: Dated, alike: list[str], expression: re.Pattern[str]) -> None:
    """Add names of one shape to where they belong."""
    if alike[0].endswith(SIDECARS):
        found.sidecars.update(alike)
    elif alike[0].endswith(UNFINISHED):
        found.unfinished += len(alike)
    else:
        date = expression.search(alike[0])
        if date is None:
            found.undated += len(alike)
            return
        parts = _joined([date.span(part) for part in WIDTHS if part in expression.groupindex and date[part]])
        width = sum(part.stop - part.start for part in parts)
        end = "0" * (14 - width) + "/"
        if len(parts) <= 2:  # the day and the time of day: much quicker than any number of parts
            first, second = parts[0], parts[-1] if len(parts) > 1 else slice(0, 0)
            keyed = [f"{name[first]}{name[second]}{end}{name}" for name in alike]
        else:
            fields = itemgetter(*parts)
            keyed = [f"{''.join(fields(name))}{end}{name}" for name in alike]
        days = set(map(DAY, keyed))
        real = {day for day in days if _is_day(day)}
        if (
            days != real
            or max(map(HOUR, keyed)) > "23"
            or max(map(MINUTE, keyed)) > "5"
            or max(map(SECOND, keyed)) > "5"
        ):
            keyed = [key for key in keyed if DAY(key) in real and HOUR(key) < "24" and MINUTE(key) < "6" > SECOND(key)]
        found.undated += len(alike) - len(keyed)
        found.backups.extend(keyed)


def _joined(spans: list[tuple[int, int]]) -> list[slice]:
    """Return ``spans`` as slices; what stands side by side is cut out at once."""
    parts: list[slice] = []
    for start, stop in spans:
        if parts and parts[-1].stop == start:
            parts[-1] = slice(parts[-1].start, stop)
        else:
            parts.append(slice(start, stop))
    return parts


def _expression(date_format: str) -> re.Pattern[str]:
    used = re.findall(r"%(.)", date_format)
    if sorted(used) != sorted(set(used)) or not set("Ymd") <= set(used) <= set(WIDTHS):
        raise DateFormatError(
            f"date_format {date_format!r} must hold %Y, %m and %d, may hold %H, %M and %S, each once, and nothing else"
        )
    parts = re.split(r"%(.)", date_format)
    return re.compile(
        "".join(rf"(?P<{part}>\d{{{WIDTHS[part]}}})" if odd % 2 else re.escape(part) for odd, part in enumerate(parts))
    )


@lru_cache(maxsize=4096)
def _is_day(day: str) -> bool:
    return parse_stamp(f"{day}000000") is not None


def parse_stamp(stamp: str) -> datetime | None:
    """Return the moment that ``YYYYMMDDHHMMSS`` means, None where there is no such day or hour."""
    try:
        return datetime.strptime(stamp, STAMP)
    except ValueError:
        return None
