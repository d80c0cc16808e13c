# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Prisma has noted of its migrations, and which of them may be marked as rolled back. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError, quote_identifier
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import PgTarget

LOCK = 72707369  # the advisory lock that `prisma migrate` holds while it works
NO_TABLE = "42P01"
READ = """
SELECT json_build_object(
  'running', EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = {lock} AND database =
    (SELECT oid FROM pg_database WHERE datname = current_database())),
  'migrations', (SELECT coalesce(json_agg(json_build_object('name', migration_name,
      'started_at', to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
      'finished_at', to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
      'rolled_back_at', to_char(rolled_back_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
      'steps', applied_steps_count) ORDER BY started_at), '[]') FROM {schema}._prisma_migrations));
"""


class PrismaError(Exception):
    """A migration that cannot be marked as rolled back; the message is one line that says what to do."""


def read(target: PgTarget, database: str, schema: str) -> dict[str, Any]:
    """Return ``migrations``, each with its ``state``, oldest first, and whether one is ``running``.

    :raises PgError: the server does not tell, or Prisma has never been at work there.
    """
    try:
        told: dict[str, Any] = target.json(database, READ.format(lock=LOCK, schema=quote_identifier(schema)))
    except PgError as exc:
        if exc.code != NO_TABLE:
            raise
        raise PgError(
            f"Prisma has never been at work in {database}: there is no table {schema}._prisma_migrations; correct database or schema"
        ) from exc
    told["migrations"] = summarise(told["migrations"])
    return told


def summarise(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one entry a migration: of several tries the last one counts."""
    last: dict[str, dict[str, Any]] = {}
    for row in rows:
        last.pop(row["name"], None)
        last[row["name"]] = {**row, "state": state_of(row)}
    return list(last.values())


def state_of(row: Mapping[str, Any]) -> str:
    """Return applied, failed or rolled_back, as Prisma reads it."""
    if row["rolled_back_at"]:
        return "rolled_back"
    return "applied" if row["finished_at"] else "failed"


def plan(told: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """Return the migration that is to be marked as rolled back; None where it is already.

    :raises PrismaError: there is no such migration, it has succeeded, or one is running.
    """
    found = next((one for one in told["migrations"] if one["name"] == name), None)
    failed = [one["name"] for one in told["migrations"] if one["state"] == "failed"]
    if found is None:
        names = ", ".join(failed) or "none"
        raise PrismaError(f"Prisma knows no migration {name!r} in this database; failed are: {names}")
    if found["state"] == "applied":
        raise PrismaError(
            f"the migration {name} has succeeded, at {found['finished_at']}: it cannot be marked as rolled back, and the mark would undo "
            "nothing; restore the backup from before it, or write a migration that takes it back"
        )
    if told["running"]:
        raise PrismaError("a migration is running in this database at this moment: wait until it has ended")
    return found if found["state"] == "failed" else None


def cannot_take_back(found: Mapping[str, Any]) -> str:
    """Return what stays in the database although the migration is marked."""
    steps = found["steps"]
    done = f"{steps} of its steps were carried out and stay" if steps else "none of its steps was noted as carried out"
    return (
        f"{done}: the mark undoes nothing in the database; take back by hand what the migration has changed, "
        "or the next prisma migrate deploy meets it when it applies the same migration again"
    )
