# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Import rows into a PostgreSQL database: all of them or none, with what was there kept before. Private to this collection."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_proof import check, read_proof
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import (
    Backup,
    SetError,
    clean_up,
    locked,
    set_name,
)
from ansible_collections.runbook.ops.plugins.module_utils._codec import choose_compression, prove
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._given import with_defaults
from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError
from ansible_collections.runbook.ops.plugins.module_utils._pg_export import explained
from ansible_collections.runbook.ops.plugins.module_utils._pg_session import PgSession
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import PgTarget
from ansible_collections.runbook.ops.plugins.module_utils._rows_arguments import IMPORT as ARGUMENTS
from ansible_collections.runbook.ops.plugins.module_utils._rows_backup import choose
from ansible_collections.runbook.ops.plugins.module_utils._rows_catalog import TABLES, RowsError, parse
from ansible_collections.runbook.ops.plugins.module_utils._rows_copy import Origin, Part
from ansible_collections.runbook.ops.plugins.module_utils._rows_forget import forget
from ansible_collections.runbook.ops.plugins.module_utils._rows_merge import (
    Merge,
    after,
    before,
    circular,
    merges,
    outside,
)
from ansible_collections.runbook.ops.plugins.module_utils._rows_result import Found, RefusedError, refuse, result
from ansible_collections.runbook.ops.plugins.module_utils._rows_session import RowsSession
from ansible_collections.runbook.ops.plugins.module_utils._rows_set import make
from ansible_collections.runbook.ops.plugins.module_utils._rows_wanted import Wanted, rows_of


def run(params: Mapping[str, Any], *, check_mode: bool = False) -> dict[str, Any]:
    """Return the result of the module: it imports, or says what a run would import.

    :raises RowsError: it cannot be imported; nothing has changed then.
    """
    given = with_defaults(params, ARGUMENTS)
    for name in ("timeout_seconds", "lock_timeout_seconds"):
        if given[name] < 1:
            raise RowsError(f"{name} is {given[name]}: it must be at least 1")
    with explained(given["way_back_directory"]):
        return Import(given).run(check_mode=check_mode or given["plan_only"])


