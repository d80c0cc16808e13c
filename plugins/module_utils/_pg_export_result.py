# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an export of rows tells of itself. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_set import Backup
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change
from ansible_collections.runbook.ops.plugins.module_utils._rows_copy import Origin
from ansible_collections.runbook.ops.plugins.module_utils._rows_select import Pick

SECTION = "Export"


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
