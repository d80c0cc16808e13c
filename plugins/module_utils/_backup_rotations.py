# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rotations follow from a system's description. Private to this collection."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_tasks import TaskError, plan_tasks


def plan_rotations(system: Mapping[str, Any], names: Collection[str] = ()) -> list[dict[str, Any]]:
    """Return one rotation for each set and each kind of files: its ``name``, and options of the module backup_rotate.

    :param system: the description as the role system returns it
    :param names: only of these items of ``ops_backups``; all of them where it is empty
    :raises TaskError: what it says of the collection's own backups cannot be followed, or there is no such item.
    """
    backups = [one for one in system.get("backups") or [] if not names or one["name"] in names]
    unknown = sorted(set(names) - {one["name"] for one in backups})
    if unknown:
        known = ", ".join(sorted(one["name"] for one in system.get("backups") or [])) or "none"
        raise TaskError(f"no item of ops_backups on this host is called {unknown[0]!r}: known are {known}")
    ours = [one["name"] for one in backups if one.get("made_by") == "collection"]
    scripts = [one for one in backups if one.get("made_by") != "collection"]
    rotations = [
        {
            "name": one["name"],
            "directory": one["directory"],
            "pattern": one["pattern"],
            "keep": one["keep"],
            "max_age_seconds": one.get("max_age_seconds"),
            "min_size_bytes": one.get("min_size_bytes"),
        }
        for one in scripts
        if one.get("pattern")
    ]
    for task in plan_tasks(system, "backup_rotate", ours) if ours else ():
        options = task["options"]
        rotations.append(
            {
                "name": task["set"] or f"{task['job']} ({task['name']})",
                "directory": options["directory"],
                "keep": options["keep"],
                "max_age_seconds": options.get("max_age"),
                "min_size_bytes": options.get("min_size"),
                **{key: options[key] for key in ("pattern", "set", "minimum_verified") if key in options},
            }
        )
    return rotations
