# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Export rows of one PostgreSQL database as a set: all of one moment, whole or not at all. Private to this collection."""

from __future__ import annotations

import errno
import json
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_draft import Draft, wait_for_a_name
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import (
    AHEAD_SECONDS,
    REMOVED,
    Backup,
    SetError,
    clean_up,
    list_backups,
    locked,
    set_name,
    sync_directory,
)
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change
from ansible_collections.runbook.ops.plugins.module_utils._codec import (
    ENCRYPTION,
    CodecError,
    choose_compression,
    prove,
)
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError
from ansible_collections.runbook.ops.plugins.module_utils._pg_backup import HOLD, iso
from ansible_collections.runbook.ops.plugins.module_utils._pg_backup_result import now
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import ARGUMENTS as TARGET
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import PgTarget
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import PipelineError
from ansible_collections.runbook.ops.plugins.module_utils._rows_catalog import TABLES, Catalog, RowsError, parse
from ansible_collections.runbook.ops.plugins.module_utils._rows_copy import KIND, Origin, write
from ansible_collections.runbook.ops.plugins.module_utils._rows_select import Pick, needed, overlooked, plan, strays
from ansible_collections.runbook.ops.plugins.module_utils._units import parse_duration

ROWS: dict[str, Any] = {
    "type": "list",
    "elements": "dict",
    "default": [],
    "options": {
        "table": {"type": "str", "required": True},
        "column": {"type": "str", "required": True},
        "value": {"type": "str", "required": True},
    },
}
# What rows are meant; of both modules.
SELECTION: dict[str, Any] = {
    "tables": {"type": "list", "elements": "str", "default": []},
    "rows": ROWS,
    "follow": {"type": "bool", "default": True},
    "exclude": {"type": "list", "elements": "str", "default": []},
    "accept_shared": {"type": "bool", "default": False},
}
ARGUMENTS: dict[str, Any] = {
    **TARGET,
    **SELECTION,
    "database": {"type": "str", "required": True},
    "directory": {"type": "path", "required": True},
    "set": {"type": "str"},
    "compression": {"type": "str", "default": "auto", "choices": ["auto", "zstd", "gzip", "none"]},
    "encryption": ENCRYPTION,
    "unless_younger_than": {"type": "str"},
    "keep_days": {"type": "float"},
    "plan_only": {"type": "bool", "default": False},
    "timeout_seconds": {"type": "int", "default": 3600},
}
SECTION = "Export"


def run(params: Mapping[str, Any], *, check_mode: bool = False) -> dict[str, Any]:
    """Return the result of the module: it makes an export, or says what a run would make.

    :raises RowsError: it cannot be made; what there is stays as it is.
    """
    given = {
        name: spec.get("default") if params.get(name) is None else params[name] for name, spec in ARGUMENTS.items()
    }
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


def make(
    origin: Origin,
    directory: Path,
    name: str,
    *,
    compression: str,
    encryption: Mapping[str, Any] | None,
    notes: Sequence[str] = (),
) -> Backup:
    """Return the export that was made of ``origin``. Hold the set's lock."""
    began, catalog = time.monotonic(), origin.catalog
    at = wait_for_a_name(directory, name)
    with Draft.begin(directory, name, at) as draft:
        reached("pg_export:begun")
        parts = write(origin, draft, compression=compression, encryption=encryption)
        reached("pg_export:written")
        content = {
            "format": "copy",
            "server_version": catalog.server_version,
            "server_version_num": catalog.server_version_num,
            "system_identifier": catalog.system_identifier,
            "tables": {one["table"]: one["rows"] for one in parts},
            "parts": parts,
            "notes": list(notes),
        }
        manifest = {
            "kind": KIND,
            "database": origin.database,
            "host": socket.gethostname(),
            "taken_at": iso(at),
            "finished_at": iso(now()),
            "seconds": round(time.monotonic() - began, 3),
            "tools": {"psql": origin.target.program_version("psql")},
            "compression": compression,
            "encryption": dict(encryption) if encryption else None,
            "content": content,
        }
        return draft.seal(manifest)


