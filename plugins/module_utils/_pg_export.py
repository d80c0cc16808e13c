# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Export rows of one PostgreSQL database as a set: all of one moment, whole or not at all. Private to this collection."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_set import (
    SetError,
    clean_up,
    list_backups,
    locked,
    set_name,
)
from ansible_collections.runbook.ops.plugins.module_utils._codec import CodecError, choose_compression, prove
from ansible_collections.runbook.ops.plugins.module_utils._given import with_defaults
from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError
from ansible_collections.runbook.ops.plugins.module_utils._pg_backup import HOLD
from ansible_collections.runbook.ops.plugins.module_utils._pg_backup_result import now
from ansible_collections.runbook.ops.plugins.module_utils._pg_export_result import result
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import PgTarget
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import PipelineError
from ansible_collections.runbook.ops.plugins.module_utils._rows_arguments import EXPORT as ARGUMENTS
from ansible_collections.runbook.ops.plugins.module_utils._rows_catalog import TABLES, Catalog, RowsError, parse
from ansible_collections.runbook.ops.plugins.module_utils._rows_copy import Origin
from ansible_collections.runbook.ops.plugins.module_utils._rows_forget import expired, forget
from ansible_collections.runbook.ops.plugins.module_utils._rows_select import needed, overlooked, plan, strays
from ansible_collections.runbook.ops.plugins.module_utils._rows_set import make, serves
from ansible_collections.runbook.ops.plugins.module_utils._units import parse_duration


def run(params: Mapping[str, Any], *, check_mode: bool = False) -> dict[str, Any]:
    """Return the result of the module: it makes an export, or says what a run would make.

    :raises RowsError: it cannot be made; what there is stays as it is.
    """
    given = with_defaults(params, ARGUMENTS)
    with explained(given["directory"]):
        return _run(given, check_mode=check_mode)


def _run(params: Mapping[str, Any], *, check_mode: bool) -> dict[str, Any]:
    database, directory = str(params["database"]), Path(params["directory"])
    name = params["set"] or f"{database}-export"
    set_name(name, now())
    if not directory.is_absolute():
        raise RowsError(f"directory is {directory}: give its whole path")
    young_seconds = parse_duration(params["unless_younger_than"]) if params["unless_younger_than"] else 0
    compression = choose_compression(params["compression"])
    if params["encryption"]:
        prove(params["encryption"])
    target = PgTarget.from_params(params, application="runbook.ops pg_export")
    with target.session(database) as holder:
        holder(HOLD)
        snapshot = holder("SELECT pg_export_snapshot();")[-1]
        catalog = parse(json.loads(holder(TABLES)[-1]))
        picks = plan(catalog, **{key: params[key] for key in ("tables", "rows", "follow", "exclude")})
        origin = Origin(target, database, catalog, picks, snapshot, params["timeout_seconds"])
        known = reversed(list_backups(directory, name) if young_seconds else [])
        young = next((one for one in known if serves(one, origin, params["encryption"], young_seconds)), None)
        if young:
            return result(young, params, changed=False)
        notes = look(origin, accept_shared=params["accept_shared"], exclude=params["exclude"])
        if check_mode or params["plan_only"]:
            old = [one.name for one in expired(list_backups(directory, name), params["keep_days"])]
            return result(None, params, changed=True, origin=origin, notes=notes, path=str(directory / name), old=old)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(directory, name):
            clean_up(directory, name)
            backup = make(
                origin, directory, name, compression=compression, encryption=params["encryption"], notes=notes
            )
            old = forget(backup, params["keep_days"])
    return result(backup, params, changed=True, notes=notes, old=old)


def look(origin: Origin, *, accept_shared: bool, exclude: Sequence[str] = ()) -> list[str]:
    """Return what should be known of the rows before they are taken.

    :raises RowsError: some belong to others too.
    """
    catalog, picks = origin.catalog, origin.picks
    notes = [
        f"{name} is referred to and not taken: its rows must be where these are imported"
        for name in needed(catalog, picks)
    ]
    notes += [
        f"{name} is not taken: no foreign key leads from there, but the column has the name of one. Add it to rows if it belongs to them, or to exclude"
        for name in overlooked(catalog, picks, exclude)
    ]
    for key, sql in strays(catalog, picks):
        number = origin.ask(sql)
        if number and not accept_shared:
            raise RowsError(
                f"{number} of the rows of {key.table} refer, by {', '.join(key.columns)}, to rows of {key.references} that are not taken: "
                "are they somebody else's too? Add a table to exclude, or set accept_shared to take them"
            )
        if number:
            notes.append(f"{number} rows of {key.table} refer to rows of {key.references} that are not taken")
    return notes


def read_catalog(target: PgTarget, database: str) -> Catalog:
    """Return the tables that are in ``database`` now."""
    return parse(target.json(database, TABLES))


@contextmanager
def explained(directory: str) -> Iterator[None]:
    """Turn what may go wrong into one line.

    :raises RowsError: something went wrong.
    """
    try:
        yield
    except OSError as exc:
        full = exc.errno in (errno.ENOSPC, errno.EDQUOT)
        told = (
            "is full: nothing of this export was kept: make room there"
            if full
            else f"cannot be used ({exc.strerror}): {exc.filename or ''}"
        )
        raise RowsError(f"{directory} {told}") from exc
    except (PgError, SetError, CodecError, PipelineError, ValueError) as exc:
        raise RowsError(str(exc)) from exc
