# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup of PostgreSQL is told as. Private to this collection."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_set import Backup
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change
from ansible_collections.runbook.ops.plugins.module_utils._pg_backup_plan import differences, summary
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration


def result(
    backup: Backup | None, last: Backup | None, *, changed: bool, removed: list[str] | None = None
) -> dict[str, Any]:
    """Return what the module returns of ``backup``, which has been made where ``changed``."""
    made = backup if changed else None
    before, after = (
        differences(last.manifest["content"] if last else None, made.manifest["content"]) if made else ([], [])
    )
    return {
        "changed": changed,
        "actions": [
            *(f"delete {name}, left by a run that was killed" for name in removed or []),
            *([f"back up {made.manifest['database']} to {made.path}"] if made else []),
        ],
        "backup": described(backup) if backup else None,
        "changes": [as_change(made, last)] if made else [],
        "diff": {
            "before": "".join(f"{line}\n" for line in before),
            "after": "".join(f"{line}\n" for line in after),
        },
        "expected_bytes": None,
    }


def described(backup: Backup) -> dict[str, Any]:
    manifest = backup.manifest
    tables = manifest["content"].get("tables", {})
    return {
        "name": backup.name,
        "path": str(backup.path),
        "set": backup.set,
        "identity": backup.identity,
        "taken_at": manifest["taken_at"],
        "seconds": manifest["seconds"],
        "size": manifest["size"],
        "format": manifest["content"]["format"],
        "compression": manifest["compression"],
        "encryption": (manifest["encryption"] or {}).get("method"),
        "tables": len(tables),
        "rows": sum(tables.values()),
    }


def as_change(backup: Backup, last: Backup | None) -> dict[str, Any]:
    return make_change(
        backup.set,
        action="back up",
        section="Backups",
        reason=f"{reason(last)}; {summary(backup.manifest['content'])}",
        before=last.manifest["size"] if last else None,
        after=backup.manifest["size"],
        unit="bytes",
        seconds=backup.manifest["seconds"],
    )


def reason(last: Backup | None) -> str:
    if last is None:
        return "there is none yet"
    return f"the last one is {human_duration(max(0.0, (now() - last.taken_at).total_seconds()))} old"


def now() -> datetime:
    return datetime.now(timezone.utc)
