# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One rotation of one directory, with or without Ansible around it. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_folder import Folder
from ansible_collections.runbook.ops.plugins.module_utils._backup_removal import finish, remove
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import SET
from ansible_collections.runbook.ops.plugins.module_utils._dated_names import NAME, read_dates
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._retention import Floors, prune, read_keep
from ansible_collections.runbook.ops.plugins.module_utils._rotation import (
    Proofs,
    Rotation,
    RotationError,
    refuse_too_many,
    report,
)
from ansible_collections.runbook.ops.plugins.module_utils._rotation_checks import judge
from ansible_collections.runbook.ops.plugins.module_utils._units import parse_duration, parse_size

# The defaults of the module, for those who rotate without it.
DEFAULTS: Mapping[str, Any] = {
    "pattern": None,
    "set": None,
    "date_format": None,
    "minimum": 3,
    "minimum_verified": 3,
    "min_size": "1B",
    "max_age": None,
    "max_delete_percent": 90,
    "names_limit": 20,
}


def rotate(options: Mapping[str, Any], *, now: datetime, check_mode: bool) -> dict[str, Any]:
    """Delete what the rules let go, and return what happened.

    :param options: those of the module backup_rotate
    :param now: in the host's own time zone, without a zone, as the names have none
    :raises RotationError: the directory cannot be read, a file not be deleted, too many would go, or the set is in use.
    :raises ValueError: an option cannot be meant.
    """
    options = {**DEFAULTS, **options}
    keep, set_name = read_keep(options["keep"]), options["set"]
    max_age = None if options["max_age"] is None else parse_duration(options["max_age"])
    if set_name is not None and not SET.match(set_name):
        raise RotationError(f"{set_name!r} cannot name a set of backups: use letters, digits, '.', '_' and '-'")
    made = set_name is None or Path(options["directory"]).exists()
    if not made:
        rotation = _nothing(options, keep, now=now)
    else:
        with (
            Folder(options["directory"], min_size=parse_size(options["min_size"])) as folder,
            folder.hold(set_name, check_mode=check_mode),
        ):
            rotation = _rotate(options, keep, folder, now=now, check_mode=check_mode)
    # What makes the first backup of the set makes the directory: a prediction of both has nothing to tell yet.
    checks = judge(rotation, now=now, max_age=max_age) if made or not check_mode else []
    return {**report(rotation, names_limit=options["names_limit"]), "checks": checks}


def _nothing(options: Mapping[str, Any], keep: Mapping[str, float | None], *, now: datetime) -> Rotation:
    """Return the rotation of a directory that does not exist yet."""
    dated = read_dates([], pattern=options["pattern"], date_format=options["date_format"], set_name=options["set"])
    plan = prune([], keep=keep, now=now, minimum=options["minimum"])
    return Rotation(options["directory"], keep, dated, plan, 0, [], 0, set_name=options["set"])


def _rotate(
    options: Mapping[str, Any],
    keep: Mapping[str, float | None],
    folder: Folder,
    *,
    now: datetime,
    check_mode: bool,
) -> Rotation:
    set_name, verified = options["set"], options["minimum_verified"]
    floors: Floors = {}
    if set_name is not None:
        # The newest that was restored on trial is the one that a restore would take.
        floors = {"verified": (verified, folder.is_verified), "proven": (1, folder.is_proven)}
    dated = read_dates(
        folder.names(), pattern=options["pattern"], date_format=options["date_format"], set_name=set_name
    )
    folder.learn(dated)
    leftovers = [name for name in sorted(dated.removed) if folder.is_leftover(name)]
    plan = prune(dated.backups, keep=keep, now=now, minimum=options["minimum"], is_good=folder.is_good, floors=floors)
    refuse_too_many(
        len(plan.delete), len(dated.backups), limit=options["max_delete_percent"], directory=options["directory"]
    )
    named = [backup[NAME] for backup in plan.delete[: options["names_limit"]]]
    faults = {name: why for name, why in ((name, folder.fault(name)) for name in named) if why}
    reached("backup_rotate:planned")
    if not check_mode:
        finish(folder, leftovers)
    removed, size = remove(folder, plan.delete, check_mode=check_mode)
    return Rotation(
        directory=options["directory"],
        keep=keep,
        dated=dated,
        plan=plan,
        found=len(dated.backups) - len(plan.delete) + len(removed),  # what only had the name of a backup is none
        deleted=removed,
        bytes_freed=size,
        faults=faults,
        leftovers=leftovers,
        strays=sorted(folder.strays),
        strangers=folder.strangers,
        set_name=set_name,
        proofs=Proofs(verified, len(folder.sets), plan.newest_of.get("verified"), plan.oldest_by_rule(floors))
        if set_name is not None and verified
        else None,
    )
