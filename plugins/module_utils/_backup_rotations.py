# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rotations follow from a system's description. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_tasks import plan_tasks


def plan_rotations(system: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return one rotation for each set and each kind of files: its ``name``, and options of the module backup_rotate.

    :param system: the description as the role system returns it
    :raises TaskError: what it says of the collection's own backups cannot be followed.
    """
    scripts = [one for one in system.get("backups") or [] if one.get("made_by") != "collection"]
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
    for task in plan_tasks(system, "backup_rotate"):
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
