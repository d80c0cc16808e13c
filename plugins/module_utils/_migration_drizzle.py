# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Migrations of Drizzle, applied by a program that calls its migrator. Private to this collection."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._migration import Program, Terms, read_text
from ansible_collections.runbook.ops.plugins.module_utils._migration_plan import MigrationError, Status, digest
from ansible_collections.runbook.ops.plugins.module_utils._pg import quote_identifier, quote_literal

JOURNAL = "meta/_journal.json"
TABLE = "__drizzle_migrations"
READ = "SELECT coalesce(json_agg(json_build_object('when', created_at, 'hash', hash) ORDER BY created_at), '[]') FROM {table};"


class Entry(NamedTuple):
    """One migration of a release."""

    tag: str
    when: int  # milliseconds: by this number Drizzle decides
    text: str


class Drizzle:
    """What is applied stands in Drizzle's own table. All that is pending is one transaction of Drizzle's."""

    def __init__(self, terms: Terms, apply: Program, *, schema: str) -> None:
        self._terms, self._apply, self._schema = terms, apply, schema
        self._entries = entries_in(terms.directory)

    def look(self) -> Status:
        return stand(self._entries, self._rows())

    def texts(self, names: Sequence[str]) -> dict[str, str]:
        return {one.tag: one.text for one in self._entries if one.tag in names}

    def apply(self, names: Sequence[str]) -> None:
        del names  # it applies what is pending, and that is what was looked at
        self._apply()

    def _rows(self) -> list[dict[str, Any]]:
        terms, table = self._terms, f"{quote_identifier(self._schema)}.{quote_identifier(TABLE)}"
        if terms.target.sql(terms.database, f"SELECT to_regclass({quote_literal(table)}) IS NOT NULL;")[0] != "t":
            return []  # the first migration of all makes it
        rows: list[dict[str, Any]] = terms.target.json(terms.database, READ.format(table=table))
        return rows


def entries_in(directory: Path | None) -> list[Entry]:
    """Return the migrations that stand in ``directory``, in the order in which Drizzle applies them.

    :raises MigrationError: it has no journal of Drizzle's, or a file is missing.
    """
    if directory is None or not (directory / JOURNAL).is_file():
        raise MigrationError(f"the release has no {JOURNAL} of Drizzle in {directory}: correct source.migrations")
    try:
        told = json.loads(read_text(directory / JOURNAL))["entries"]
        found = [(str(one["tag"]), int(one["when"])) for one in told]
    except (KeyError, TypeError, ValueError) as exc:
        raise MigrationError(f"{directory / JOURNAL} is no journal of Drizzle: generate it anew") from exc
    return [Entry(tag, when, read_text(directory / f"{tag}.sql")) for tag, when in found]


def stand(entries: Sequence[Entry], rows: Sequence[Mapping[str, Any]]) -> Status:
    """Return where a database with the notes ``rows`` stands against ``entries``.

    Drizzle compares with the newest note alone: what is older and has none is passed over without a word.

    :raises MigrationError: one would be passed over, or has been changed since it was applied.
    """
    noted = {int(row["when"]): str(row["hash"]) for row in rows}
    last = max(noted, default=None)
    for one in entries:
        if last is not None and one.when <= last and one.when not in noted:
            raise MigrationError(
                f"{one.tag} is not applied, and older than what was applied last: Drizzle passes it over without a word; "
                "generate it anew, so that it comes after the others"
            )
        if one.when in noted and noted[one.when] != digest(one.text):
            raise MigrationError(
                f"{one.tag} has been changed since it was applied: put the old text back, and write a new migration"
            )
    known = {one.when for one in entries}
    return Status(
        [one.tag for one in entries if one.when not in noted],
        [one.tag for one in entries if one.when in noted],
        [f"{text[:12]} of {when}" for when, text in sorted(noted.items()) if when not in known],
    )
