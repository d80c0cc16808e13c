# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pgBackRest tells of a stanza, and which moments can be recovered from it. Private to this collection."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any, NamedTuple

SEGMENT_BYTES = 16 << 20
# Of a listing: 15-1/0000000100000000/000000010000000000000003-<sha1>.zst
SEGMENT = re.compile(r"(?:^|/)([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})-[0-9a-f]{40}(?:\.\w+)?$")
EXISTS, EMPTY = 0, 2  # codes of a stanza that is there; the other one has no backup yet
UNREADABLE = 99  # pgBackRest's code for all else
STEP = "2026-11-21T14:05:00Z"


class PgBackRestError(Exception):
    """What was asked for cannot be done, or did not succeed; the message is one line that says what to do."""


class Backup(NamedTuple):
    """One backup of a stanza; times are seconds since 1970."""

    label: str
    kind: str  # full, diff or incr
    started_at: int
    stopped_at: int
    wal_start: str
    wal_stop: str
    stopped_lsn: int
    size_bytes: int  # of the cluster
    repository_bytes: int  # of what this one added to the repository
    damaged: bool


class Stanza(NamedTuple):
    """One stanza, as its repository knows it."""

    name: str
    code: int
    message: str
    backups: tuple[Backup, ...] = ()  # oldest first
    system_identifier: str | None = None
    version: str | None = None
    archive_id: str | None = None
    archive_min: str | None = None
    archive_max: str | None = None
    busy: bool = False
    encrypted: bool = False

    @property
    def exists(self) -> bool:
        return self.code in (EXISTS, EMPTY)


class Lineage(NamedTuple):
    """The timeline of the live cluster, and where it left those that it comes from. Each restore that is put in place begins a new one."""

    timeline: int
    forks: Mapping[int, int]  # position in the WAL by older timeline

    def holds(self, backup: Backup) -> bool:
        """Return whether the live cluster comes from what ``backup`` saved."""
        timeline = int(backup.wal_start[:8] or "0", 16)
        return timeline == self.timeline or backup.stopped_lsn <= self.forks.get(timeline, -1)

    def needs(self, segment: str) -> bool:
        """Return whether a segment belongs to one of its timelines."""
        timeline = int(segment[:8], 16)
        return timeline == self.timeline or timeline in self.forks


class Segment(NamedTuple):
    """One segment of WAL in the archive."""

    timeline: int
    number: int
    archived_at: int


def read_info(text: str, name: str) -> Stanza:
    """Return what ``pgbackrest info --output=json`` says of a stanza.

    :raises PgBackRestError: it is no such text.
    """
    try:
        found = [one for one in json.loads(text, strict=False) if one["name"] == name]
        return _stanza(found[0]) if found else Stanza(name, 1, "missing stanza path")
    except (ValueError, KeyError, TypeError, IndexError) as exc:
        raise PgBackRestError(f"pgbackrest info printed what this version does not know ({exc!r})") from exc


def _stanza(told: Mapping[str, Any]) -> Stanza:
    status, database = told["status"], (told["db"] or [{}])[-1]
    archives = [one for one in told["archive"] if one["database"]["id"] == database.get("id")]
    archive = archives[-1] if archives else {}
    return Stanza(
        name=told["name"],
        code=status["code"],
        message=_message(told),
        backups=tuple(_backup(one) for one in told["backup"] if one["database"]["id"] == database.get("id")),
        system_identifier=str(database["system-id"]) if "system-id" in database else None,
        version=database.get("version"),
        archive_id=archive.get("id"),
        archive_min=archive.get("min"),
        archive_max=archive.get("max"),
        busy=bool(status.get("lock", {}).get("backup", {}).get("held")),
        encrypted=told.get("cipher", "none") != "none",
    )


def _message(told: Mapping[str, Any]) -> str:
    """Return in one line what is wrong: the stanza says little, the repository more.

    What a wrong passphrase decrypts to is noise, and pgBackRest prints some of it.
    """
    said = [told["status"]["message"], *(one["status"]["message"] for one in told.get("repo") or [])]
    words = " ".join(max(said, key=len).replace("HINT:", ";").split())
    if told["status"]["code"] == UNREADABLE and told.get("cipher", "none") != "none":
        kind = re.search(r"\[?(\w+Error)\]?", words)
        return f"the passphrase of the configuration is not the one it was made with ({kind[1] if kind else 'not readable'})"
    return "".join(one for one in words if one.isprintable())[:300]


