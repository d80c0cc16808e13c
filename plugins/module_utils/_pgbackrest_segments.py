# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which segments of WAL are in the archive of pgBackRest, and which are missing. Private to this collection."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest import Backup, Lineage, PgBackRestError

SEGMENT_BYTES = 16 << 20
# Of a listing: 15-1/0000000100000000/000000010000000000000003-<sha1>.zst
SEGMENT = re.compile(r"(?:^|/)([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})-[0-9a-f]{40}(?:\.\w+)?$")


class Segment(NamedTuple):
    """One segment of WAL in the archive."""

    timeline: int
    number: int
    archived_at: int


def read_segments(text: str) -> list[Segment]:
    """Return the segments that ``pgbackrest repo-ls --recurse --output=json`` lists, in order.

    :raises PgBackRestError: it is no such text.
    """
    try:
        listed = json.loads(text, strict=False)
        found = {}
        for path, told in listed.items():
            match = SEGMENT.search(path)
            if match and told["type"] == "file":
                timeline, log, low = (int(part, 16) for part in match.groups())
                found[timeline, log, low] = int(told["time"])
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise PgBackRestError(f"pgbackrest repo-ls printed what this version does not know ({exc!r})") from exc
    return [Segment(timeline, log << 32 | low, found[timeline, log, low]) for timeline, log, low in sorted(found)]


def first_needed(backups: Iterable[Backup]) -> str:
    """Return the segment that is the first which one of ``backups`` needs, on the oldest of their timelines."""
    return min((one.wal_start for one in backups if one.wal_start), default="")


def gaps(
    segments: Iterable[Segment], *, after: str = "", segment_bytes: int = SEGMENT_BYTES
) -> list[tuple[str, int | None]]:
    """Return the first missing segment of each gap, and when the one before it was archived.

    :param after: segment from which on its timeline is looked at; the ones before it, and older timelines, are needed by nobody
    """
    begin = _number(after) if after else None
    places = 0x100000000 // segment_bytes  # of one log
    by_timeline: dict[int, list[tuple[int, int]]] = {}
    for one in segments:
        index = (one.number >> 32) * places + (one.number & 0xFFFFFFFF)
        by_timeline.setdefault(one.timeline, []).append((index, one.archived_at))
    found: list[tuple[str, int | None]] = []
    for timeline, all_ in sorted(by_timeline.items()):
        if begin and timeline < begin[0]:
            continue
        listed = all_
        if begin and timeline == begin[0]:
            first = (begin[1] >> 32) * places + (begin[1] & 0xFFFFFFFF)
            listed = [one for one in all_ if one[0] >= first]
            if not listed or listed[0][0] > first:
                found.append((_name(timeline, first, places), None))
        for (index, at), (following, _at) in zip(listed, listed[1:]):
            if following > index + 1:
                found.append((_name(timeline, index + 1, places), at))
    if begin and begin[0] not in by_timeline:
        found.append((after, None))
    return found


def _number(name: str) -> tuple[int, int]:
    return int(name[:8], 16), int(name[8:16], 16) << 32 | int(name[16:24], 16)


def _name(timeline: int, index: int, places: int) -> str:
    return f"{timeline:08X}{index // places:08X}{index % places:08X}"


def needed_gap(
    found: Iterable[tuple[str, int | None]], target: datetime, *, lineage: Lineage | None = None
) -> str | None:
    """Return the missing segment that a recovery to ``target`` runs into; one missing later, or of another timeline, harms nobody."""
    for name, before in found:
        if (lineage is None or lineage.needs(name)) and (before is None or before <= target.timestamp()):
            return name
    return None
