# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One way for all questions of a system's own: the evening, the users and the costs ask theirs, of databases that are here."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.runbook.ops.plugins.module_utils._cost_plan import cost_secrets, plan_costs
from ansible_collections.runbook.ops.plugins.module_utils._evening_plan import plan_evening
from ansible_collections.runbook.ops.plugins.module_utils._probe_index import PROBES
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import read_options
from ansible_collections.runbook.ops.plugins.module_utils._query_plan import MOST_SECONDS, queries
from ansible_collections.runbook.ops.plugins.module_utils._user_plan import plan_users

ROLES = Path(__file__).parents[4] / "roles"
SYSTEM = {
    "services": [
        {
            "name": "db",
            "manager": "compose",
            "project": "shop",
            "compose_service": "db",
            "path": "/srv/shop",
            "replicas": 1,
        },
    ],
    "databases": [
        {"name": "shop", "engine": "postgresql", "owner": "shop", "superuser": "postgres"},
        {"name": "inside", "engine": "postgresql", "owner": "shop", "superuser": "shop", "service": "db"},
    ],
    "queries": [
        {
            "name": "cost by service",
            "database": "inside",
            "statement": "SELECT 1",
            "playbook": "cost_review",
            "full": "month",
            "figure": "cost",
            "unit": "USD",
            "parameters": {"least": 5},
            "limits": {"warning": 5},
            "at_least": {"critical": 1},
            "changed_percent": {"warning": 50},
            "timeout_seconds": 90,
        },
        {"name": "users", "database": "shop", "statement": "SELECT 2", "playbook": "user_metrics"},
        {"name": "operations", "database": "shop", "statement": "SELECT 3", "playbook": "evening_review"},
        {"name": "elsewhere", "database": "other", "statement": "SELECT 4", "playbook": "user_metrics"},
    ],
    "endpoints": [
        {"name": "API", "url": "https://shop.example/health"},
        {"name": "m", "url": "http://localhost:9/metrics"},
    ],
    "costs": {
        "accounts": [
            {"name": "AWS", "access_key": "id", "secret_key": "open sesame", "budget": 300.0},
            {"name": "not filled in", "access_key": None, "secret_key": None},
        ]
    },
}


@pytest.mark.parametrize(
    ("probes", "names"),
    [
        (plan_evening(SYSTEM, since_seconds=60), ["operations"]),
        (plan_users(SYSTEM), ["users"]),
        (plan_costs(SYSTEM), ["cost by service"]),
    ],
    ids=["evening", "users", "costs"],
)
def test_each_asks_its_own_of_a_database_that_is_here(probes, names):
    asked = [probe for probe in probes if probe["probe"] == "query"]
    assert [probe["name"] for probe in asked] == names
    for probe in probes:
        read_options(probe, PROBES[probe["probe"]]().OPTIONS, where="x")


def test_how_fast_users_are_answered_is_asked_too():
    times = [probe for probe in plan_users(SYSTEM) if probe["probe"] != "query"]
    assert [(probe["probe"], probe["name"]) for probe in times] == [("latency", "API")]


def test_all_that_the_inventory_says_of_a_question_reaches_it():
    (asked,) = queries(SYSTEM, "cost_review")
    wanted = {
        **{"full": "month", "figure": "cost", "unit": "USD", "parameters": {"least": 5}, "statement_seconds": 90},
        **{"at_most": {"warning": 5}, "at_least": {"critical": 1}, "changed_percent": {"warning": 50}},
        **{"project": "shop", "service": "db", "compare": True, "needs": ["database:inside"]},
    }
    assert {key: asked[key] for key in wanted} == wanted


@pytest.mark.parametrize("role", ["user_metrics", "evening_review", "cost_review", "performance_review"])
def test_a_question_that_takes_as_long_as_it_may_ends_before_its_role_stops_waiting(role):
    longest = {**SYSTEM["queries"][1], "playbook": role, "timeout_seconds": MOST_SECONDS}
    (asked,) = queries({**SYSTEM, "queries": [longest]}, role)
    defaults = yaml.safe_load((ROLES / role / "defaults" / "main.yml").read_text())
    assert asked["timeout_seconds"] < defaults[f"{role}_timeout_seconds"]


def test_an_account_is_asked_by_one_host_and_its_keys_are_only_named():
    (account,) = [probe for probe in plan_costs(SYSTEM) if probe["probe"] == "aws_cost"]
    assert account["budget"] == 300
    assert "open sesame" not in str(account)
    assert {account["access_key"]: "id", account["secret_key"]: "open sesame"} == cost_secrets(SYSTEM)
    assert "aws_cost" not in {probe["probe"] for probe in plan_costs(SYSTEM, accounts=False)}


@pytest.mark.parametrize(
    ("entry", "only", "asked"),
    [
        ("", "cost review", True),
        ("cost-review", "cost review", True),
        ("cost-tracking", "cost review", False),
        ("x", None, True),
    ],
)
def test_what_runs_every_hour_does_not_ask_for_what_is_paid(entry, only, asked):
    system = {**SYSTEM, "costs": {**SYSTEM["costs"], "entry": only}}
    assert ("aws_cost" in {probe["probe"] for probe in plan_costs(system, entry=entry)}) is asked
