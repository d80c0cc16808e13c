# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of copies in a bucket: checks, changes, and what a module returns. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_set import Backup
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change, make_check
from ansible_collections.runbook.ops.plugins.module_utils._offsite_plan import MARKER, Copy
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration, human_size

SECTION = "Backups"


def describe(copy: Copy) -> dict[str, Any]:
    """Return what people and playbooks want to know of a complete copy."""
    marker = copy.marker or {}
    return {
        "name": copy.name,
        "taken_at": copy.taken_at.isoformat(),
        "identity": marker.get("identity"),
        "kind": marker.get("kind"),
        "host": marker.get("host"),
        "size": marker.get("size"),
        "files": len(marker.get("files") or []),
        "copied_at": marker.get("copied_at"),
        "compared": marker.get("compared"),
        "drilled_at": (marker.get("drill") or {}).get("at"),
    }


def foresee(backup: Backup) -> dict[str, Any]:
    """Return what :func:`describe` would tell of a copy of ``backup``, as far as it is known before."""
    known = {
        "name": backup.name,
        "taken_at": backup.taken_at.isoformat(),
        "identity": backup.identity,
        **{key: backup.manifest.get(key) for key in ("kind", "host", "size")},
        "files": len(backup.sums) + 1,
    }
    return {**known, "copied_at": None, "compared": None, "drilled_at": None}


def incomplete(copies: Iterable[Copy]) -> list[dict[str, Any]]:
    """Return what is there and does not count, and why."""
    return [{"name": copy.name, "fault": copy.fault, "size": copy.size} for copy in copies if copy.fault]


def judge(
    copies: Mapping[str, Copy], *, wanted: str, where: str, now: datetime, max_age: float | None
) -> list[dict[str, Any]]:
    """Return one check: is there a complete copy, is the newest late (``max_age`` in seconds), is one damaged."""
    complete = [copy for copy in copies.values() if copy.fault is None]
    damaged = [copy for copy in copies.values() if copy.fault is not None and MARKER in copy.sizes]
    status, remedy, age = "ok", None, None
    if not complete:
        status, detail = "critical", f"there is no complete copy in {where}"
        remedy = "make a backup and copy it: playbook backup, and read the log of the job that should have"
    else:
        newest = max(complete, key=lambda copy: copy.name)
        age = max(0, round((now - newest.taken_at).total_seconds()))
        detail = f"{newest.name}, {human_duration(age)} old, {human_size((newest.marker or {})['size'])}"
        if max_age is not None and age >= max_age:
            status, remedy = "warning", "read the log of the job that copies them; nothing is deleted for being old"
    if damaged:
        status = "critical" if status == "critical" else "warning"
        detail += f"; {damaged[0].name} is damaged: {damaged[0].fault}"
        remedy = remedy or "copy it again where it is still here, and see who deletes objects there"
    return [
        make_check(
            f"backup_offsite:{wanted}",
            name=f"Newest copy of {wanted} off-site",
            section=SECTION,
            status=status,
            value=age,
            unit="s",
            limit=max_age,
            detail=detail,
            remedy=remedy,
        )
    ]


def copied_change(backup: Backup, *, where: str, compared: str | None, seconds: float | None) -> dict[str, Any]:
    proof = {"content": "read back and compared", "checksum": "compared by its checksums"}.get(compared or "")
    return make_change(
        backup.name,
        action="copied",
        section=SECTION,
        reason=f"not in {where} yet{f'; {proof}' if proof else ''}",
        after=backup.manifest["size"],
        unit="B",
        seconds=seconds,
    )


def fetched_change(copy: Copy, *, where: str, directory: str, seconds: float | None) -> dict[str, Any]:
    size = (copy.marker or {}).get("size")
    reason = f"from {where} into {directory}"
    return make_change(
        copy.name, action="fetched", section=SECTION, reason=reason, after=size, unit="B", seconds=seconds
    )


def deleted_change(copy: Copy, *, reason: str) -> dict[str, Any]:
    return make_change(copy.name, action="deleted", section=SECTION, reason=reason, before=copy.size, unit="B")
