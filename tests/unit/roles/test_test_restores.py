# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two roles restore backups as a test: each reaches a server in every way that a description can tell."""

from __future__ import annotations

from pathlib import Path

import yaml

ROLES = Path(__file__).parents[3] / "roles"


def options_of(path: str) -> dict[str, str]:
    tasks = yaml.safe_load((ROLES / path).read_text())
    return next(one["runbook.ops.backup_verify"] for one in tasks if "runbook.ops.backup_verify" in one)


def test_each_way_to_reach_a_server_that_one_role_knows_the_other_knows_too():
    sets = options_of("backup/tasks/drill_sets.yml")
    light = options_of("disaster_recovery/tasks/light_sets.yml")
    ways = {key for key, value in sets.items() if "item['options']" in value}
    assert {"auth_database", "login_user", "service"} <= ways
    assert ways <= set(light)
    assert [key for key in sorted(ways - {"directory"}) if light[key] != sets[key]] == []
