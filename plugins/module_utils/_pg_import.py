# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Import rows into a PostgreSQL database: all of them or none, with what was there kept before. Private to this collection."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._backup_proof import check, read_proof
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import (
    Backup,
    SetError,
    clean_up,
    locked,
    set_name,
)
from ansible_collections.runbook.ops.plugins.module_utils._codec import ENCRYPTION, choose_compression, prove
from ansible_collections.runbook.ops.plugins.module_utils._drill_postgresql import check_room
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError, quote_literal
from ansible_collections.runbook.ops.plugins.module_utils._pg_content import compare, read_content
from ansible_collections.runbook.ops.plugins.module_utils._pg_export import (
    SELECTION,
    explained,
    forget,
    look,
    make,
    read_catalog,
)
from ansible_collections.runbook.ops.plugins.module_utils._pg_fill import Load, fill
from ansible_collections.runbook.ops.plugins.module_utils._pg_scratch import Scratch, drop_abandoned
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import ARGUMENTS as TARGET
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import PgSession, PgTarget
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import Sink
from ansible_collections.runbook.ops.plugins.module_utils._rows_backup import choose, is_proven
from ansible_collections.runbook.ops.plugins.module_utils._rows_catalog import TABLES, RowsError, bare, parse
from ansible_collections.runbook.ops.plugins.module_utils._rows_copy import (
    EXACT,
    KIND,
    Origin,
    Part,
    parts_of_backup,
    parts_of_database,
)
from ansible_collections.runbook.ops.plugins.module_utils._rows_merge import (
    Merge,
    after,
    before,
    circular,
    merges,
    outside,
)
from ansible_collections.runbook.ops.plugins.module_utils._rows_result import Found, RefusedError, refuse, result
from ansible_collections.runbook.ops.plugins.module_utils._rows_select import Pick, plan

ARGUMENTS: dict[str, Any] = {
    **TARGET,
    **SELECTION,
    "database": {"type": "str", "required": True},
    "backup": {"type": "str", "required": True},
    "directory": {"type": "path"},
    "set": {"type": "str"},
    "taken_before": {"type": "str"},
    "from_database": {"type": "str"},
    "accept_unproven": {"type": "str", "default": ""},
    "identity": {"type": "str", "no_log": True},
    "different": {"type": "str", "default": "refuse", "choices": ["refuse", "leave", "replace"]},
    "extra": {"type": "str", "default": "leave", "choices": ["leave", "delete"]},
    "way_back_directory": {"type": "path", "default": "/var/backups/runbook-ops"},
    "way_back_encryption": ENCRYPTION,
    "way_back_keep_days": {"type": "float", "default": 30},
    "list_rows": {"type": "int", "default": 10},
    "jobs": {"type": "int", "default": 2},
    "plan_only": {"type": "bool", "default": False},
    "timeout_seconds": {"type": "int", "default": 3600},
    "lock_timeout_seconds": {"type": "int", "default": 10},
}
GRACE_SECONDS = 60.0  # for a server to end a statement by itself


class RowsSession(PgSession):
    """A session that rows can be sent into. Its errors go into logs and records: no value of a row is told there."""

    tells_detail = False

    def __enter__(self) -> RowsSession:
        super().__enter__()
        return self

    def send(self, statement: str, part: Part) -> None:
        """Run a COPY that reads what ``part`` sends.

        :raises PgError: a row does not fit.
        """
        self(EXACT)
        process = self._process
        if process is None or process.stdin is None:
            raise PgError("there is no session: use it inside with")
        write: Sink = process.stdin.write
        try:
            write(statement.encode())
            part.send(write)
            write(b"\\.\n")
        except BrokenPipeError:
            pass  # what it said comes as an error of the next statement
        self("SELECT 1;")


class Wanted(NamedTuple):
    """What is to be imported."""

    picks: Sequence[Pick]  # which rows are meant, here as there
    parts: Sequence[Part]
    title: str
    notes: Sequence[str] = ()


