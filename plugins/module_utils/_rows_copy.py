# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows on their way: out of a database, into a draft, out of a backup. Private to this collection.

They travel in COPY's text format: in it every line is one row, whatever the row holds, and each value comes back as it was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._backup_draft import Draft
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import Backup
from ansible_collections.runbook.ops.plugins.module_utils._codec import decoding, encoding
from ansible_collections.runbook.ops.plugins.module_utils._pg import (
    PSQL,
    PgError,
    Session,
    explain,
    quote_literal,
)
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import PgTarget
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import CHUNK, PipelineError, Sink, run_pipeline
from ansible_collections.runbook.ops.plugins.module_utils._rows_catalog import Catalog, RowsError
from ansible_collections.runbook.ops.plugins.module_utils._rows_select import Pick, copy_out, count

KIND = "postgresql-rows"
# As pg_dump does: what is printed is read again as the same value on every server.
EXACT = """\
SET client_min_messages = error;
SET row_security = off;
SET DateStyle = 'ISO, YMD';
SET IntervalStyle = postgres;
SET extra_float_digits = 3;
SET bytea_output = hex;
"""
SIMPLE = re.compile(r"[^A-Za-z0-9._-]")


class Origin(NamedTuple):
    """Rows of a database, at one moment."""

    target: PgTarget
    database: str
    catalog: Catalog
    picks: Sequence[Pick]
    snapshot: str | None = None  # that another session holds
    timeout_seconds: float = 3600

    def script(self, statement: str) -> bytes:
        moment = f"SET TRANSACTION SNAPSHOT {quote_literal(self.snapshot)};\n" if self.snapshot else ""
        begun = f"{EXACT}BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;\n{moment}"
        prelude = Session(self.target.application, 60, self.timeout_seconds).prelude()
        return f"{prelude}{begun}{statement}COMMIT;\n".encode()

    def counts(self) -> list[int]:
        """Return how many rows each pick has."""
        return [int(one) for one in self._ask(count(self.catalog, self.picks))]

    def ask(self, statement: str) -> int:
        """Return the one number that a statement gives."""
        return int(self._ask(statement))

    def _ask(self, statement: str) -> Any:
        stage = self.target.stage("psql", *PSQL, database=self.database, reads=True)
        try:
            done = run_pipeline([stage], source=self.script(statement), timeout_seconds=self.timeout_seconds)
        except PipelineError as exc:
            raise explain(exc.stderr, self.database) if exc.stderr else PgError(str(exc)) from exc
        return json.loads(done.text)

    def send(self, number: int, sink: Sink, encoders: Sequence[Any] = ()) -> None:
        """Hand the rows of a pick to ``sink``, through ``encoders``.

        :raises PgError: they cannot be read.
        :raises PipelineError: an encoder failed.
        """
        columns = self.catalog.tables[self.picks[number].table].stored()
        stage = self.target.stage("psql", *PSQL, database=self.database, reads=True)
        source = self.script(copy_out(self.catalog, self.picks, number, columns))
        try:
            run_pipeline([stage, *encoders], source=source, sink=sink, timeout_seconds=self.timeout_seconds)
        except PipelineError as exc:
            if exc.name == stage.title and exc.stderr:
                raise explain(exc.stderr, self.database) from exc
            raise


def write(
    origin: Origin, draft: Draft, *, compression: str, encryption: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    """Write the rows of ``origin`` into ``draft``, one file for each table, and return what is in them.

    :raises RowsError: what was written is not what was counted.
    """
    encoders, suffix = encoding(compression, encryption)
    counts, told = origin.counts(), []
    for number, pick in enumerate(origin.picks):
        table = origin.catalog.tables[pick.table]
        relative = f"rows/{number:03d}_{SIMPLE.sub('_', table.name)}.copy{suffix}"
        with draft.create(relative) as file:
            origin.send(number, file.write, encoders)
        if not encryption and (found := count_lines(draft.path / relative)) != counts[number]:
            raise RowsError(f"{table.name} has {counts[number]} rows, and {found} were written: run this again")
        types = {column.name: column.type for column in table.columns}
        told.append(
            {
                "table": table.name,
                "file": relative,
                "rows": counts[number],
                "columns": [[name, types[name]] for name in table.stored()],
                "key": list(table.key),
                "pick": pick.as_json(),
            }
        )
    return told


def count_lines(path: Path, *, identity: str | None = None, timeout_seconds: float | None = None) -> int:
    """Return the rows that a file of an export holds: each ends with the only line break in it."""
    lines, last = 0, b"\n"

    def look(data: bytes) -> None:
        nonlocal lines, last
        lines += data.count(b"\n")
        last = data[-1:] or last

    read(path, look, identity=identity, timeout_seconds=timeout_seconds)
    if last != b"\n":
        raise RowsError(f"{path.name} ends within a row: take another export")
    return lines


def read(path: Path, sink: Sink, *, identity: str | None = None, timeout_seconds: float | None = None) -> None:
    """Hand what a file of an export holds to ``sink``, decrypted and unpacked.

    :raises CodecError: it is encrypted and there is no key, or a program is missing.
    :raises PipelineError: it is damaged.
    """
    with decoding(path, identity=identity) as (stages, source):
        if stages:
            run_pipeline(stages, source=source, sink=sink, timeout_seconds=timeout_seconds)
            return
        with path.open("rb", buffering=0) as file:
            while piece := file.read(CHUNK):
                sink(piece)


class Part(NamedTuple):
    """The rows of one table that are to be imported."""

    table: str
    number: int  # of its pick
    columns: dict[str, str]  # types by name
    rows: int
    send: Callable[[Sink], None]


def parts_of_backup(backup: Backup, *, identity: str | None, timeout_seconds: float) -> list[Part]:
    """Return what an export holds.

    :raises RowsError: its manifest does not say.
    """
    try:
        return [
            Part(
                one["table"],
                number,
                dict(one["columns"]),
                int(one["rows"]),
                partial(read, backup.path / one["file"], identity=identity, timeout_seconds=timeout_seconds),
            )
            for number, one in enumerate(backup.manifest["content"]["parts"])
        ]
    except (KeyError, TypeError, ValueError) as exc:
        raise RowsError(f"{backup.path} does not say what it holds ({exc}): take another export") from exc


def parts_of_database(origin: Origin) -> list[Part]:
    """Return what ``origin`` holds."""
    counts = origin.counts()
    return [
        Part(
            pick.table,
            number,
            {column.name: column.type for column in origin.catalog.tables[pick.table].columns if not column.generated},
            counts[number],
            partial(origin.send, number),
        )
        for number, pick in enumerate(origin.picks)
    ]