class Import:
    """One import that is asked for."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = params
        self.database: str = params["database"]
        self.target = PgTarget.from_params(params, application="runbook.ops pg_import")
        self.way_back: Backup | None = None
        self.old: list[str] = []  # ways back that are too old
        self.late: list[str] = []  # what went wrong once the rows were in

    def run(self, *, check_mode: bool) -> dict[str, Any]:
        backup = choose(self.params)
        problems = check(backup, known=(read_proof(backup) or {}).get("files")).problems
        if problems:
            raise RowsError(f"{backup.name} is damaged, take another: {'; '.join(problems[:3])}")
        if self.params["way_back_encryption"]:
            prove(self.params["way_back_encryption"])
        with rows_of(self.target, backup, self.params) as wanted, RowsSession(self.target, self.database) as session:
            session.begin(self.params)
            catalog = parse(json.loads(session(TABLES)[-1]))
            ordered = merges(catalog, wanted.picks, [(one.number, one.table, one.columns) for one in wanted.parts])
            self.stage(session, ordered, wanted.parts)
            reached("pg_import:staged")
            found = [self.look(session, merge) for merge in ordered]
            if not self.params["plan_only"]:
                refuse(found, self.params)
            if not check_mode and any(one.changes(self.params) for one in found):
                found = self.merge(session, ordered, wanted)
                self.forget()
        closed = [
            f"{table.name} and {key.references} refer to each other: who reads {table.name} waits too, while the rows go in"
            for table, key in circular(ordered)
        ]
        notes = [*wanted.notes, *closed, *self.late]
        return result(
            self.params, found, path=backup.path, title=wanted.title, notes=notes, way_back=self.way_back, old=self.old
        )

    def stage(self, session: RowsSession, ordered: Sequence[Merge], parts: Sequence[Part]) -> None:
        """Bring the rows into temporary tables: that all of them fit is known before a real one is touched.

        :raises RowsError: one does not, or they are not as many as there should be.
        """
        known = {part.number: part for part in parts}
        for merge in ordered:
            part = known[merge.number]
            session(merge.stage())
            try:
                session.send(merge.copy_in(), part)
            except PgError as exc:
                raise RowsError(f"the rows of {part.table} do not fit: {exc}; nothing was changed") from exc
            staged = int(session(merge.staged())[-1])
            if staged != part.rows:
                raise RowsError(f"{part.table} should have {part.rows} rows and has {staged}: take another")
            session(f"ANALYZE pg_temp.s{merge.number};")

    def look(self, session: PgSession, merge: Merge) -> Found:
        """Return how the staged rows of one table stand to those that are there."""
        counts = json.loads(session(merge.compare())[-1])
        listed = []
        if counts["different"] and merge.key and self.params["list_rows"] > 0:
            listed = [json.loads(line) for line in session(merge.list_different(self.params["list_rows"]))]
        return Found(merge.table.name, **counts, listed=listed)

    def merge(self, session: PgSession, ordered: Sequence[Merge], wanted: Wanted) -> list[Found]:
        """Put the rows in, in one transaction, and return what was found when nobody else could write any more.

        :raises RowsError: it cannot be done; nothing has changed then.
        """
        params = self.params
        session("BEGIN ISOLATION LEVEL READ COMMITTED;")
        # Readers go on. Who writes waits, so that what is kept is what is replaced.
        session(f"LOCK TABLE {', '.join(merge.table.only for merge in ordered)} IN SHARE ROW EXCLUSIVE MODE;")
        reached("pg_import:locked")
        found = [self.look(session, merge) for merge in ordered]
        refuse(found, params)
        if params["extra"] == "delete":
            for key, sql in outside(ordered, replaces=params["different"] == "replace"):
                number = int(session(sql)[-1])
                if number:
                    raise RefusedError(
                        f"{number} rows of {key.table} would be changed or deleted with rows of {key.references}, and must not be: "
                        "export what hangs on them too, or set extra to leave; nothing was changed",
                        found,
                    )
        self.keep(session, ordered, wanted)
        reached("pg_import:kept")
        session(before(ordered))
        if params["extra"] == "delete":
            for merge in reversed(ordered):
                session(merge.delete_extra())
        for merge in ordered:
            if params["different"] == "replace":
                session(merge.replace_different())
            session(merge.insert_new())
        session(after(ordered))
        reached("pg_import:merged")
        for one in (self.look(session, merge) for merge in ordered):
            if one.changes(params):
                raise RowsError(
                    f"after the import {one.table} is not as it should be ({one.words()}): nothing was changed"
                )
        for merge in ordered:
            session(merge.move_sequences())
        reached("pg_import:proven")
        session("COMMIT;")
        reached("pg_import:committed")
        return found

    def forget(self) -> None:
        """Delete the ways back of earlier imports that are too old: they hold personal data.

        The rows are in: what goes wrong here is told, and does not hide that.
        """
        if self.way_back is None:
            return
        try:
            with locked(self.way_back.path.parent, self.way_back.set):
                self.old = forget(self.way_back, self.params["way_back_keep_days"])
        except (SetError, OSError) as exc:
            self.late.append(f"the rows are in, but no older way back was deleted, the next import tries again: {exc}")

    def keep(self, session: PgSession, ordered: Sequence[Merge], wanted: Wanted) -> None:
        """Export what is there now of what is meant: importing that, exactly, is the way back."""
        directory, name = Path(self.params["way_back_directory"]), f"{self.database}-before-import"
        set_name(name, datetime.now(timezone.utc))
        snapshot = session("SELECT pg_export_snapshot();")[-1]
        origin = Origin(
            self.target, self.database, ordered[0].catalog, wanted.picks, snapshot, self.params["timeout_seconds"]
        )
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(directory, name):
            clean_up(directory, name)
            self.way_back = make(
                origin,
                directory,
                name,
                compression=choose_compression("auto"),
                encryption=self.params["way_back_encryption"],
                notes=[f"what was there before {wanted.title} was imported"],
            )
