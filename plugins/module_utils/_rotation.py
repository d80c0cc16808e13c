# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rotation of backups did, in the words of checks and changes. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change, make_check
from ansible_collections.runbook.ops.plugins.module_utils._dated_names import NAME, Dated
from ansible_collections.runbook.ops.plugins.module_utils._retention import Plan, describe_keep
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration, human_size

SECTION = "Backups"


class RotationError(Exception):
    """A rotation that cannot or should not go on."""


@dataclass(frozen=True)
class Rotation:
    """One rotation of one directory."""

    directory: str
    keep: Mapping[str, float | None]
    dated: Dated
    plan: Plan
    found: int  # backups before
    deleted: list[str]  # as in Dated.backups
    bytes_freed: int


def refuse_too_many(deletions: int, found: int, *, limit: float, directory: str) -> None:
    """Stop a rule that empties a directory: it is more often a typing error than a wish.

    :raises RotationError: ``deletions`` are more than ``limit`` percent of ``found``.
    """
    if deletions > found * limit / 100:
        raise RotationError(
            f"{deletions} of {found} backups in {directory} would go ({100 * deletions / found:.0f} %), allowed are "
            f"{limit:g} % in one run; nothing was deleted. Correct keep, or raise max_delete_percent for this run"
        )


def report(rotation: Rotation, *, names_limit: int) -> dict[str, Any]:
    """Return the result of the module, without the checks."""
    plan, kept = rotation.plan, rotation.found - len(rotation.deleted)
    names = [backup[NAME] for backup in rotation.deleted[:names_limit]]
    change = make_change(
        rotation.directory,
        action="pruned",
        section=SECTION,
        reason=f"keep {describe_keep(rotation.keep)}; {human_size(rotation.bytes_freed)} freed",
        before=rotation.found,
        after=kept,
        unit="backups",
    )
    return {
        "changed": bool(rotation.deleted),
        "found": rotation.found,
        "kept": kept,
        "deleted": len(rotation.deleted),
        "bytes_freed": rotation.bytes_freed,
        "deleted_names": names,
        "kept_by": dict(plan.kept_by),
        "newest_good": plan.newest_good,
        "newest_good_at": plan.newest_good_at.isoformat() if plan.newest_good_at else None,
        "in_future": len(plan.in_future),
        "not_good": plan.not_good[:names_limit],
        "unfinished": rotation.dated.unfinished,
        "undated": rotation.dated.undated,
        "changes": [change] if rotation.deleted else [],
        "diff": {
            "before": {"backups": rotation.found, "deleted": []},
            "after": {"backups": kept, "deleted": names},
        },
    }


def judge(rotation: Rotation, *, now: datetime, max_age: float | None) -> list[dict[str, Any]]:
    """Return one check: is there a good backup, is it late (``max_age`` in seconds), is the clock to be believed."""
    plan = rotation.plan
    status, remedy = "ok", None
    if plan.newest_good_at is None:
        status, age = "critical", None
        detail = f"none of {rotation.found} backups is good" if rotation.found else "there is no backup"
        remedy = "make one now, and read the log of the job that should have"
    else:
        age = max(0, round((now - plan.newest_good_at).total_seconds()))
        detail = f"{plan.newest_good}, {human_duration(age)} old"
        if max_age is not None and age >= max_age:
            status, remedy = "warning", "read the log of the job that makes them; nothing is deleted for being old"
    if plan.in_future:
        status = max(status, "warning", key=("ok", "warning", "critical").index)
        detail += f"; {len(plan.in_future)} dated in the future, such as {plan.in_future[0]}"
        remedy = remedy or "compare the host's clock with another: timedatectl; then rename or remove them by hand"
    return [
        make_check(
            f"backup_rotation:{rotation.directory}",
            name=f"Newest good backup in {rotation.directory}",
            section=SECTION,
            status=status,
            value=age,
            unit="s",
            limit=max_age,
            detail=detail,
            remedy=remedy,
        )
    ]
