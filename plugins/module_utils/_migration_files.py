# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apply migrations that are files of SQL. Private to this collection."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._migration import Terms, read_scripts
from ansible_collections.runbook.ops.plugins.module_utils._migration_plan import (
    MigrationError,
    Status,
    baseline,
    compare,
    digest,
)
from ansible_collections.runbook.ops.plugins.module_utils._migration_sql import look_into
from ansible_collections.runbook.ops.plugins.module_utils._pg import quote_literal

LEDGER = "public.runbook_ops_migrations"
LOCK = 7276_1001  # of PostgreSQL's advisory locks: one migration at a time in a database
READ = f"SELECT coalesce(json_agg(m ORDER BY name), '[]') FROM {LEDGER} m;"  # noqa: S608  # a constant
MAKE = f"""
CREATE TABLE IF NOT EXISTS {LEDGER} (
  name text PRIMARY KEY, sha256 text NOT NULL, state text NOT NULL CHECK (state IN ('started', 'applied')),
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(), finished_at timestamptz, note text);
"""
HAS_TABLES = """
SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND c.oid <> coalesce(to_regclass({ledger}), 0));
"""


class SqlFiles:
    """Files in the order of their names, each applied once, in one transaction with the note of it."""

    def __init__(self, terms: Terms, *, first: str, retry: str, note: str) -> None:
        self._terms, self._first, self._retry, self._note = terms, first, retry, note
        self._scripts = read_scripts(terms.directory)

    def look(self) -> Status:
        rows, taken = self._rows(), []
        if rows is None and self._scripts:
            if self._first:
                taken = baseline(self._scripts, self._first)
            elif self._ask(HAS_TABLES.format(ledger=quote_literal(LEDGER)))[0] == "t":
                raise MigrationError(
                    f"{self._terms.database} has tables, and nothing says which migrations made them: say baseline with the last one that is "
                    "applied (or all, or none)"
                )
        rows = [self._row(name) for name in taken] if rows is None else rows
        known = [row for row in rows if row["name"] != self._retry or row["state"] == "applied"]
        return compare(self._scripts, known)._replace(taken=taken)

    def texts(self, names: Sequence[str]) -> dict[str, str]:
        return {name: self._scripts[name] for name in names}

    def apply(self, names: Sequence[str]) -> None:
        if self._rows() is None:
            first = baseline(self._scripts, self._first) if self._first else []
            self._write(
                "BEGIN;" + self._owned(MAKE + "".join(self._insert(name, "applied") for name in first)) + "COMMIT;"
            )
        if self._retry:
            self._write(f"DELETE FROM {LEDGER} WHERE name = {quote_literal(self._retry)} AND state = 'started';")  # noqa: S608  # quoted
        for name in names:
            self._one(name)
            reached("database_migration:applied")

    def _one(self, name: str) -> None:
        script = look_into(self._scripts[name])
        body = ";\n".join(one.text for one in script.statements) + "\n;\n"
        try:
            if script.alone:
                self._write(self._owned(self._insert(name, "started")))
                reached("database_migration:started")
                self._write(self._owned(body))
                done = f"UPDATE {LEDGER} SET state = 'applied', finished_at = clock_timestamp() WHERE name = {quote_literal(name)};"  # noqa: S608  # quoted
                self._write(self._owned(done))
            else:
                lock = f"SELECT pg_advisory_xact_lock({LOCK}) \\g /dev/null\n"
                self._write(
                    "BEGIN;\n"
                    + lock
                    + self._owned(body + f"SET ROLE {self._owner};" + self._insert(name, "applied"))
                    + "COMMIT;\n"
                )
        except Exception as exc:
            left = (
                "look at what it left: no transaction takes it back" if script.alone else "it is taken back as a whole"
            )
            raise MigrationError(f"{name} failed, and {left}: {exc}") from exc

    def _owned(self, sql: str) -> str:
        """Return ``sql`` as the owner of the database runs it: what a migration makes belongs to the application."""
        return f"RESET search_path;\nSET ROLE {self._owner};\n{sql}\nRESET ROLE;\n"

    @cached_property
    def _owner(self) -> str:
        """The owner of the database, as SQL takes it."""
        asked = "SELECT quote_ident(pg_get_userbyid(datdba)) FROM pg_database WHERE datname = current_database();"
        return self._ask(asked)[0]

    def _insert(self, name: str, state: str) -> str:
        finished = "clock_timestamp()" if state == "applied" else "NULL"
        values = f"{quote_literal(name)}, {quote_literal(digest(self._scripts[name]))}, '{state}', {finished}, {quote_literal(self._note)}"
        return f"INSERT INTO {LEDGER} (name, sha256, state, finished_at, note) VALUES ({values});\n"  # noqa: S608  # quoted

    def _row(self, name: str) -> dict[str, Any]:
        return {"name": name, "sha256": digest(self._scripts[name]), "state": "applied", "started_at": None}

    def _rows(self) -> list[dict[str, Any]] | None:
        """Return the ledger; None where there is none."""
        if self._ask(f"SELECT to_regclass({quote_literal(LEDGER)}) IS NOT NULL;")[0] != "t":
            return None
        rows: list[dict[str, Any]] = self._terms.target.json(self._terms.database, READ)
        return rows

    def _ask(self, sql: str) -> list[str]:
        return self._terms.target.sql(self._terms.database, sql)

    def _write(self, sql: str) -> None:
        terms = self._terms
        terms.target.sql(
            terms.database, sql, timeout_seconds=terms.timeout_seconds, lock_timeout_seconds=terms.lock_timeout_seconds
        )