def serves(backup: Backup, origin: Origin, encryption: Mapping[str, Any] | None, young_seconds: float) -> bool:
    """Return whether ``backup`` is what an export of ``origin`` would be made, and young: several may share the name of a set."""
    manifest, content = backup.manifest, backup.manifest.get("content") or {}
    if not -AHEAD_SECONDS < (now() - backup.taken_at).total_seconds() < young_seconds:
        return False
    if (manifest.get("kind"), manifest.get("database")) != (KIND, origin.database):
        return False
    if manifest.get("encryption") != (dict(encryption) if encryption else None):
        return False
    picks = [Pick.from_json(one["pick"]) for one in content["parts"]]
    return picks == list(origin.picks) and content["system_identifier"] == origin.catalog.system_identifier


def expired(known: Sequence[Backup], keep_days: float | None) -> list[Backup]:
    """Return those of ``known`` that a new export leaves too old to be kept; none without ``keep_days``, and nothing but exports."""
    if keep_days is None:
        return []
    exports = [one for one in known if one.manifest.get("kind") == KIND]
    return [one for one in exports if (now() - one.taken_at).total_seconds() > keep_days * 86400]


def forget(new: Backup, keep_days: float | None) -> list[str]:
    """Delete the exports of the set that ``new`` leaves too old, and return their names. Hold the set's lock."""
    directory = new.path.parent
    old = expired([one for one in list_backups(directory, new.set) if one.name != new.name], keep_days)
    for one in old:
        one.path.rename(
            one.path.with_name(f"{one.name}{REMOVED}")
        )  # it is none any more from here on, whatever happens
    if old:
        sync_directory(directory)
        clean_up(directory, new.set)
    return [one.name for one in old]


def deletions(old: Sequence[str], keep_days: float | None) -> list[dict[str, Any]]:
    """Return what is deleted in the one shape of a change."""
    return [
        make_change(name, action="delete", section=SECTION, reason=f"it is older than {keep_days:g} days")
        for name in old
    ]


def result(
    backup: Backup | None,
    params: Mapping[str, Any],
    *,
    changed: bool,
    origin: Origin | None = None,
    notes: Sequence[str] = (),
    path: str = "",
    old: Sequence[str] = (),
) -> dict[str, Any]:
    """Return what the module returns: of ``backup``, or in check mode of what it would be made of."""
    if backup:
        tables = dict(backup.manifest["content"]["tables"])
        picks = [Pick.from_json(one["pick"]) for one in backup.manifest["content"]["parts"]]
        notes, path = backup.manifest["content"]["notes"], str(backup.path)
    else:
        picks = list(origin.picks) if origin else []
        tables = dict(zip([pick.table for pick in picks], origin.counts())) if origin else {}
        path = f"{path}_<time>"
    reported = changed and not params["plan_only"]
    words = f"export {sum(tables.values())} rows of {len(tables)} tables of {params['database']} to {path}"
    return {
        "changed": reported,
        "actions": [words, *(f"delete {one}" for one in old)] if changed else [],
        "export": described(backup) if backup else None,
        "tables": [{"table": pick.table, "rows": tables[pick.table], "by": found_by(pick)} for pick in picks],
        "notes": list(notes),
        "changes": [
            make_change(
                str(params["database"]),
                action="export",
                section=SECTION,
                reason=words,
                after=sum(tables.values()),
                unit="rows",
            ),
            *deletions(old, params["keep_days"]),
        ]
        if reported
        else [],
        "diff": {
            "before": "",
            "after": "".join(f"{name}: {rows} rows\n" for name, rows in tables.items()) if changed else "",
        },
    }


def described(backup: Backup) -> dict[str, Any]:
    manifest = backup.manifest
    return {
        "name": backup.name,
        "path": str(backup.path),
        "set": backup.set,
        "identity": backup.identity,
        "taken_at": manifest["taken_at"],
        "seconds": manifest["seconds"],
        "size": manifest["size"],
        "compression": manifest["compression"],
        "encryption": (manifest["encryption"] or {}).get("method"),
    }


def found_by(pick: Pick) -> str:
    """Return in words which rows of its table are meant."""
    if pick.whole:
        return "all rows"
    parts = [f"{pick.column} = {pick.value}"] if pick.column is not None else []
    return " or ".join(parts + [f"{', '.join(edge.columns)} in {edge.references}" for edge in pick.edges])


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
