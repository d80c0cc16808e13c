# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The newest backups in a directory: files by the date in their names, whole backups by their snapshot. Private to this collection."""

from __future__ import annotations

# ruff: noqa: PTH112, PTH116, PTH118  # pathlib would be slower, and this runs every few minutes
import os
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._dated_names import (
    NAME,
    REMOVED,
    SIDECARS,
    UNFINISHED,
    parse_stamp,
    read_dates,
)

EARLIER = 10  # so many before the newest are looked at


class Found(NamedTuple):
    """One backup."""

    at: float
    name: str
    set_bytes: int | None = None  # of the payload, where it is a whole backup of the set


def found_in(
    directory: str, names: list[str], *, prefix: str | None, pattern: str | None
) -> tuple[list[Found], list[str]]:
    """Return the newest backups among ``names``, and the names of those of the set that are damaged.

    :param prefix: name of the set whose whole backups count
    :param pattern: glob of the files that count; without it all do where there is no set, and none where there is one
    """
    found: list[Found] = []
    damaged: list[str] = []
    if prefix:
        stamped = re.compile(re.escape(prefix) + r"_\d{8}T\d{6}Z").fullmatch
        found, damaged = sets_of(directory, sorted(name for name in names if stamped(name)))
        names = [name for name in names if not stamped(name)]
    if pattern or not prefix:
        found += [Found(at, name) for at, name in order(directory, names, pattern or "*")]
    return found, damaged


def sets_of(directory: str, names: list[str]) -> tuple[list[Found], list[str]]:
    """Return the last whole backups among ``names``, oldest first as these, and the names of those that are damaged."""
    from ansible_collections.runbook.ops.plugins.module_utils import _payload  # noqa: PLC0415  # only sets need it

    found, damaged = [], []
    for name in names[-1 - EARLIER :]:
        backup = _payload.read_set(Path(directory, name))
        if backup is None:
            damaged.append(name)
        else:
            found.append(Found(backup.taken_at.timestamp(), name, backup.manifest["size"]))
    return found, damaged


def fault_of(path: str) -> str | None:
    """Return what is missing from a directory that says what it has to hold; None where nothing is, or nothing says so."""
    if not os.path.isdir(path):
        return None
    from ansible_collections.runbook.ops.plugins.module_utils import _payload  # noqa: PLC0415  # only directories need it

    backup = _payload.read_set(Path(path))
    files = _payload.read_copy(Path(path)) if backup is None else _payload.files_of(backup)
    return None if files is None else _payload.fault(Path(path), files)


def order(directory: str, names: list[str], pattern: str) -> list[tuple[float, str]]:
    """Return time and name of each backup, oldest first: by the date in the names, by mtime where no name holds one."""
    dated = read_dates(names, pattern=pattern).backups
    if dated:
        return [(_taken_at(directory, backup), backup[NAME]) for backup in dated[-1 - EARLIER :]]
    fitting = [
        name for name in names if fnmatchcase(name, pattern) and not name.endswith((*SIDECARS, *UNFINISHED, REMOVED))
    ]
    return sorted((os.stat(os.path.join(directory, name)).st_mtime, name) for name in fitting)


def _taken_at(directory: str, backup: str) -> float:
    day = parse_stamp(backup[:14])
    at = day.timestamp() if day else 0.0
    if backup[8:14] == "000000":  # a name that tells the day only: the file's time tells when on that day
        written = os.stat(os.path.join(directory, backup[NAME])).st_mtime
        at = written if at <= written < at + 86400 else at
    return at


def bytes_of(directory: str, one: Found) -> int:
    """Return how much a backup holds."""
    return size_of(os.path.join(directory, one.name)) if one.set_bytes is None else one.set_bytes


def size_of(path: str) -> int:
    """Return the bytes of a file, or of all files below a directory."""
    if not os.path.isdir(path):
        return os.stat(path).st_size
    return sum(os.stat(os.path.join(top, name)).st_size for top, _folders, names in os.walk(path) for name in names)
