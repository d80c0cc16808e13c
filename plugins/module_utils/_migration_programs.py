# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apply migrations by Prisma, or by a program of the application's. Private to this collection."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from ansible_collections.runbook.ops.plugins.module_utils import _prisma, _prisma_schema
from ansible_collections.runbook.ops.plugins.module_utils._environment_file import read_environment
from ansible_collections.runbook.ops.plugins.module_utils._migration import Program, Terms, read_scripts, read_text
from ansible_collections.runbook.ops.plugins.module_utils._migration_plan import MigrationError, Status
from ansible_collections.runbook.ops.plugins.module_utils._pg import quote_identifier, quote_literal
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import PipelineError, Stage, run_pipeline
from ansible_collections.runbook.ops.plugins.module_utils._redact import Redactor, secrets_in

URL = "DATABASE_URL"  # what Prisma, Drizzle and most others read


class Prisma:
    """``prisma migrate deploy``; what is applied stands in Prisma's own table."""

    def __init__(self, terms: Terms, program: Program, *, schema: str) -> None:
        self._terms, self._program, self._schema = terms, program, schema

    def look(self) -> Status:
        directory = self._terms.directory
        names = sorted(path.parent.name for path in directory.glob("*/migration.sql")) if directory else []
        if not names:
            raise MigrationError(f"the release has no migrations of Prisma in {directory}: correct source.migrations")
        rows = self._rows()
        failed = [row["name"] for row in rows if row["state"] == "failed"]
        if failed:
            raise MigrationError(
                f"the migration {failed[0]} has failed before, and Prisma applies nothing after it: take back by hand what it has changed, "
                "then database_rollback with -e restore_migration_by=resolve"
            )
        applied = [row["name"] for row in rows if row["state"] == "applied"]
        pending = [name for name in names if name not in applied]
        if pending:
            self._validate()
        return Status(
            pending,
            [name for name in names if name in applied],
            sorted(set(applied) - set(names)),
        )

    def _validate(self) -> None:
        """See that the release's schema is well formed; the database is not asked.

        :raises MigrationError: it is not, or Prisma is not there.
        """
        try:
            self._program("validate")
        except MigrationError as exc:
            said = str(exc).partition("; nothing tells")[0]
            raise MigrationError(
                f"the release's schema does not pass prisma validate: {said}; nothing was applied"
            ) from exc

    def _rows(self) -> list[dict[str, Any]]:
        terms = self._terms
        table = f"{quote_identifier(self._schema)}._prisma_migrations"
        if terms.target.sql(terms.database, f"SELECT to_regclass({quote_literal(table)}) IS NOT NULL;")[0] != "t":
            return []  # the first migration of all makes it
        told = _prisma.read(terms.target, terms.database, self._schema)
        if told["running"]:
            raise MigrationError("a migration is running in this database at this moment: wait until it has ended")
        rows: list[dict[str, Any]] = told["migrations"]
        return rows

    def texts(self, names: Sequence[str]) -> dict[str, str]:
        directory = self._terms.directory or Path("/nonexistent")
        return {name: read_text(directory / name / "migration.sql") for name in names}

    def apply(self, names: Sequence[str]) -> None:
        del names  # it applies what is pending, and that is what was looked at
        self._program("migrate", "deploy")

    def compare(self, file: str) -> _prisma_schema.Comparison | str:
        """Return how the database differs from the release's schema in ``file``, or why that is not known."""
        return compared(self._program, file)


def compared(prisma: Program, file: str) -> _prisma_schema.Comparison | str:
    """Return what Prisma says of its database and the schema in ``file``, or why it says nothing."""
    try:
        asked = _prisma_schema.arguments(prisma("version"), file)
        return _prisma_schema.read(prisma("migrate", "diff", "--script", *asked))
    except (MigrationError, ValueError) as exc:
        return str(exc).partition("; nothing tells")[0]


class Programs:
    """Two programs of the application's: one prints what is pending, one applies it."""

    def __init__(self, terms: Terms, pending: Program, apply: Program) -> None:
        self._terms, self._pending, self._apply = terms, pending, apply

    def look(self) -> Status:
        return Status([line.strip() for line in self._pending().splitlines() if line.strip()], [])

    def texts(self, names: Sequence[str]) -> dict[str, str]:
        """Return those that stand under their name in the directory; of the others nobody knows what they do."""
        files = read_scripts(self._terms.directory) if self._terms.directory else {}
        return {name: files[file] for name in names for file in (name, f"{name}.sql") if file in files}

    def apply(self, names: Sequence[str]) -> None:
        del names  # as with Prisma
        self._apply()


def surroundings(params: Mapping[str, Any], kept: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the application's variables, by which its programs wait no longer for a lock than we say.

    :param kept: those that a release keeps
    """
    found = read_environment(params["environment_file"]) if params["environment_file"] else dict(kept or {})
    found = {**found, **{name: str(value) for name, value in (params["environment"] or {}).items()}}
    limit = f"-c lock_timeout={round(params['lock_timeout_seconds'] * 1000)}"
    if URL in found:
        found[URL] = with_options(found[URL], limit)
    return {**found, "PGOPTIONS": f"{found.get('PGOPTIONS', '')} {limit}".strip()}


def with_options(url: str, options: str) -> str:
    """Return the address ``url`` of a PostgreSQL database with ``options`` of the session; another one as it is."""
    address, _mark, given = url.partition("?")
    if not address.startswith("postgres"):
        return url
    query = dict(parse_qsl(given, keep_blank_values=True))
    query["options"] = f"{query.get('options', '')} {options}".strip()
    return f"{address}?{urlencode(query, quote_via=quote)}"


def program(params: Mapping[str, Any], argv: Sequence[str], environment: Mapping[str, str]) -> Program:
    chdir = ["env", f"--chdir={params['chdir']}"] if params["chdir"] else []

    def stage(arguments: Sequence[str]) -> Stage:
        return Stage([*chdir, *argv, *arguments], environment, user=params["user"], name=Path(argv[0]).name)

    return calling(stage, environment, timeout_seconds=params["timeout_seconds"])


def calling(
    stage: Callable[[Sequence[str]], Stage], environment: Mapping[str, str], *, timeout_seconds: float
) -> Program:
    """Return a call of a program, which fails without the secrets in ``environment``.

    :param stage: returns how it is called with more arguments
    """

    def call(*arguments: str) -> str:
        try:
            return run_pipeline([stage(arguments)], timeout_seconds=timeout_seconds).text
        except PipelineError as exc:
            known = [secret for name, value in environment.items() for secret in secrets_in(name, value)]
            said = Redactor(known)(str(exc))
            raise MigrationError(
                f"{said}; nothing tells how far it came: look at the database before it is run again"
            ) from exc

    return call
