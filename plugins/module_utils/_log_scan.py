# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the logs of a host: since a time, or since the last reading. Private to this collection."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._log_scan_blocks import Clock
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_checks import checks_of, missing_check
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_report import DAY, figures_of, span_of
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_run import Job, scan_parts
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_sets import (
    Member,
    Start,
    close,
    expand,
    first_bytes,
    mark,
    names_of,
    open_members,
    resume,
)
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_source import (
    JOURNALS,
    SourceError,
    journal,
    journal_begins_at,
    part_of,
    require_unit,
    run,
)
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_tally import Tally
from ansible_collections.runbook.ops.plugins.module_utils._time_limit import time_limit
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration

Redact = Callable[[str], str]
SLOW = "make its patterns simpler, each repetition within another one first, or give it more time"


class TooLateError(BaseException):
    """A log takes longer than it may. Who notes the errors of a source and reads on must not note this one."""


class Told(NamedTuple):
    """What came of one log."""

    checks: list[dict[str, Any]]
    figures: dict[str, Any] | None  # None where it cannot be read, or nothing is new
    left: dict[str, Any]  # for the next reading


class Reading:
    """One reading of some logs."""

    def __init__(
        self,
        *,
        now: float,
        since_seconds: float,
        goes_on: bool = False,
        workers: int = 2,
        timeout_seconds: float = 300,
        redact: Redact,
    ) -> None:
        """Prepare.

        :param since_seconds: how far back
        :param timeout_seconds: how long one log may take: some expressions never end on some lines
        :param goes_on: begin where the last reading of a log ended, where there was one
        """
        self._now, self._seconds, self._goes_on = now, since_seconds, goes_on
        self._workers, self._timeout, self._redact = workers, timeout_seconds, redact

    def log(self, log: Mapping[str, Any], before: Mapping[str, Any]) -> Told:
        """Return checks and figures of one log, and what the next reading has to know.

        :param before: what the last one left
        :raises ValueError: its format or a pattern is none.
        """
        job = Job(log, self._now)
        before = before if self._goes_on else {}
        since = before.get("read_at", self._now - self._seconds)
        try:
            with time_limit(self._timeout, TooLateError(f"not read within {self._timeout:g} s: {SLOW}")):
                tally, marks = self._read(job, log, before, since)
        except (SourceError, TooLateError, OSError) as exc:
            return Told(self._unread(job, log, str(exc)), None, {**before})
        if before.get("checks") and not tally.lines and not tally.notes:
            left = {**marks, "checks": before["checks"]} if "files" in marks else {**before}
            return Told(_unchanged(before["checks"]), None, left)
        span = span_of(tally, since=since, now=self._now)
        figures = figures_of(log, tally, job.patterns, span=span, now=self._now, redact=self._redact)
        period = "since the last reading" if before else f"in the last {human_duration(self._now - since)}"
        if span < 0.9 * (self._now - since):
            period = f"in {human_duration(span)}, for the log begins no earlier"
        checks = checks_of(log, figures, job.patterns, period)
        return Told(checks, figures, {**marks, "checks": checks})

    def _unread(self, job: Job, log: Mapping[str, Any], message: str) -> list[dict[str, Any]]:
        """Return the checks of a log that nobody could read: all that there would be, for one that is missing looks mended."""
        empty = figures_of(log, job.counting().end(), job.patterns, span=DAY, now=self._now, redact=self._redact)
        others = checks_of(log, empty, job.patterns, "")[1:]
        return [
            missing_check(log, message, "correct it in ops_logs, or see who should write it"),
            *({**one, "status": "unknown", "value": None, "detail": f"not read: {message}"} for one in others),
        ]

    def _read(
        self, job: Job, log: Mapping[str, Any], before: Mapping[str, Any], since: float
    ) -> tuple[Tally, dict[str, Any]]:
        paths = paths_of(log)
        for path in paths:
            if os.path.lexists(path) and not os.path.isfile(path):  # noqa: PTH113  # one import less
                raise SourceError(f"{path} is no file that could be read, nor a link to one")
        known = before.get("files") or {}
        members = {path: open_members(path, since=None if path in known else since) for path in paths}
        try:
            if any(members.values()):
                return self._files(job, members, known, since)
        finally:
            for each in members.values():
                close(each)
        if any(names_of(path) for path in paths):  # nobody wrote to them for so long
            return job.counting().end(), {"read_at": self._now, "files": known}
        return self._streams(job, log, since), {"read_at": self._now}

    def _files(
        self, job: Job, members: Mapping[str, Sequence[Member]], known: Mapping[str, Any], since: float
    ) -> tuple[Tally, dict[str, Any]]:
        parts, marks, notes = [], {path: known[path] for path in members if path in known}, []
        for path, files in members.items():
            starts, from_time = [Start(one, 0, False) for one in files], since
            if path in known:
                starts, note = resume(files, {**known[path], "read_at": since})
                notes += [note] if note else []
            mine = [
                part_of(one, since=None if path in known else from_time, now=self._now, whole_lines=self._goes_on)
                for one in starts
            ]
            parts += mine
            plain = [part for part in mine if part.member.kind == "plain"]
            if plain and self._goes_on:
                marks[path] = mark(plain[-1].member, plain[-1].end)
        tally = scan_parts(job, [part for part in parts if part.size], workers=self._workers)
        tally.begins_at = None if known else _begins_at(members, self._now)
        for note in notes:
            tally.note(note)
        return tally, {"read_at": self._now, "files": marks}

    def _streams(self, job: Job, log: Mapping[str, Any], since: float) -> Tally:
        counting = job.counting()
        commands, begins_at = _commands(log, since, self._now)
        for argv in commands:
            counting.count(counting.metered(run(argv)))
        tally = counting.end()
        if tally.notes:  # a program failed on the way: the next reading begins where this one did
            raise SourceError("; ".join(tally.notes))
        if not tally.lines and log.get("unit"):
            require_unit(log["unit"])
        tally.begins_at = begins_at
        return tally


