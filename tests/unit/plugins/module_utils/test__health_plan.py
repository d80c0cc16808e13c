# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The description of a system alone says what is looked at."""

from __future__ import annotations

import copy

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._health_plan import TOPICS, plan_probes
from ansible_collections.runbook.ops.plugins.module_utils._probe_index import PROBES
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import read_options

SERVICE = {"user": None, "port": None, "limits": {}, "health": None, "watch_units": [], "optional": False}
SYSTEM = {
    "services": [
        {**SERVICE, "name": "postgresql", "manager": "systemd", "watch_units": ["postgresql@*.service"]},
        {**SERVICE, "name": "docker", "manager": "systemd", "watch_units": ["docker.service"], "optional": True},
        {
            **SERVICE,
            "name": "api",
            "manager": "pm2",
            "user": "app",
            "port": 3000,
            "limits": {"memory_bytes": 500, "restarts_per_hour": 5, "cpu_percent": 80},
            "health": {"url": "http://127.0.0.1:3000/h", "json": {"status": "ok"}, "timeout_seconds": 10.0},
        },
        {
            **SERVICE,
            "name": "nginx",
            "manager": "systemd",
            "watch_units": ["nginx.service"],
            "health": {"url": "https://x/h", "json": None, "timeout_seconds": 10.0},
        },
        {**SERVICE, "name": "cache", "manager": "systemd", "watch_units": ["redis.service"], "port": 6379},
    ],
    "endpoints": [{"name": "public", "url": "https://x/h", "status": 200, "json": None, "timeout_seconds": 10.0}],
    "databases": [
        {
            "name": "shop",
            "owner": "app",
            "superuser": "postgres",
            "host": None,
            "port": 5432,
            "user": None,
            "password": None,
        },
        {
            "name": "far",
            "owner": "app",
            "superuser": "postgres",
            "host": "db",
            "port": 5433,
            "user": None,
            "password": "s3cret",
        },
    ],
    "certificates": [{"name": "x", "domains": ["x", "www.x"], "served_at": ["x:443", "x:8443"]}],
    "logs": [
        {"name": "application", "path": None, "pm2": "api", "unit": None, "errors": ["error"]},
        {"name": "firewall", "path": "/var/log/ufw.log", "pm2": None, "unit": None, "errors": []},
    ],
    "backups": [
        {
            "name": "daily",
            "directory": "/backups",
            "pattern": "b_*",
            "max_age_seconds": 93600.0,
            "min_size_bytes": 1000,
            "log": {"path": "/var/log/b.log", "success": "done"},
        }
    ],
    "thresholds": {
        "disk_percent": {"warning": 70.0, "critical": 85.0},
        "swap_percent": {"warning": None, "critical": None},
        "certificate_days": {"warning": 30.0, "critical": 7.0},
    },
}


def of(probe, probes=None):
    return [one for one in (plan_probes(SYSTEM) if probes is None else probes) if one["probe"] == probe]


def test_every_probe_that_is_planned_can_be_told_so():
    for index, spec in enumerate(plan_probes(SYSTEM)):
        options = PROBES[spec["probe"]]().OPTIONS
        read_options(spec, options, where=str(index))


def test_all_units_are_asked_for_at_once_and_what_is_optional_may_be_absent():
    (units,) = of("systemd_unit")
    assert units["units"] == ["postgresql@*.service", "nginx.service", "redis.service"]
    assert units["optional"] == ["docker.service"]


def test_an_application_of_pm2_brings_its_account_and_limits():
    (app,) = of("pm2")
    assert app == {
        "probe": "pm2",
        "app": "api",
        "user": "app",
        "memory_bytes": {"warning": 500},
        "restarts_per_hour": {"warning": 5},
    }


def test_the_application_is_asked_directly_and_through_the_public_endpoint_once_each():
    assert [(one["name"], one["url"]) for one in of("http")] == [
        ("api health", "http://127.0.0.1:3000/h"),
        ("public", "https://x/h"),
    ]


def test_without_the_endpoints_a_services_own_url_is_still_asked():
    system = {**copy.deepcopy(SYSTEM), "endpoints": []}
    assert "nginx health" in [one["name"] for one in of("http", plan_probes(system, ["services"]))]


def test_a_port_without_a_health_url_must_accept_connections():
    assert of("port") == [{"probe": "port", "name": "cache port", "port": 6379}]


def test_a_password_is_passed_by_name_only():
    local, far = of("postgresql")
    assert "password" not in local
    assert (far["password"], far["user"], far["host"]) == ("far", "app", "db")
    assert "s3cret" not in str(plan_probes(SYSTEM))


def test_a_certificate_is_looked_at_wherever_it_is_served():
    assert [(one["served_at"], one["path"]) for one in of("certificate")] == [
        ("x:443", "/etc/letsencrypt/live/x/fullchain.pem"),
        ("x:8443", "/etc/letsencrypt/live/x/fullchain.pem"),
    ]


def test_thresholds_become_limits_and_one_without_values_judges_nothing():
    assert of("disk")[0]["percent"] == {"warning": 70.0, "critical": 85.0}
    assert of("swap")[0]["percent"] == {"warning": None, "critical": None}
    assert "percent" not in of("memory")[0]


def test_a_log_without_error_patterns_is_not_searched():
    assert [(one["name"], one["pm2"], one["user"]) for one in of("log_errors")] == [("application", "api", "app")]


def test_backups_are_looked_at_in_their_directory_and_in_their_log():
    assert [one["probe"] for one in plan_probes(SYSTEM, ["backups"])] == ["backup_files", "backup_log"]


@pytest.mark.parametrize("topic", TOPICS)
def test_an_empty_system_can_be_looked_at(topic):
    assert isinstance(plan_probes({}, [topic]), list)


def test_a_topic_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match=r"there is no topic 'log', did you mean 'logs'\?; allowed are services"):
        plan_probes(SYSTEM, ["log"])
