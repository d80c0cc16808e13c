# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rotation of backups did, and why. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change
from ansible_collections.runbook.ops.plugins.module_utils._dated_names import NAME, Dated
from ansible_collections.runbook.ops.plugins.module_utils._retention import Plan, describe_keep
from ansible_collections.runbook.ops.plugins.module_utils._units import human_size

SECTION = "Backups"


class RotationError(Exception):
    """A rotation that cannot or should not go on."""


@dataclass(frozen=True)
class Proofs:
    """What is to be there of a set, whatever rules say."""

    verified: int  # so many of the newest verified ones stay
    there: int  # whole backups of the set
    newest: str | None  # the newest verified one, as in Dated.backups
    oldest_by_rule: str | None  # the oldest one that a rule keeps, as in Dated.backups


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
    faults: Mapping[str, str] = field(default_factory=dict)  # name of one that goes: why it is not good
    leftovers: list[str] = field(default_factory=list)  # names of what a killed run was deleting
    strays: list[str] = field(default_factory=list)  # names of what is named like a backup of the set, and is none
    strangers: Mapping[str, str] = field(default_factory=dict)  # name of one that was to go: what else stands in it
    set_name: str | None = None
    proofs: Proofs | None = None


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
    deletions = [
        {
            "name": backup[NAME],
            "reason": f"not good: {rotation.faults[backup[NAME]]}"
            if backup[NAME] in rotation.faults
            else "no rule keeps it",
        }
        for backup in rotation.deleted[:names_limit]
    ]
    return {
        "changed": bool(rotation.deleted or rotation.leftovers),
        "found": rotation.found,
        "kept": kept,
        "deleted": len(rotation.deleted),
        "bytes_freed": rotation.bytes_freed,
        "deleted_names": [deletion["name"] for deletion in deletions],
        "deletions": deletions,
        "keeps": explain(rotation.dated.backups, plan, limit=names_limit),
        "kept_by": dict(plan.kept_by),
        "newest_good": plan.newest_good,
        "newest_good_at": plan.newest_good_at.isoformat() if plan.newest_good_at else None,
        "newest_verified": rotation.proofs.newest[NAME] if rotation.proofs and rotation.proofs.newest else None,
        "in_future": len(plan.in_future),
        "not_good": plan.not_good[:names_limit],
        "not_whole": rotation.strays[:names_limit],
        "not_ours": dict(list(rotation.strangers.items())[:names_limit]),
        "leftovers": rotation.leftovers[:names_limit],
        "unfinished": rotation.dated.unfinished,
        "undated": rotation.dated.undated,
        "changes": _changes(rotation, kept),
        "diff": {
            "before": {"backups": rotation.found, "deleted": []},
            "after": {"backups": kept, "deleted": [f"{gone['name']}: {gone['reason']}" for gone in deletions]},
        },
    }


def _changes(rotation: Rotation, kept: int) -> list[dict[str, Any]]:
    changes = []
    if rotation.leftovers:
        reason = f"{', '.join(rotation.leftovers[:3])}: left of a run that was killed while it deleted"
        changes.append(make_change(rotation.directory, action="cleaned up", section=SECTION, reason=reason))
    if rotation.deleted:
        changes.append(
            make_change(
                rotation.directory,
                action="pruned",
                section=SECTION,
                reason=f"keep {describe_keep(rotation.keep)}; {human_size(rotation.bytes_freed)} freed",
                before=rotation.found,
                after=kept,
                unit="backups",
            )
        )
    return changes


def explain(backups: list[str], plan: Plan, *, limit: int) -> list[dict[str, Any]]:
    """Return the newest ``limit`` backups that stay, newest first, each with the reasons why."""
    told: list[dict[str, Any]] = []
    deleted, end = len(plan.delete) - 1, len(backups) - len(plan.in_future)
    for index in range(len(backups) - 1, -1, -1):
        if len(told) >= limit:
            break
        key = backups[index]
        if deleted >= 0 and plan.delete[deleted] == key:
            deleted -= 1
            continue
        reasons = list(plan.reasons.get(key, ()))
        if index >= end:
            reasons.append("dated in the future")
        elif plan.newest_good is None:
            reasons.append("no backup is good")
        elif plan.newest_key is not None and key > plan.newest_key:
            reasons.append("newer than the newest good one")
        elif plan.within_from is not None and key >= plan.within_from:
            reasons.append("within")
        told.append({"name": key[NAME], "reasons": reasons or ["the newest good one"]})
    return told
