# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The evening looks at rates and full days, at services and at the backups."""

from __future__ import annotations

from ansible_collections.runbook.ops.plugins.module_utils._evening_plan import plan_evening

SYSTEM = {
    "services": [],
    "databases": [{"name": "shop", "engine": "postgresql", "owner": "shop", "superuser": "postgres"}],
    "queries": [
        {
            "name": "orders",
            "database": "shop",
            "statement": "SELECT 1",
            "playbook": "evening_review",
            "period_seconds": 86400.0,
            "unit": "orders",
            "limits": {"warning": 5},
        },
        {"name": "weekly", "database": "shop", "statement": "SELECT 1", "playbook": "performance_review"},
        {"name": "elsewhere", "database": "other", "statement": "SELECT 1", "playbook": "evening_review"},
    ],
    "logs": [{"name": "web", "path": "/var/log/nginx/access.log"}, {"name": "app", "path": "/var/log/app.log"}],
    "backups": [{"name": "daily", "directory": "/backups", "pattern": "*", "max_age_seconds": 93600}],
    "thresholds": {"error_rate_percent": {"warning": 1}},
}


def test_only_what_is_asked_in_the_evening_of_a_database_that_is_here():
    probes = plan_evening(SYSTEM, since_seconds=3600)
    queries = [probe for probe in probes if probe["probe"] == "query"]
    assert [query["name"] for query in queries] == ["orders"]
    assert queries[0]["at_most"] == {"warning": 5}
    assert queries[0]["needs"] == ["database:shop"]


def test_error_rates_are_judged_by_the_systems_own_limit():
    rates = [probe for probe in plan_evening(SYSTEM, since_seconds=3600) if probe["probe"] == "error_rate"]
    assert [(rate["path"], rate["since_seconds"], rate["percent"]) for rate in rates] == [
        ("/var/log/nginx/access.log", 3600, {"warning": 1, "critical": None})
    ]


def test_backups_are_looked_at_and_a_system_without_any_is_none_the_worse():
    assert "backup_files" in {probe["probe"] for probe in plan_evening(SYSTEM, since_seconds=60)}
    assert {probe["probe"] for probe in plan_evening({}, since_seconds=60)} == {"systemd_failed"}
