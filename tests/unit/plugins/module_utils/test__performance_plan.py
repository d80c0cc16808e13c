# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A performance review looks at all that a description names, and asks nothing that could change something."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._performance_index import probes
from ansible_collections.runbook.ops.plugins.module_utils._performance_plan import (
    plan_performance,
    plan_performance_logs,
)
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import read_options

SYSTEM = {
    "services": [
        {
            "name": "api",
            "manager": "pm2",
            "user": "app",
            "limits": {"event_loop_seconds": 0.1},
            "health": {"url": "http://localhost/h"},
        },
        {"name": "store", "manager": "compose", "project": "shop", "compose_service": "db", "replicas": 1},
    ],
    "databases": [
        {
            "name": "shop",
            "engine": "postgresql",
            "owner": "shop",
            "superuser": "postgres",
            "tables": ["orders"],
            "service": "store",
        },
        {"name": "docs", "engine": "mongodb", "owner": "docs", "port": 27017},
    ],
    "redis": [{"name": "cache", "host": "127.0.0.1", "port": 6379, "password": "secret"}],
    "queues": [
        {"name": "mails", "library": "bullmq", "redis": "cache", "prefix": "bull", "done_within_seconds": 300.0},
        {"name": "far", "library": "http", "url": "http://localhost/queues"},
    ],
    "endpoints": [
        {"name": "public", "url": "https://shop.test/health"},
        {"name": "order", "url": "https://shop.test/order", "method": "POST"},
        {"name": "numbers", "url": "http://localhost:9100/metrics"},
    ],
    "queries": [
        {"name": "weekly", "database": "shop", "statement": "SELECT 1", "playbook": "performance_review"},
        {"name": "daily", "database": "shop", "statement": "SELECT 1", "playbook": "evening_review"},
    ],
    "thresholds": {"slow_query_seconds": {"warning": 0.1}, "redis_hit_percent": {"warning": 80}},
}


@pytest.fixture
def planned():
    return plan_performance(SYSTEM, since_seconds=604800)


def names(specs):
    return [(spec["probe"], spec["name"]) for spec in specs]


def test_all_that_is_described_is_measured(planned):
    assert names(planned) == [
        ("pg_performance", "shop"),
        ("mongodb", "docs"),
        ("redis", "cache"),
        ("redis_performance", "cache"),
        ("queue", "mails"),
        ("queue_http", "far"),
        ("queue_rate", "mails"),
        ("pm2_metrics", "api"),
        ("latency", "public"),
        ("metrics_latency", "numbers"),
        ("latency", "api"),
        ("query", "weekly"),
    ]


def test_each_probe_takes_what_it_is_told(planned):
    known = probes({})
    for index, spec in enumerate(planned):
        read_options(spec, known[spec["probe"]]().OPTIONS, where=str(index))


@pytest.mark.parametrize(
    ("schema", "table", "name"),
    [
        pytest.param("app", "orders", "app.orders", id="of the schema"),
        pytest.param("app", "public.orders", "orders", id="of another"),
        pytest.param("public", "orders", "orders", id="of the usual one"),
    ],
)
def test_tables_are_called_as_the_probe_finds_them(schema, table, name):
    databases = [{**one, "schema": schema, "tables": [table]} for one in SYSTEM["databases"]]
    planned = plan_performance({**SYSTEM, "databases": databases}, since_seconds=604800)
    assert planned[0]["tables"] == [name]


def test_limits_and_places_are_those_of_the_description(planned):
    found = {spec["probe"]: spec for spec in planned}
    assert found["pg_performance"]["slow_seconds"] == {"warning": 0.1, "critical": None}
    assert (found["pg_performance"]["project"], found["pg_performance"]["service"]) == ("shop", "db")
    assert found["pg_performance"]["tables"] == ["orders"]
    assert found["redis_performance"]["hit_percent"]["warning"] == 80
    assert found["redis_performance"]["password"] == "redis:cache"  # its name
    assert found["queue_rate"]["within_seconds"] == 300.0
    assert found["pm2_metrics"]["event_loop_seconds"] == {"warning": 0.1}


def test_a_system_without_anything_is_none_the_worse():
    assert plan_performance({}, since_seconds=60) == []
    assert plan_performance_logs({}) == []


LOGS = [
    {"name": "access", "path": "/var/log/nginx/access.log", "format": "combined"},
    {"name": "declared", "path": "/a", "format": "$remote_addr $request_time"},
    {
        "name": "application",
        "path": "/b",
        "errors": ["ERROR"],
        "patterns": [
            {"name": "response time", "expression": r"in (?P<ms>\d+)"},
            {"name": "trouble", "expression": "bounce"},
        ],
    },
    {"name": "MongoDB", "path": "/var/log/mongodb/mongod.log", "errors": ["E"]},
    {"name": "system", "path": "/var/log/syslog", "errors": ["error"]},
    {"name": "logins", "path": "/var/log/auth.log", "format": "auth"},
]


def test_only_logs_that_tell_durations_are_read_and_only_for_those():
    found = {log["name"]: log for log in plan_performance_logs({"logs": LOGS})}
    assert list(found) == ["access", "declared", "application", "MongoDB"]
    assert [one["name"] for one in found["application"]["patterns"]] == ["response time"]
    assert [one["name"] for one in found["MongoDB"]["patterns"]] == ["slow operations"]
    assert not any("errors" in log for log in found.values())


def test_a_log_that_tells_of_a_cache_is_read_too():
    logs = [{"name": name, "path": f"/{name}.log", "errors": ["x"]} for name in ("app", "other")]
    told = {"name": "cache", "expression": "cache (?P<cache>hit|miss)"}
    logs[0]["patterns"] = [{"name": "slowness", "expression": "slow"}, told]
    found = plan_performance_logs({"logs": logs, "caches": [{"name": "pages", "log": "app"}]})
    assert [(log["name"], log["patterns"], log["cache"]["name"]) for log in found] == [("app", [told], "pages")]
