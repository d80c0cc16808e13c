# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fill an empty database from a dump: completely, or not at all. Private to this collection."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._codec import decoding
from ansible_collections.runbook.ops.plugins.module_utils._pg import quote_identifier
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_plan import Source
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
from ansible_collections.runbook.ops.plugins.module_utils._probe_program import account_of

PSQL = ("-X", "-w", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "--single-transaction")
PG_RESTORE = ("--exit-on-error", "--no-password")


class Loading(NamedTuple):
    """How a dump is loaded."""

    owner: str  # who gets what is in a dump that does not say to whom it belongs
    jobs: int
    identity: str | None  # the private key of an encrypted backup
    workplace: Path  # where a copy may stand that the server's account can read
    timeout_seconds: float | None


def load(target: PgTarget, name: str, source: Source, how: Loading) -> dict[str, int]:
    """Fill the database ``name``; return the rows of each table that a plain dump copies, and nothing for others.

    :raises PgError: something could not be loaded; what is in the database then is of no use.
    :raises RestoreError: the dump is damaged.
    :raises CodecError: it is encrypted and the key is missing, or a program is.
    """
    target.sql(ADMIN, quick(name))
    try:
        if source.kind == "plain":
            return _plain(target, name, source, how)
        path = Path(source.path)
        dump = path / source.content["dump"] if source.kind == "set" and source.content else path
        if dump.is_dir():
            _directory(target, name, dump, how)
        else:
            _custom(target, name, dump, how)
    except PipelineError as exc:
        raise tool_error(exc, name) from exc
    return {}


def _plain(target: PgTarget, name: str, source: Source, how: Loading) -> dict[str, int]:
    seen = look_through(source)
    if not seen.owners:
        target.sql(ADMIN, f"ALTER DATABASE {quote_identifier(name)} SET role = {quote_identifier(how.owner)};")
    path = Path(source.path)
    psql = target.stage("psql", *PSQL, database=name, reads=True)
    if compression_of(path) == "zstd":
        run_pipeline([UNZSTD, psql], source=path, sink=_forget, timeout_seconds=how.timeout_seconds)
    else:
        # Where unpacking fails, psql is killed before it sees an end: half a dump would look like all of it.
        run_pipeline([psql], source=pieces_of(path), sink=_forget, timeout_seconds=how.timeout_seconds)
    return {table_name(table): rows for table, rows in seen.rows.items()}


def _custom(target: PgTarget, name: str, path: Path, how: Loading) -> None:
    stage = target.stage("pg_restore", *PG_RESTORE, "--single-transaction", database=name, reads=True)
    with decoding(path, identity=how.identity) as (stages, fed):
        run_pipeline([*stages, stage], source=fed, sink=_forget, timeout_seconds=how.timeout_seconds)


def _directory(target: PgTarget, name: str, path: Path, how: Loading) -> None:
    stage = target.stage("pg_restore", *PG_RESTORE, f"--jobs={how.jobs}", "--format=directory", database=name)
    with _readable(path, stage.user, how.workplace) as handle:
        # By its number, not by its path: the directories above it are closed to everybody but root.
        stage = stage._replace(argv=[*stage.argv, f"/proc/self/fd/{handle}"], pass_fds=(handle,))
        run_pipeline([stage], sink=_forget, timeout_seconds=how.timeout_seconds)


@contextmanager
def _readable(path: Path, user: str | None, workplace: Path) -> Iterator[int]:
    """Give a handle of a directory whose files ``user`` can read: ``path``, or a copy that is gone afterwards."""
    copy = None
    if user and os.geteuid() == 0 and path.stat().st_uid != account_of(user)["user"]:
        copy = workplace
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir(mode=0o700)
        for file in path.iterdir():
            shutil.copyfile(file, copy / file.name)
            shutil.chown(copy / file.name, user)
        shutil.chown(copy, user)
    handle = os.open(copy or path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield handle
    finally:
        os.close(handle)
        if copy:
            shutil.rmtree(copy, ignore_errors=True)


def _forget(_piece: bytes) -> None:
    """Take what psql prints: the results of setval."""