def run(params: Mapping[str, Any], *, check_mode: bool = False) -> dict[str, Any]:
    """Return the result of the module: it imports, or says what a run would import.

    :raises RowsError: it cannot be imported; nothing has changed then.
    """
    given = {
        name: spec.get("default") if params.get(name) is None else params[name] for name, spec in ARGUMENTS.items()
    }
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
        with self.wanted(backup) as wanted, RowsSession(self.target, self.database) as session:
            self.begin(session)
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

    def begin(self, session: PgSession) -> None:
        """Make sure that nobody else imports here.

        :raises RowsError: somebody does.
        """
        # Our own limits hold, whatever the server or the database has for others. That of the server comes first.
        session.answer_seconds = self.params["timeout_seconds"] + GRACE_SECONDS
        session(f"{EXACT}SET statement_timeout = {self.params['timeout_seconds'] * 1000};")
        session(f"SET lock_timeout = {self.params['lock_timeout_seconds'] * 1000};")
        session(f"SET idle_in_transaction_session_timeout = {self.params['timeout_seconds'] * 1000};")
        session("SET default_transaction_read_only = off;")
        # Where this host is gone without a word, the server lets go of the tables soon.
        session("SET tcp_keepalives_idle = 30;\nSET tcp_keepalives_interval = 10;\nSET tcp_keepalives_count = 3;")
        session("SET default_transaction_isolation = 'read committed';\nSET synchronous_commit = on;")
        key = quote_literal(f"runbook.ops pg_import {self.database}")
        if session(f"SELECT pg_try_advisory_lock(hashtextextended({key}, 0));") != ["t"]:
            raise RowsError(f"another run imports into {self.database} at this moment: wait until it has ended")

    @contextmanager
    def wanted(self, backup: Backup) -> Iterator[Wanted]:
        """Give the rows that are asked for: of an export, or of a backup that is restored into a scratch database for it."""
        params, manifest = self.params, backup.manifest
        if manifest["kind"] == KIND:
            parts = parts_of_backup(backup, identity=params["identity"], timeout_seconds=params["timeout_seconds"])
            if params["rows"]:
                raise RowsError(
                    f"{backup.name} is an export of certain rows already: leave rows out, or take a whole backup"
                )
            picks = [Pick.from_json(one["pick"]) for one in manifest["content"]["parts"]]
            yield Wanted(picks, self.only(parts), backup.name, manifest["content"].get("notes") or [])
            return
        if not params["tables"] and not params["rows"]:
            raise RowsError(f"{backup.name} is the backup of a whole database: say what of it in tables or rows")
        if not is_proven(backup) and not params["accept_unproven"].strip():
            raise RowsError(
                f"{backup.name} has not passed a test restore: prove it with backup_verify and drill, take another, or set "
                "accept_unproven to the reason why rows of it are restored all the same"
            )
        drop_abandoned(self.target)
        check_room(self.target, manifest["content"])
        with Scratch(self.target, manifest["content"], title=backup.name, now=datetime.now(timezone.utc)) as scratch:
            yield self.from_scratch(backup, scratch.name)

    def from_scratch(self, backup: Backup, scratch: str) -> Wanted:
        """Restore a whole backup beside, compare it with its manifest, and return the rows of it that are asked for.

        :raises RowsError: it is not what its manifest says.
        """
        params, content = self.params, backup.manifest["content"]
        workplace = backup.path.parent / f".{backup.set}.rows-{os.getpid()}"
        how = Load(params["jobs"], params["identity"], workplace, params["timeout_seconds"])
        fill(self.target, scratch, backup.path / content["dump"], how)
        reached("pg_import:restored")
        differences = compare(content, read_content(self.target, scratch))
        if differences:
            raise RowsError(f"{backup.name} is not what its manifest says: {'; '.join(differences[:3])}: take another")
        catalog = read_catalog(self.target, scratch)
        picks = plan(catalog, **{key: params[key] for key in ("tables", "rows", "follow", "exclude")})
        origin = Origin(self.target, scratch, catalog, picks, None, params["timeout_seconds"])
        notes = look(origin, accept_shared=params["accept_shared"], exclude=params["exclude"])
        reason = "" if is_proven(backup) else f", not proven, accepted because: {params['accept_unproven']}"
        return Wanted(picks, parts_of_database(origin), f"{backup.name}{reason}", notes)

    def only(self, parts: Sequence[Part]) -> list[Part]:
        """Return the parts of an export that are asked for.

        :raises RowsError: a table is not in it.
        """
        asked = {bare(name) for name in self.params["tables"]}
        missing = sorted(asked - {bare(part.table) for part in parts})
        if missing:
            known = ", ".join(part.table for part in parts)
            raise RowsError(f"the export has no table {', '.join(missing)}: it has {known}")
        return [part for part in parts if not asked or bare(part.table) in asked]

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
