# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fill an empty database from a backup or a dump: completely, or not at all. Private to this collection."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.runbook.ops.plugins.module_utils._pg import quote_identifier
from ansible_collections.runbook.ops.plugins.module_utils._pg_fill import Load, fill
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_entry import Source
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_scan import table_name
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_source import (
    UNZSTD,
    compression_of,
    look_through,
    pieces_of,
)
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_sql import ADMIN, quick
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import PgTarget, tool_error
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import PipelineError, run_pipeline

PSQL = ("-X", "-w", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "--single-transaction")


def load(target: PgTarget, name: str, source: Source, how: Load, *, owner: str) -> dict[str, int]:
    """Fill the database ``name``; return the rows of each table that a plain dump copies, and nothing for others.

    :param owner: who gets what is in a plain dump that does not say to whom it belongs
    :raises PgError: something could not be loaded; what is in the database then is of no use.
    :raises RestoreError: the dump is damaged.
    :raises CodecError: it is encrypted and the key is missing, or a program is.
    """
    target.sql(ADMIN, quick(name))
    if source.kind == "plain":
        try:
            return _plain(target, name, source, how, owner)
        except PipelineError as exc:
            raise tool_error(exc, name) from exc
    path = Path(source.path)
    fill(target, name, path / source.content["dump"] if source.kind == "set" and source.content else path, how)
    return {}


def _plain(target: PgTarget, name: str, source: Source, how: Load, owner: str) -> dict[str, int]:
    seen = look_through(source)
    if not seen.owners:
        target.sql(ADMIN, f"ALTER DATABASE {quote_identifier(name)} SET role = {quote_identifier(owner)};")
    path = Path(source.path)
    psql = target.stage("psql", *PSQL, database=name, reads=True)
    if compression_of(path) == "zstd":
        run_pipeline([UNZSTD, psql], source=path, sink=_forget, timeout_seconds=how.timeout_seconds)
    else:
        # Where unpacking fails, psql is killed before it sees an end: half a dump would look like all of it.
        run_pipeline([psql], source=pieces_of(path), sink=_forget, timeout_seconds=how.timeout_seconds)
    return {table_name(table): rows for table, rows in seen.rows.items()}


def _forget(_piece: bytes) -> None:
    """Take what psql prints: the results of setval."""
