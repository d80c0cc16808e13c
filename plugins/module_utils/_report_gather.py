# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take in the records of a system one after the other, and keep what a report needs of them. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._calendar_seen import Run
from ansible_collections.runbook.ops.plugins.module_utils._findings import Key, Seen
from ansible_collections.runbook.ops.plugins.module_utils._kpis import Look, wanted
from ansible_collections.runbook.ops.plugins.module_utils._report_period import Period
from ansible_collections.runbook.ops.plugins.module_utils._report_records import number_of
from ansible_collections.runbook.ops.plugins.module_utils._series import Series

DAY = 86400.0
HISTORY_DAYS = 90.0  # growth looks back so far at least
DRAWN_DAYS = 35.0
KEPT_POINTS = 360


class Gathered:
    """What is known of a system around one period. Memory does not grow with the size of the records."""

    def __init__(self, system: str, period: Period, before: Period, kpis: Sequence[Mapping[str, Any]]) -> None:
        """Prepare for the records of ``since`` until ``latest``."""
        self.system, self.period, self.before, self.kpis = system, period, before, list(kpis)
        self.since = min(before.since, period.until - max(HISTORY_DAYS * DAY, period.until - period.since))
        self.latest = period.until + DAY  # what was due in the last hours may have run a little later
        self.now, self.then = Seen(), Seen()
        self.runs: dict[str, list[Run]] = {}
        self.first: dict[tuple[str, str | None], float] = {}  # playbook, entry of the calendar: its first record
        self.series: dict[Key, Series] = {}
        self.checks: dict[Key, Mapping[str, Any]] = {}  # the last look at each that is drawn
        self.looks: list[list[Look]] = [[] for _kpi in self.kpis]
        self.damaged: list[dict[str, str]] = []
        self.read = 0  # records of the period
        self.last_at: float | None = None
        self._matching: dict[Key, list[int]] = {}

    def skip(self, name: str, reason: str) -> None:
        """Note a record that cannot be used."""
        self.damaged.append({"name": name, "reason": reason})

    def add(self, record: Mapping[str, Any]) -> None:
        """Take in one record, in the order of time."""
        at = record["began"]
        if record["system"] != self.system or not self.since <= at < self.latest:
            return
        if self.before.since <= at < self.before.until:
            self.then.add(record)
        who = record.get("who")
        entry = (who.get("schedule_entry") or None) if isinstance(who, Mapping) else None
        for part in record["playbook"].split("+"):
            self.first.setdefault((part, entry), at)
        if at >= self.period.since:
            self._run(record, entry)
        if self.period.since <= at < self.period.until:
            self.read += 1
            self.last_at = at
            self.now.add(record)
        if at < self.period.until:
            for check in record["checks"]:
                self._check(check, at)

    def _run(self, record: Mapping[str, Any], entry: str | None) -> None:
        failure = record.get("failure") or {}
        told = None
        if isinstance(failure, Mapping) and failure.get("message"):
            told = f"{failure.get('host')}: {failure['message']}".splitlines()[0][:300]
        who = record.get("who")
        seconds = record.get("seconds")
        run = Run(
            began=record["began"],
            playbook=record["playbook"],
            status=record["status"],
            check_status=str(record.get("check_status")),
            seconds=float(seconds) if isinstance(seconds, (int, float)) else None,
            changes=len(record["changes"]),
            user=str(who.get("user")) if isinstance(who, Mapping) else "",
            id=str(record.get("id")),
            failure=told,
            entry=entry,
        )
        for part in record["playbook"].split("+"):
            self.runs.setdefault(part, []).append(run)

    def _check(self, check: Mapping[str, Any], at: float) -> None:
        key = (check["host"], check["id"])
        value = number_of(dict(check))
        if at >= self.period.since:
            if key not in self._matching:
                self._matching[key] = wanted(self.kpis, *key)
            for place in self._matching[key]:
                self.looks[place].append(Look(check["status"], value, check.get("unit")))
        if value is None:
            return
        if key not in self.series:
            self.series[key] = Series(self.since, self.period.until, KEPT_POINTS)
        self.series[key].add(at, value)
        self.checks[key] = check
