# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which export or backup rows are taken from, and whether they may be. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_proof import read_proof
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import (
    Backup,
    SetError,
    list_backups,
    read_backup,
)
from ansible_collections.runbook.ops.plugins.module_utils._rows_catalog import RowsError
from ansible_collections.runbook.ops.plugins.module_utils._rows_copy import KIND

LATEST = "latest"
WHOLE = "postgresql"


def choose(params: Mapping[str, Any]) -> Backup:
    """Return the backup that the options name.

    :raises RowsError: there is none, or it is one of something else.
    """
    try:
        backup = _find(params)
    except SetError as exc:
        raise RowsError(str(exc)) from exc
    kind, database = backup.manifest.get("kind"), backup.manifest.get("database")
    if kind not in (KIND, WHOLE):
        raise RowsError(f"{backup.path} is a backup of the kind {kind}: rows are in {WHOLE} and {KIND} only")
    if database != (params["from_database"] or params["database"]):
        raise RowsError(
            f"{backup.name} is of the database {database}: if that is meant, set from_database to {database}"
        )
    return backup


def _find(params: Mapping[str, Any]) -> Backup:
    wanted, directory = params["backup"], params["directory"]
    if not wanted:
        raise RowsError("backup is empty: give the path of an export or a backup, its name in directory, or latest")
    if wanted.startswith("/"):
        return read_backup(Path(wanted))
    if not directory or (wanted == LATEST and not params["set"]):
        raise RowsError(f"backup is {wanted}: set directory{' and set' if wanted == LATEST else ''} to say where it is")
    if wanted != LATEST:
        return read_backup(Path(directory) / wanted)
    before = _moment(params["taken_before"]) if params["taken_before"] else None
    found = [one for one in list_backups(Path(directory), params["set"]) if before is None or one.taken_at < before]
    when = f" from before {params['taken_before']}" if before else ""
    if not found:
        raise RowsError(f"there is no whole backup {params['set']} in {directory}{when}: correct directory and set")
    fit = [one for one in found if may_be_latest(one) or params["accept_unproven"].strip()]
    if not fit:
        raise RowsError(
            f"none of the {len(found)} backups {params['set']} in {directory}{when} has passed a test restore: prove one with "
            "backup_verify and drill, or set accept_unproven to the reason why the newest is taken all the same"
        )
    return fit[-1]


def may_be_latest(backup: Backup) -> bool:
    """Return whether it may be taken unnamed. An export is tried when it is staged; a whole backup must have been before."""
    return backup.manifest.get("kind") == KIND or is_proven(backup)


def is_proven(backup: Backup) -> bool:
    """Return whether this very backup has passed a test restore, and failed none since."""
    proof = read_proof(backup) or {}
    return bool((proof.get("drill") or {}).get("passed")) and not proof.get("failed_drill")


def _moment(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as exc:
        raise RowsError(f"taken_before is {text!r}: give a moment such as 2026-02-05T02:00:00Z") from exc
    return at if at.tzinfo else at.replace(tzinfo=timezone.utc)
