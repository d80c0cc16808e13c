# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people are told of the backup jobs of a host, and what is wrong around them. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_schedule import calendar_of, missing_night
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._engine_file import ETC, has_users, runs_more, runs_one
from ansible_collections.runbook.ops.plugins.module_utils._engine_plan import Installed
from ansible_collections.runbook.ops.plugins.module_utils._redact import Redactor

SECTION = "Backups"
CONFIG, SECRETS = f"{ETC}/backup.json", f"{ETC}/backup.secrets.json"


def judge(options: Mapping[str, Any], installed: Installed, *, today: date) -> list[dict[str, Any]]:
    """Return what is wrong around the jobs: lines of cron that do the same, and a night that is left out."""
    if options["state"] == "absent" or not options["jobs"]:
        return []
    tell = Redactor()  # a line may hold a password
    checks = [
        make_check(
            f"backup_schedule:cron:{path}:{number}",
            name=f"cron in /{path}",
            section=SECTION,
            status="warning",
            detail=f"backs up as well: {tell(line)}",
            remedy="set backup_schedule_replace_cron to comment it out"
            if not runs_more(line, options["replaces"], users=has_users(path))
            else "it runs something else as well, or gives its name to another program: make two lines of it, or leave it",
        )
        for path, text in installed.crontabs.items()
        for number, line in enumerate(line for line in text.splitlines() if runs_one(line, options["replaces"]))
    ]
    for job in options["jobs"]:
        calendar = calendar_of(job, options["time_zone"])
        night = missing_night(calendar, today)
        if night:
            checks.append(
                make_check(
                    f"backup_schedule:night:{job['name']}",
                    name=f"Calendar of {job['name']}",
                    section=SECTION,
                    status="warning",
                    detail=f"{calendar} does not exist on {night}, when the clocks change: there is no backup in that night",
                    remedy="choose another hour, or write UTC behind it",
                )
            )
    return checks
