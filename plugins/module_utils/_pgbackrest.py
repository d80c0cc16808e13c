# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pgBackRest tells of a stanza, and which moments can be recovered from it. Private to this collection."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import NamedTuple

EXISTS, EMPTY = 0, 2  # codes of a stanza that is there; the other one has no backup yet
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
