# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every backup that a runbook's table of cron names, or its policy, is a timer of the host."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible_collections.runbook.ops.plugins.module_utils._backup_schedule import SERVICE, render_units, timer_of
from ansible_collections.runbook.ops.plugins.module_utils._backup_tasks import plan_looks, plan_tasks
from ansible_collections.runbook.ops.plugins.module_utils._contract import normalise
from ansible_collections.runbook.ops.plugins.module_utils._references import complete
from jinja2.nativetypes import NativeEnvironment

from ._inventories import INVENTORIES, OPTIONS

LIMITS = {"delay_seconds": 300, "timeout_seconds": 21600}


def system_of(name: str, group: str) -> dict[str, Any]:
    """Return the description of a system as a host of ``group`` has it."""
    folder = INVENTORIES / name / "group_vars"
    told: dict[str, Any] = {}
    for one in dict.fromkeys((name, group)):
        told.update(yaml.safe_load((folder / one / "main.yml").read_text()))
    values = {**told, **dict.fromkeys(yaml.safe_load((folder / name / "vault.yml").read_text()), "secret")}
    environment = NativeEnvironment()
    environment.filters["combine"] = lambda one, other: {**one, **other}

    def resolved(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: resolved(item) for key, item in value.items()}
        if isinstance(value, list):
            return [resolved(item) for item in value]
        is_template = isinstance(value, str) and "{{" in value
        return environment.from_string(value).render(values) if is_template else value

    described = {key: resolved(value) for key, value in told.items() if key.startswith("ops_")}
    return complete(normalise(described, OPTIONS)[0])


@pytest.mark.parametrize(
    ("name", "group", "job", "calendar"),
    [
        pytest.param("owlivion", "owlivion", "daily", "*-*-* 02:00:00", id="owlivion: 0 2 * * * backup.sh"),
        pytest.param("owlivion", "owlivion", "weekly", "Sun *-*-* 03:00:00", id="owlivion: 0 3 * * 0 full-backup.sh"),
        pytest.param("mediasearch", "mediasearch", "database", "*-*-* 00/6:00:00", id="mediasearch: 0 */6 * * *"),
        pytest.param("newsletter", "newsletter", "daily", "*-*-* 02:00:00", id="newsletter: daily"),
        pytest.param(
            "lifeplatform", "lifeplatform_docker", "daily", "*-*-* 02:00:00", id="lifeplatform: daily at 2 AM"
        ),
    ],
)
def test_a_backup_of_the_schedule_is_made_proven_and_rotated_by_a_timer(
    name: str, group: str, job: str, calendar: str
) -> None:
    system = system_of(name, group)
    item = next(one for one in system["backups"] if one["name"] == job)
    zone = system["system"]["time_zone"]
    units = render_units([item], python="/usr/bin/python3", engine="/engine", options={**LIMITS, "time_zone": zone})
    timer = units[timer_of(job)]
    assert f"OnCalendar={calendar} {zone}\n" in timer
    assert "Persistent=yes" in timer
    assert "TimeoutStartSec=21600" in units[SERVICE]
    done = [task["module"] for task in plan_tasks(system, names=[job])]
    assert [done[0], done[-1]] == ["pg_backup", "backup_rotate"]
    assert "backup_verify" in done
    assert ("backup_offsite" in done) == bool(item["offsite"])


def test_the_media_search_is_restored_as_a_test_every_week_by_itself() -> None:
    (look,) = plan_tasks(system_of("mediasearch", "mediasearch"), "backup_verify", ["database"])
    assert look["options"]["drill"]
    assert look["options"]["drill_max_age"] == 8 * 86400


def test_what_the_script_of_plugspace_makes_is_read_again() -> None:
    (look,) = plan_looks(system_of("plugspace", "plugspace"))
    assert look["options"] == {
        "directory": "/home/plugspace/backups",
        "pattern": "20??????_??????",
        "max_age": 26 * 3600,
    }
