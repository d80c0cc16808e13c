# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a system has to be looked after for, by its description: what it says itself, and what follows from it. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

QUARTERLY = "quarterly_review"
QUARTER_SECONDS = 92 * 86400
# Name, part of the description without which it is not asked for, and what proves it.
FOLLOWS: tuple[tuple[str, str | None, dict[str, Any]], ...] = (
    (
        "backups verified",
        "backups",
        {"what": "every backup is whole", "proven_by": ["verify_backups", "test_restore"]},
    ),
    (
        "restore tried",
        "backups",
        {"what": "a backup is restored on trial", "proven_by": ["test_restore", "disaster_recovery_drill"]},
    ),
    (
        "capacity planned",
        None,
        {"what": "days until full, and what is done about them", "proven_by": ["capacity_planning"]},
    ),
    ("access reviewed", None, {"what": "who may log in and do what", "proven_by": ["access_review"]}),
    ("certificates good", "certificates", {"what": "those that are served", "check": "certificate:*"}),
)


def plan_items(system: Mapping[str, Any], playbook: str | None = None) -> list[dict[str, Any]]:
    """Return what ``playbook`` asks for, without one all that is asked for at all. What the description says itself goes first."""
    own = [dict(one) for one in system.get("checklist") or []]
    taken = {one["name"] for one in own}
    follow = [
        {"name": name, "every_seconds": QUARTER_SECONDS, "playbook": QUARTERLY, **told}
        for name, part, told in FOLLOWS
        if (part is None or system.get(part)) and name not in taken
    ]
    for secret in system.get("secrets") or []:
        name = f"{secret['name']} rotated"
        if secret.get("rotate_every_seconds") and name not in taken:
            told = {"what": "a new value, everywhere it is used; the old one no longer works"}
            every = secret["rotate_every_seconds"]
            follow.append({"name": name, "every_seconds": every, "playbook": QUARTERLY, **told})
    return [one for one in (*own, *follow) if playbook is None or one["playbook"] == playbook]
