# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores a database beside the live one, and exchanges their names. Private to this collection.

The live database is renamed in one transaction, or not at all; what has been live is dropped by ``pruned`` only.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _pg_restore_sql as sql
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError
from ansible_collections.runbook.ops.plugins.module_utils._pg_content_sql import FULL_NAME, RELATIONS
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_beside import Beside
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_downtime import Downtime, named
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_entry import Source, settle, write_time
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_exchange import DISK_SECONDS, act
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_journal import Journal
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_plan import (
    EXCHANGES,
    Keep,
    RestoreError,
    Step,
    plan,
)
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_terms import refuse
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import PgTarget
from ansible_collections.runbook.ops.plugins.module_utils._writers import Writers

ROWS_NOW = f"""
SELECT coalesce(json_object_agg({FULL_NAME}, greatest(c.reltuples, 0)::bigint), '{{}}') {RELATIONS} AND relkind = 'r';
"""


@dataclass
class Options:
    """What is asked of a restore."""

    database: str
    state: str
    journal_directory: Path
    accept_unproven: str = ""
    from_database: str | None = None
    canaries: Sequence[str] = ()
    keep_days: float = 7
    min_free_percent: float = 5
    jobs: int = 2
    identity: str | None = None
    timeout_seconds: float | None = None
    purpose: str = ""
    taken_before: str | None = None
    proof_needed: bool = False  # of a newer backup, before what was live is dropped
    services: Sequence[Mapping[str, Any]] = ()  # that write to the database, as the system's description has them
    wait_seconds: float = 60


@dataclass
class Seen:
    """What there is before something is done."""

    server: dict[str, Any]
    live: dict[str, Any] | None
    entry: dict[str, Any] | None  # of the journal, settled
    writers: list[dict[str, Any]] = field(default_factory=list)  # that run, or were stopped by a killed run
    rows_now: dict[str, int] = field(default_factory=dict)
    free_bytes: int | None = None
    disk_bytes: int | None = None


class Restore:
    """One restore of one database of one server."""

    def __init__(
        self,
        target: PgTarget,
        options: Options,
        *,
        writers: Writers,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self.target, self.options, self.writers = target, options, writers
        self.now = now or (lambda: datetime.now(timezone.utc))
        self.server: dict[str, Any] = target.json(sql.ADMIN, sql.SERVER)
        self.journal = Journal(options.journal_directory, options.database, self.server["system_identifier"])
        self.seconds: dict[str, float] = {}
        self.canaries: dict[str, float] = {}
        self.troubles: list[str] = []  # that did not keep it from what was asked for

    def observe(self) -> Seen:
        """Return what there is.

        :raises PgError: the server does not tell.
        :raises JournalError: what was done before cannot be read.
        """
        self.server = self.target.json(sql.ADMIN, sql.SERVER)
        live = sql.parse_facts(self.target.sql(sql.ADMIN, sql.facts(self.options.database)))
        entry = settle(self.journal.read(), self.server["names"], write_time(self.now()), self.server["comments"])
        seen = Seen(self.server, live, entry)
        services = self.options.services if self.options.state in ("swapped", "reverted") else ()
        if services or named(entry):
            seen.writers = self.writers.look(services, named(entry))
        if self.options.state == "prepared":
            if live:
                with contextlib.suppress(PgError):  # words for the plan: that it does not tell may be why one restores
                    seen.rows_now = self.target.json(self.options.database, ROWS_NOW)
            seen.free_bytes, seen.disk_bytes = self._room()
        return seen

    def _room(self) -> tuple[int | None, int | None]:
        """Return the bytes that are free where the server keeps its data, and those of the disk; None where nobody tells."""
        directory = self.server["data_directory"]
        if not self.target.local or not directory:
            return None, None
        try:
            told = os.statvfs(directory)
        except OSError:
            return None, None
        return told.f_bavail * told.f_frsize, told.f_blocks * told.f_frsize

    def plan(self, seen: Seen, source: Source | None, proven: datetime | None = None) -> list[Step]:
        """Return what to do.

        :param proven: when the newest backup of the live database was taken that has passed a test restore
        :raises RestoreError: it must not be done, or cannot.
        """
        options = self.options
        keep = Keep(options.keep_days, options.proof_needed, proven)
        steps = plan(seen.entry, seen.server["names"], options.state, source=source, now=self.now(), keep=keep)
        if source and any(step.action == "restore" for step in steps):
            refuse(
                source,
                seen.server,
                seen.live,
                database=options.database,
                from_database=options.from_database,
                reason=options.accept_unproven,
                room=(seen.free_bytes, seen.disk_bytes, options.min_free_percent),
            )
        return steps

    def apply(self, steps: Sequence[Step], seen: Seen, source: Source | None) -> None:
        """Do it. Call it with the journal locked, and with what was seen under that lock."""
        self.target.sql(sql.ADMIN, sql.end_strangers([self.options.database]))
        entry = seen.entry
        if entry is not None and steps:
            self.journal.write(entry)
        for step in steps:
            began = time.monotonic()
            if step.action == "drop":
                self._drop(step, entry)
            elif step.action == "restore" and source is not None:
                Beside(self, source, seen).make(entry)
            elif entry is not None and step.action in EXCHANGES:
                Downtime(self, seen).exchange(step.action, entry)
            elif entry is not None and step.action == "start":
                self._start(seen, entry)
            elif entry is not None:
                reached("pg_restore:closed")
                entry.update(open=False, at={**entry["at"], "closed": write_time(self.now())})
                self.journal.write(entry)
            self.seconds[step.action] = round(time.monotonic() - began, 3)

    def _start(self, seen: Seen, entry: dict[str, Any]) -> None:
        try:
            Downtime(self, seen).finish(judge=self.options.state == "swapped")
        except RestoreError as exc:
            if self.options.state != "prepared":
                raise
            self.troubles.append(str(exc))  # they may need what is to be restored: the exchange starts them on that
        else:
            entry["writers"] = None

    def start_left(self, seen: Seen) -> None:
        """Start the writers that a killed run has left stopped, where nothing else can be done."""
        if named(seen.entry):
            Downtime(self, seen).finish(judge=False)

    def _drop(self, step: Step, entry: dict[str, Any] | None) -> None:
        reached("pg_restore:dropping")
        ours = entry is not None and entry["open"] and step.oid == entry["restored"]["oid"]
        if ours:  # nobody but a killed run of ours has been in it
            self.target.sql(sql.ADMIN, sql.end_sessions([step.name]) + "\n")
        act(self.target, sql.drop(step.oid, step.name), step.name, timeout_seconds=DISK_SECONDS)
        reached("pg_restore:dropped")
        if entry is None:
            return
        entry["kept"] = [one for one in entry["kept"] if one["oid"] != step.oid]
        if ours:
            entry.update(stage="none", open=False)
        self.journal.write(entry)

    def write(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """Bring ``entry`` to the disk and return it."""
        settled = dict(entry)
        self.journal.write(settled)
        return settled

    def oid_of(self, name: str) -> str | None:
        """Return the oid of the database ``name`` at this moment."""
        names: dict[str, str] = self.target.json(sql.ADMIN, sql.SERVER)["names"]
        return next((oid for oid, named in names.items() if named == name), None)