def _begins_at(members: Mapping[str, Sequence[Member]], now: float) -> float | None:
    """Return since when there is anything in the files of a log; None where there were older ones, or nothing says when."""
    begins = []
    for path, files in members.items():
        if len(files) < len(names_of(path)):
            return None  # older ones were not opened
        begins += [Clock(now).first(first_bytes(one)) for one in files[:1]]
    told = [at for at in begins if at is not None]
    return min(told) if told and len(told) == len(begins) else None


def _unchanged(checks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the checks of the last reading: what it found is not mended because nothing was written since."""
    return [{**one, "detail": f"nothing new since the last reading, which found: {one['detail']}"} for one in checks]


def paths_of(log: Mapping[str, Any]) -> list[str]:
    """Return the files that a log is kept in; none where it is a journal or that of a container."""
    if log.get("path"):
        return expand(log["path"])
    if not log.get("pm2"):
        return []
    from ansible_collections.runbook.ops.plugins.module_utils._diagnose_logs import pm2_paths  # noqa: PLC0415  # one log of many
    from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError  # noqa: PLC0415

    found, said = [], ""
    for name in (log["pm2"], *(log.get("also") or [])):
        try:
            found += pm2_paths(name, log.get("user"))
        except ProbeError as exc:
            said = said or str(exc)
    if not found:
        raise SourceError(said)
    return list(dict.fromkeys(found))


def _commands(log: Mapping[str, Any], since: float, now: float) -> tuple[list[list[str]], float | None]:
    """Return what prints a log that is in no file, and since when there is anything in it.

    :raises SourceError: nothing does.
    """
    if log.get("unit") or (log.get("path") and log.get("format") in JOURNALS):
        return [journal(log, since, now)], journal_begins_at()
    if not log.get("service"):
        raise SourceError(f"{log.get('path') or log.get('pm2')} does not exist")
    from ansible_collections.runbook.ops.plugins.module_utils._docker import DockerError, ask, containers  # noqa: PLC0415

    try:
        found = containers(project=log.get("project"), service=log["service"])
        made = [created_at(ask(f"/containers/{one.identity}/json")["Created"]) for one in found]
    except DockerError as exc:
        raise SourceError(str(exc)) from exc
    if not found:
        raise SourceError(f"{log['service']} has no container")
    # What a container wrote goes with it: before the oldest of those that are there nobody can look.
    return [["docker", "logs", "--timestamps", f"--since={since:.3f}", one.name] for one in found], min(made)


def created_at(told: str) -> float:
    """Return when Docker made a container; it writes UTC, to the nanosecond."""
    return datetime.strptime(f"{told[:19]}+0000", "%Y-%m-%dT%H:%M:%S%z").timestamp()
