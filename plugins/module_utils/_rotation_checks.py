# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is seen of backups while they are rotated, as checks. Private to this collection."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._dated_names import NAME
from ansible_collections.runbook.ops.plugins.module_utils._rotation import SECTION, Proofs, Rotation
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration


def judge(rotation: Rotation, *, now: datetime, max_age: float | None) -> list[dict[str, Any]]:
    """Return the checks: is there a good backup, is it late (``max_age`` in seconds), is the clock to be believed.

    Of a set also: are so many verified as are to stay, and is there a verified one among those that the rules keep.
    """
    plan = rotation.plan
    status, remedy, age = "ok", None, None
    if plan.newest_good_at is None:
        status = "critical"
        detail = f"none of {rotation.found} backups is good" if rotation.found else "there is no backup"
        remedy = "make one now, and read the log of the job that should have"
    else:
        age = max(0, round((now - plan.newest_good_at).total_seconds()))
        detail = f"{plan.newest_good}, {human_duration(age)} old"
        if max_age is not None and age >= max_age:
            status, remedy = "warning", "read the log of the job that makes them; nothing is deleted for being old"
    for warning, advice in _warnings(rotation):
        status = max(status, "warning", key=("ok", "warning", "critical").index)
        detail += f"; {warning}"
        remedy = remedy or advice
    of_set = f" of {rotation.set_name}" if rotation.set_name else ""
    newest = make_check(
        _identity(rotation),
        name=f"Newest good backup{of_set} in {rotation.directory}",
        section=SECTION,
        status=status,
        value=age,
        unit="s",
        limit=max_age,
        detail=detail,
        remedy=remedy,
    )
    if rotation.proofs is None or not rotation.found:
        return [newest]  # where there is no backup at all, one red check says it
    return [newest, _judge_proofs(rotation, rotation.proofs)]


def _identity(rotation: Rotation) -> str:
    of_set = f"/{rotation.set_name}" if rotation.set_name else ""
    return f"backup_rotation:{rotation.directory}{of_set}"


def _warnings(rotation: Rotation) -> list[tuple[str, str]]:
    """Return what else is wrong in the directory, each with what to do."""
    future, told = rotation.plan.in_future, []
    if future:
        advice = "compare the host's clock with another: timedatectl; then rename or remove them by hand"
        told.append((f"{len(future)} dated in the future, such as {future[0]}", advice))
    for name in rotation.strays[:1]:
        advice = f"look at {name}: it has the name of a backup and is none; remove it by hand"
        told.append((f"{len(rotation.strays)} not whole, such as {name}", advice))
    for name, foreign in list(rotation.strangers.items())[:1]:
        advice = f"move {foreign} out of {name}: a backup that holds something else is never deleted"
        told.append(
            (f"{len(rotation.strangers)} stay because of what else is in them, such as {name}/{foreign}", advice)
        )
    return told


def _judge_proofs(rotation: Rotation, proofs: Proofs) -> dict[str, Any]:
    count, newest = rotation.plan.kept_by["verified"], proofs.newest
    status, detail = (
        "ok",
        f"the newest is {newest[NAME]}" if newest else f"no backup of the set {rotation.set_name} is verified",
    )
    remedy = "verify the backups (playbook verify_backups), and read why the newest ones are not"
    if not proofs.there:
        status, remedy = "warning", "make the first one (playbook backup)"
        detail = f"no backup of the set {rotation.set_name} has been made yet: what is there is a script's"
    elif newest is None:
        status = "critical"
    elif proofs.oldest_by_rule is not None and newest < proofs.oldest_by_rule:
        status = "critical"
        detail += (
            f", older than all that the rules keep, from {proofs.oldest_by_rule[NAME]} on: none of those is verified"
        )
    elif count < min(proofs.verified, proofs.there):
        status = "warning"
        detail += f"; until there are {proofs.verified}, none of the verified ones goes"
    return make_check(
        f"{_identity(rotation)}:verified",
        name=f"Verified backups of {rotation.set_name} in {rotation.directory}",
        section=SECTION,
        status=status,
        value=count,
        limit=proofs.verified,
        detail=detail,
        remedy=remedy,
    )
