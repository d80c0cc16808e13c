# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rules are a host's, and how its database is reached."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._row_rules import plan_rules

RULE = {"database": "shop", "table": "events", "column": "created_at", "older_than_seconds": 63072000}
DATABASE = {
    "name": "shop",
    "engine": "postgresql",
    "owner": "shop",
    "port": 5432,
    "password": "s3cr3t",
    "host": "db.example",
}
SYSTEM = {
    "databases": [DATABASE],
    "services": [],
    "retention": {"rows": [RULE, {**RULE, "table": "visits"}, {**RULE, "database": "of another host"}]},
}


def test_the_rules_of_this_hosts_databases_say_how_they_are_reached():
    rules = plan_rules(SYSTEM)
    assert [rule["table"] for rule in rules] == ["events", "visits"]
    assert rules[0]["older_than"] == "63072000s"
    assert rules[0]["reach"]["login_host"] == "db.example"
    assert rules[0]["secret"] == "database:shop"
    assert "s3cr3t" not in str(rules)


def test_only_the_tables_that_are_named_and_no_unknown_one():
    assert [rule["table"] for rule in plan_rules(SYSTEM, ["visits"])] == ["visits"]
    with pytest.raises(ValueError, match="no rule for the table 'event' on this host: known are events, visits"):
        plan_rules(SYSTEM, ["event"])


def test_a_system_without_rules_has_none():
    assert plan_rules({"databases": [DATABASE], "retention": None}) == []