def _backup(told: Mapping[str, Any]) -> Backup:
    return Backup(
        label=told["label"],
        kind=told["type"],
        started_at=told["timestamp"]["start"],
        stopped_at=told["timestamp"]["stop"],
        wal_start=told["archive"]["start"] or "",
        wal_stop=told["archive"]["stop"] or "",
        stopped_lsn=read_lsn((told.get("lsn") or {}).get("stop") or "0/0"),
        size_bytes=told["info"]["size"],
        repository_bytes=told["info"]["repository"]["delta"],
        damaged=bool(told.get("error")),
    )


def read_lsn(text: str) -> int:
    """Return a position in the WAL, such as ``0/3000100``, as a number."""
    high, _slash, low = text.partition("/")
    return int(high, 16) << 32 | int(low, 16)


def read_history(timeline: int, text: str) -> Lineage:
    """Return what a ``.history`` file of PostgreSQL says of ``timeline``."""
    forks = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) > 1 and words[0].isdigit():
            forks[int(words[0])] = read_lsn(words[1])
    return Lineage(timeline, forks)


def newest(stanza: Stanza, *, full: bool = False) -> Backup | None:
    """Return the newest whole backup, or the newest full one."""
    fit = [one for one in stanza.backups if not one.damaged and (one.kind == "full" or not full)]
    return max(fit, key=lambda one: one.stopped_at) if fit else None


def parse_target(text: str) -> datetime:
    """Return a moment in UTC.

    :raises PgBackRestError: it is none, or does not say in which time zone.
    """
    try:
        moment = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text.strip()))
    except ValueError:
        raise PgBackRestError(f"target_time is {text!r}: write a moment such as {STEP}") from None
    if moment.tzinfo is None:
        raise PgBackRestError(f"target_time is {text!r}: say in which time zone, such as {STEP}")
    return moment.astimezone(timezone.utc)


def usable(stanza: Stanza, lineage: Lineage | None) -> list[Backup]:
    """Return the backups that are whole, and of what the live cluster comes from."""
    return [one for one in stanza.backups if not one.damaged and (lineage is None or lineage.holds(one))]


def choose(stanza: Stanza, target: datetime, *, now: datetime, lineage: Lineage | None = None) -> Backup:
    """Return the backup that a recovery to ``target`` begins with: the newest that was complete by then.

    :param lineage: that of the live cluster; what was saved of another one is left out

    :raises PgBackRestError: there is none, or the moment has not come yet.
    """
    if not stanza.exists:
        raise PgBackRestError(f"the stanza {stanza.name} cannot be restored from: {stanza.message}")
    if target > now:
        raise PgBackRestError(f"target_time is {iso(target)}: that is yet to come; it is {iso(now)} now")
    whole = usable(stanza, lineage)
    if not whole:
        raise PgBackRestError(f"the stanza {stanza.name} has no whole backup: no moment can be recovered")
    fit = [one for one in whole if one.stopped_at < int(target.timestamp())]
    if not fit:
        first = min(one.stopped_at for one in whole) + 1
        raise PgBackRestError(
            f"target_time is {iso(target)}: that is before the oldest backup was complete; the earliest moment is {iso(first)}"
        )
    return max(fit, key=lambda one: one.stopped_at)


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


def iso(moment: datetime | float) -> str:
    """Return such as ``2026-11-21T14:05:00Z``."""
    if not isinstance(moment, datetime):
        moment = datetime.fromtimestamp(moment, timezone.utc)
    text = moment.astimezone(timezone.utc).isoformat(timespec="microseconds" if moment.microsecond else "seconds")
    return text.replace("+00:00", "Z")


def for_server(moment: datetime) -> str:
    """Return a moment as PostgreSQL and pgBackRest both read it."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f+00")


def promoted(settings: str, beside: str) -> str:
    """Return a ``postgresql.auto.conf`` whose server goes on from the moment that it has recovered to.

    :param beside: the directory that it was restored into, and is no more
    """
    lines = [line for line in settings.splitlines() if not line.startswith("recovery_target_action")]
    lines = [line.replace(f"--pg1-path={beside} ", "") for line in lines]
    return "\n".join([*lines, "recovery_target_action = 'promote'", ""])
