# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rotations follow from what a system's description says of backups."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.runbook.ops.plugins.filter.backup_rotations import backup_rotations
from ansible_collections.runbook.ops.plugins.module_utils._backup_rotations import plan_rotations

KEEP = {"within_seconds": 7776000, "last": 7}
SHARED = {"directory": "/backups", "keep": KEEP, "max_age_seconds": 93600, "min_size_bytes": 1000, "keep_verified": 2}
SCRIPT = {"name": "weekly", "pattern": "backup_*.sql", "made_by": "other", **SHARED}
OURS = {"name": "daily", "pattern": "old_*.sql", "made_by": "collection", "files": ["/etc/nginx"], **SHARED}
RULES = {"directory": "/backups", "keep": KEEP, "max_age_seconds": 93600, "min_size_bytes": 1000}


def test_the_files_of_a_script_are_one_rotation():
    assert plan_rotations({"backups": [SCRIPT]}) == [{"name": "weekly", "pattern": "backup_*.sql", **RULES}]


def test_a_set_is_one_rotation_together_with_the_files_that_it_follows():
    assert plan_rotations({"backups": [OURS]}) == [
        {"name": "daily-files", "set": "daily-files", "pattern": "old_*.sql", "minimum_verified": 2, **RULES}
    ]


def test_each_set_of_an_item_is_a_rotation_and_the_files_before_them_are_one():
    database = {"engine": "postgresql", "name": "shop", "superuser": "postgres"}
    system = {"backups": [{**OURS, "databases": ["shop"]}], "databases": [database]}
    found = plan_rotations(system)
    assert [(one["name"], one.get("set"), one.get("pattern")) for one in found] == [
        ("daily-shop", "daily-shop", None),
        ("daily-files", "daily-files", None),
        ("daily (old_*.sql)", None, "old_*.sql"),
    ]
    assert "minimum_verified" not in found[2]


def test_a_system_without_backups_has_none():
    assert plan_rotations({}) == []


def test_the_filter_says_which_variable_is_wrong():
    with pytest.raises(AnsibleFilterError, match=r"backup_rotations: ops_backups 'daily'"):
        backup_rotations({"backups": [{**OURS, "files": []}]})
    with pytest.raises(AnsibleFilterError, match="takes the description"):
        backup_rotations({"backups": [{"name": "x", "pattern": "*"}]})


def test_names_choose_among_those_of_scripts_and_of_the_collection():
    system = {"backups": [SCRIPT, OURS]}
    assert [one["name"] for one in plan_rotations(system, ["weekly"])] == ["weekly"]
    assert [one["name"] for one in plan_rotations(system, ["daily"])] == ["daily-files"]
    with pytest.raises(
        ValueError, match="no item of ops_backups on this host is called 'dayly': known are daily, weekly"
    ):
        plan_rotations(system, ["dayly"])
