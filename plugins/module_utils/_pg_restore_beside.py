# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes of a backup a database beside the live one, and holds it against what the backup says of itself. Private to this collection."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.runbook.ops.plugins.module_utils import _pg_restore_sql as sql
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError
from ansible_collections.runbook.ops.plugins.module_utils._pg_content import compare, read_content, schema_hash
from ansible_collections.runbook.ops.plugins.module_utils._pg_fill import Load
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_entry import (
    Source,
    Wanted,
    begin,
    free_stamp,
    oid_of_restored,
    write_time,
)
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_exchange import DISK_SECONDS, act
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_load import load
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_plan import RestoreError
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_source import prove_undamaged

if TYPE_CHECKING:
    from ansible_collections.runbook.ops.plugins.module_utils._pg_restore import Restore, Seen


class Beside:
    """The database that is to take the live one's place."""

    def __init__(self, run: Restore, source: Source, seen: Seen) -> None:
        self.run, self.source, self.seen = run, source, seen
        self.target, self.options = run.target, run.options
        content = source.content or {}
        # Where nothing is live, the backup says what the database was like.
        self.like: Mapping[str, Any] = seen.live or {
            "connection_limit": -1,
            "settings": [],
            **content,
            "granted": False,
        }

    def make(self, entry: dict[str, Any] | None) -> None:
        """Restore, compare, and leave the journal at ``prepared``. What fails is dropped again.

        :raises RestoreError: the backup is damaged, or what came of it is not what it says it is.
        :raises PgError: the server refuses.
        """
        prove_undamaged(self.source, all_of_it=True)
        options = self.options
        opened = begin(
            entry,
            self.source,
            database=options.database,
            stamp=free_stamp(options.database, self.seen.server["names"].values(), self.run.now()),
            live=self.seen.live,
            mark=uuid.uuid4().hex[:12],
            wanted=Wanted(options.accept_unproven, options.purpose, options.taken_before),
        )
        name = opened["restored"]["name"]
        opened = self.run.write(opened)
        reached("pg_restore:journaled")
        try:
            script = sql.create(name, self.like, comment=opened["restored"]["comment"])
            self.target.sql(sql.ADMIN, script, timeout_seconds=DISK_SECONDS)
            reached("pg_restore:created")
            opened["restored"]["oid"] = self._oid(opened)
            opened = self.run.write(opened)
            self._fill(name)
        except BaseException:
            self._abandon(opened)
            raise
        opened["at"]["prepared"] = write_time(self.run.now())
        opened["seconds"] = dict(self.run.seconds)
        self.run.write({**opened, "stage": "prepared"})
        reached("pg_restore:prepared")

    def _fill(self, name: str) -> None:
        began = time.monotonic()
        journal = self.run.journal
        how = Load(
            jobs=self.options.jobs,
            identity=self.options.identity,
            workplace=journal.path.with_suffix(".dump"),
            timeout_seconds=self.options.timeout_seconds,
        )
        rows = load(self.target, name, self.source, how, owner=self.like["owner"])
        self.run.seconds["load"] = round(time.monotonic() - began, 3)
        reached("pg_restore:loaded")
        self.target.sql(sql.ADMIN, sql.carry_over(name, self.like))
        began = time.monotonic()
        found = read_content(self.target, name)
        if "schema_sha256" in (self.source.content or {}):
            found.update(schema_hash(self.target, name))
        differences = compare(self.source.content or {}, found) + _missing_rows(rows, found["tables"])
        if differences:
            raise RestoreError(
                f"{self.source.title} was restored, and is not what it says it is: {'; '.join(differences[:5])}; "
                "the live database was not touched: take another backup"
            )
        self.run.seconds["compare"] = round(time.monotonic() - began, 3)
        reached("pg_restore:compared")
        self.target.sql(name, "ANALYZE;", timeout_seconds=0)
        reached("pg_restore:analyzed")
        self._canaries(name)

    def _canaries(self, name: str) -> None:
        """Ask each canary query for its number.

        :raises RestoreError: it gives none that is above 0.
        """
        for query in self.options.canaries:
            try:
                lines = self.target.sql(name, sql.canary(query))
                told = float(lines[0]) if len(lines) == 1 else None
            except PgError as exc:
                raise RestoreError(f"the canary {query!r} fails in the restored database: {exc}") from exc
            except ValueError:
                told = None
            if told is None:
                raise RestoreError(f"the canary {query!r} must give one number: correct it")
            if told <= 0:
                raise RestoreError(
                    f"the canary {query!r} gives {told:g} in the restored database, and must be above 0: take another backup"
                )
            self.run.canaries[query] = told

    def _oid(self, entry: dict[str, Any]) -> str | None:
        server = self.target.json(sql.ADMIN, sql.SERVER)
        return oid_of_restored(entry, server["names"], server["comments"])

    def _abandon(self, entry: dict[str, Any]) -> None:
        """Drop what was begun, and nothing that only has its name. Where that fails, the journal leads the next run to it."""
        name = entry["restored"]["name"]
        try:
            oid = self._oid(entry)
            if oid:
                self.target.sql(sql.ADMIN, sql.end_sessions([name]) + "\n")
                act(self.target, sql.drop(oid, name), name, timeout_seconds=DISK_SECONDS)
            self.run.write({**entry, "stage": "none", "open": False})
        except (PgError, RestoreError):
            return


def _missing_rows(expected: Mapping[str, int], found: Mapping[str, int]) -> list[str]:
    """Return how the rows that a plain dump holds differ from those that are there."""
    return [
        f"table {name} has {found.get(name, 'no')} rows, the dump holds {rows}"
        for name, rows in expected.items()
        if found.get(name) != rows
    ]
