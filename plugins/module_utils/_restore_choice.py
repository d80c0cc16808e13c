# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backup of a stream is restored, and whether it may be. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_proof import check, read_proof
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import Backup, list_backups, read_backup
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import StoreError

LATEST = "latest"


def choose(params: Mapping[str, Any], kind: str) -> Backup:
    """Return the backup that the options name: a path, a name in ``directory``, or the latest of ``set``.

    :raises StoreError: there is none, or it is one of something else.
    :raises SetError: what is named is no whole backup.
    """
    wanted, directory = params["backup"], params["directory"]
    if not wanted:
        raise StoreError("backup is missing: give the path of a backup, its name in directory, or latest")
    if wanted == LATEST:
        limit = _moment(params["taken_before"])
        backup = _latest(directory, params["set"], limit, proven_only=not params["accept_unproven"])
    elif wanted.startswith("/"):
        backup = read_backup(Path(wanted))
    elif directory:
        backup = read_backup(Path(directory) / wanted)
    else:
        raise StoreError("backup is a name: set directory to where it is")
    if backup.manifest.get("kind") != kind:
        raise StoreError(
            f"{backup.path} is a backup of the kind {backup.manifest.get('kind')}, not {kind}: take another"
        )
    return backup


def is_begun_with(params: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    """Return whether the backup that ``entry`` began with is the latest that the options ask for.

    It is the latest of when it was begun: one that was made since changes nothing.
    """
    if params["backup"] != LATEST:
        return False
    path, taken_at = Path(entry["backup"]), entry.get("taken_at")
    limit = _moment(params["taken_before"])
    if limit and not (taken_at and datetime.fromisoformat(taken_at.replace("Z", "+00:00")) < limit):
        return False
    if not params["directory"] or not params["set"]:
        return True
    return path.parent == Path(params["directory"]) and path.name.rpartition("_")[0] == params["set"]


def _moment(text: str) -> datetime | None:
    """Return the moment that ``text`` names, in UTC where it names no zone.

    :raises StoreError: it names none.
    """
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None
    except ValueError:
        raise StoreError(f"taken_before is {text!r}: write a moment such as 2026-02-05T02:00:00Z") from None
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _latest(directory: str | None, prefix: str | None, limit: datetime | None, *, proven_only: bool) -> Backup:
    if not directory or not prefix:
        raise StoreError("backup is latest: set directory and set to say of what")
    found = [one for one in list_backups(Path(directory), prefix) if limit is None or one.taken_at < limit]
    fit = [one for one in found if not proven_only or is_proven(one)]
    if fit:
        return fit[-1]
    if found:
        raise StoreError(
            f"none of the {len(found)} backups {prefix} in {directory} has passed a test restore: prove one with backup_verify "
            "and drill, or set accept_unproven to the reason why the newest is restored all the same"
        )
    before = f" from before {limit:%Y-%m-%dT%H:%M:%SZ}" if limit else ""
    raise StoreError(f"there is no whole backup {prefix} in {directory}{before}: correct directory and set")


def is_proven(backup: Backup) -> bool:
    """Return whether this very backup has passed a test restore, and failed none since."""
    proof = read_proof(backup) or {}
    return bool((proof.get("drill") or {}).get("passed")) and not proof.get("failed_drill")


def refuse_unproven(backup: Backup, reason: str) -> str:
    """Read ``backup`` again where it was written to since it was proven, and return why it may be restored.

    :raises StoreError: it is damaged, or was never restored in a test and there is no reason to take it all the same.
    """
    proof = read_proof(backup) or {}
    problems = check(backup, known=proof.get("files")).problems
    if problems:
        raise StoreError(f"{backup.path} is damaged ({problems[0]}): take another backup")
    if is_proven(backup):
        return f"proven by a test restore at {proof['drill'].get('at') or proof.get('checked_at')}"
    if not reason:
        raise StoreError(
            f"{backup.path} has not passed a test restore: prove it with backup_verify and drill, or set accept_unproven to "
            "the reason why it is restored all the same"
        )
    return f"NOT PROVEN, accepted because: {reason}"
