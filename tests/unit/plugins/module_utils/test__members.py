# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A system of more than one host: what belongs to which."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.runbook.ops.plugins.module_utils._contract import normalise
from ansible_collections.runbook.ops.plugins.module_utils._members import misplaced, on_host
from ansible_collections.runbook.ops.plugins.module_utils._references import complete

ROOT = Path(__file__).parents[4]
SPECIFICATION = ROOT / "roles" / "system" / "meta" / "argument_specs.yml"
OPTIONS = yaml.safe_load(SPECIFICATION.read_text())["argument_specs"]["description"]["options"]
PARTS: dict[str, Any] = {
    "ops_system": {"name": "s"},
    "ops_services": [
        {"name": "postgresql", "manager": "systemd", "hosts": ["db-1"]},
        {"name": "app", "manager": "pm2", "user": "u", "hosts": ["apps"], "after": ["postgresql"]},
        {"name": "ssh", "manager": "systemd"},
    ],
    "ops_databases": [{"name": "d", "owner": "o", "host": "db.example", "hosts": ["db-1"]}],
    "ops_redis": [{"name": "r", "hosts": ["app-1"]}],
    "ops_monitoring": {"prometheus": {"hosts": ["db-1"]}},
}


def described(**parts: Any) -> dict[str, Any]:
    normal, problems = normalise({**PARTS, **parts}, OPTIONS)
    assert problems == []
    return complete(normal)


def names(system: dict[str, Any], part: str) -> list[str]:
    return [item["name"] for item in system[part]]


def test_a_host_sees_what_it_has_what_its_groups_have_and_what_all_have():
    here = on_host(described(), {"app-1", "apps", "all"})
    assert names(here, "services") == ["app", "ssh"]
    assert names(here, "redis") == ["r"]
    assert names(here, "databases") == []


def test_what_is_reached_over_the_network_is_told_apart():
    assert names(on_host(described(), {"app-1", "apps"})["elsewhere"], "databases") == ["d"]
    assert names(on_host(described(), {"db-1"})["elsewhere"], "databases") == []


def test_prometheus_is_watched_where_it_runs():
    assert on_host(described(), {"app-1"})["monitoring"]["prometheus"] is None
    assert on_host(described(), {"db-1"})["monitoring"]["prometheus"]["url"] == "http://localhost:9090"


def test_a_place_that_the_inventory_does_not_know_is_named():
    assert misplaced(described(), {"app-1", "apps", "db-2", "all"}) == [
        "ops_services[0].hosts[0] is 'db-1': the inventory has neither a host nor a group of this name; did you mean db-2?",
        "ops_databases[0].hosts[0] is 'db-1': the inventory has neither a host nor a group of this name; did you mean db-2?",
        "ops_monitoring.prometheus.hosts[0] is 'db-1': the inventory has neither a host nor a group of this name; "
        "did you mean db-2?",
    ]


HOME = {"name": "d", "owner": "o", "host": "db.example", "service": "postgresql", "user": "o", "password": "s3cret"}


@pytest.mark.parametrize(
    ("more", "host"),
    [
        pytest.param({}, None, id="at home: by peer login, the address is for others"),
        pytest.param({"host": "127.0.0.1"}, "127.0.0.1", id="at home, and peer login does not serve"),
        pytest.param({"service": None}, "db.example", id="nobody says where its home is"),
    ],
)
def test_a_database_is_asked_locally_where_its_service_is(more: dict[str, Any], host: str | None):
    (database,) = on_host(described(ops_databases=[{**HOME, **more}]), {"db-1"})["databases"]
    assert (database["host"], database["password"]) == (host, None if host is None else "s3cret")


def test_what_has_no_address_for_others_is_not_reached():
    redis = [{"name": "r", "hosts": ["app-1"]}]
    assert on_host(described(ops_redis=redis), {"db-1"})["elsewhere"]["redis"] == []


def test_a_queue_of_another_host_is_told_since_its_jobs_may_lie_here():
    queue = {"name": "mail", "redis": "r", "hosts": ["app-1"]}
    system = described(ops_redis=[{"name": "r", "hosts": ["db-1"]}], ops_queues=[queue])
    assert [one["name"] for one in on_host(system, {"db-1"})["elsewhere"]["queues"]] == ["mail"]
    assert on_host(system, {"app-1"})["elsewhere"]["queues"] == []
