# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a verification of backups tells of what it did. Private to this collection."""

from __future__ import annotations

from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_set import Backup
from ansible_collections.runbook.ops.plugins.module_utils._backup_verify_plan import SECTION, Look, write_time
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change


class Told:
    """What changed, or would, in its order."""

    def __init__(self) -> None:
        self.changes: list[dict[str, Any]] = []
        self.before: list[str] = []
        self.after: list[str] = []

    def say(
        self,
        backup: Backup,
        action: str,
        reason: str,
        *,
        before: str,
        after: str,
        size: int | None = None,
        seconds: float | None = None,
    ) -> None:
        unit = "bytes" if size is not None else None
        told = make_change(
            backup.name, action=action, section=SECTION, reason=reason, after=size, unit=unit, seconds=seconds
        )
        self.changes.append(told)
        self.before.append(f"{backup.name}: {before}\n")
        self.after.append(f"{backup.name}: {after}\n")


def told(look: Look) -> dict[str, Any]:
    """Return what the module returns of one backup."""
    proof = look.proof or {}
    return {
        "name": look.backup.name,
        "path": str(look.backup.path),
        "kind": look.backup.manifest.get("kind"),
        "taken_at": write_time(look.backup.taken_at),
        "identity": look.backup.identity,
        "size": look.backup.manifest.get("size"),
        "verified": look.verified,
        "proven": look.proven,
        "checked_at": proof.get("checked_at") if look.verified else None,
        "drill": look.failed_drill or look.drill,
        "problems": look.problems,
    }
