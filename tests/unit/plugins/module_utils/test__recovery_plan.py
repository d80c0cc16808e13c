# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a system needs to come back on a host from nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.runbook.ops.plugins.module_utils._contract import normalise
from ansible_collections.runbook.ops.plugins.module_utils._members import on_host
from ansible_collections.runbook.ops.plugins.module_utils._recovery_plan import (
    RecoveryError,
    plan_recovery,
    recovery_roles,
)
from ansible_collections.runbook.ops.plugins.module_utils._references import complete

SPECIFICATION = Path(__file__).parents[4] / "roles" / "system" / "meta" / "argument_specs.yml"
OPTIONS = yaml.safe_load(SPECIFICATION.read_text(encoding="utf-8"))["argument_specs"]["description"]["options"]
SECRET = "correct-horse-battery"
POSTGRESQL = {"name": "postgresql", "manager": "systemd", "health": {"database": "shop"}}
API = {"name": "api", "manager": "pm2", "user": "shop", "path": "/srv/shop/api", "port": 3000, "after": ["postgresql"]}
NGINX = {"name": "nginx", "manager": "systemd", "health": {"url": "https://shop.example/health"}}
DATABASE = {"name": "shop", "owner": "shop", "canary": "SELECT count(*) FROM orders"}
OFFSITE = {"bucket": "far", "prefix": "web-1"}
MADE = {"made_by": "collection", "directory": "/backups", "keep": {"last": 3}, "offsite": OFFSITE}
DAILY = {"name": "daily", "databases": ["shop"], "max_age": "26h", **MADE}
HOST = {"name": "host", "files": ["/srv/shop", "/etc/nginx"], "max_age": "26h", **MADE}
NEAR = {**HOST, "name": "near", "files": [], "redis": ["jobs"], "offsite": None}
BUCKET = {"name": "far", "bucket": "copies", "access_key": "AKIA", "secret_key": SECRET}


def system(**parts: Any) -> dict[str, Any]:
    described = {
        "ops_system": {"name": "shop"},
        "ops_services": [POSTGRESQL, API, NGINX],
        "ops_databases": [DATABASE],
        "ops_backups": [DAILY, HOST],
        "ops_buckets": [BUCKET],
        **{f"ops_{name}": value for name, value in parts.items()},
    }
    normal, problems = normalise(described, OPTIONS)
    assert problems == []
    return on_host(complete(normal), {"drill-1"})


def test_packages_and_accounts_follow_from_the_services():
    plan = plan_recovery(system())
    assert plan["packages"] == ["postgresql", "nginx", "nodejs", "npm"]
    assert plan["npm"] == ["pm2"]
    assert plan["accounts"] == ["shop"]


def test_what_is_described_is_installed_as_well_and_a_version_of_pm2_counts():
    plan = plan_recovery(system(recovery={"packages": ["postgresql-15-postgis-3", "nginx"], "npm": ["pm2@6.0.13"]}))
    assert plan["packages"] == ["postgresql", "nginx", "nodejs", "npm", "postgresql-15-postgis-3"]
    assert plan["npm"] == ["pm2@6.0.13"]


def test_each_thing_is_fetched_once_from_the_item_that_is_made_most_often():
    weekly = {**DAILY, "name": "weekly", "max_age": "8d"}
    plan = plan_recovery(system(backups=[weekly, DAILY, HOST]))
    assert [(one["name"], one["set"]) for one in plan["fetches"]] == [("shop", "daily"), ("files", "host-files")]
    assert plan["fetches"][0]["options"] == {"bucket": "copies", "region": "us-east-1", "prefix": "web-1"}
    assert plan["fetches"][0]["canaries"] == ["SELECT count(*) FROM orders"]
    assert plan["paths"] == ["/srv/shop", "/etc/nginx"]


def test_what_a_database_runs_in_is_started_before_the_restore_and_the_rest_after_it():
    plan = plan_recovery(system())
    assert (plan["first"], plan["then"], plan["restart"]) == (["postgresql"], ["api", "nginx"], ["nginx"])


def test_no_secret_is_in_the_plan():
    plan = plan_recovery(system(recovery={"roles": [{"name": "shop", "password": SECRET}]}))
    assert SECRET not in json.dumps(plan)


def test_the_owner_of_a_database_is_made_without_a_password_unless_one_is_described():
    assert recovery_roles(system()) == [{"name": "shop", "password": None}]
    described = {"roles": [{"name": "shop", "password": SECRET}, {"name": "reader"}]}
    assert recovery_roles(system(recovery=described)) == [
        {"name": "shop", "password": SECRET},
        {"name": "reader", "password": None},
    ]


def test_public_names_mean_the_drill_host_and_addresses_do_not():
    plan = plan_recovery(
        system(
            endpoints=[{"name": "site", "url": "https://www.shop.example/"}, {"name": "ip", "url": "http://192.0.2.7/"}],
            certificates=[{"name": "c", "domains": ["shop.example", "*.shop.example"], "served_at": ["mail.shop.example:993"]}],
        )
    )  # fmt: skip
    assert plan["names"] == ["shop.example", "www.shop.example", "mail.shop.example"]


def test_what_asks_the_world_outside_is_no_proof_and_is_named():
    depends = [{"name": "mail", "url": "https://mail.example/"}]
    plan = plan_recovery(system(dependencies=depends, endpoints=[{"name": "site", "url": "https://shop.example/"}]))
    assert not {"dns", "clock", "bucket"} & {probe["probe"] for probe in plan["probes"]}
    assert "https://mail.example/" not in json.dumps(plan["probes"])
    assert any(line.startswith("dependencies: ") for line in plan["left_out"])


PROJECT = {"manager": "compose", "path": "/srv/shop/web", "compose_file": "prod.yml"}
CONTAINED = {
    "services": [
        {"name": "db", **PROJECT, "health": {"database": "shop"}}, {"name": "jobs", **PROJECT},
        {"name": "web", **PROJECT, "after": ["db", "jobs"]}, NGINX, {"name": "docker", "manager": "systemd"},
    ],
    "databases": [{**DATABASE, "service": "db", "migration_tool": "prisma"}],
    "redis": [{"name": "jobs", "service": "jobs"}, {"name": "cache"}],
    "backups": [DAILY, {**HOST, "redis": ["jobs"]}],
}  # fmt: skip


def test_containers_come_back_from_their_project_after_docker_and_their_data_before_the_rest():
    plan = plan_recovery(system(**CONTAINED))
    assert (plan["packages"], plan["engine"]) == (["nginx"], ["docker.io", "docker-cli", "docker-compose"])
    found = {"project": "web", "path": "/srv/shop/web", "file": "prod.yml", "set": "host-files", "root": "/srv/shop"}
    assert plan["projects"] == [found]
    assert (plan["first"], plan["then"], plan["restart"]) == (["docker", "db", "jobs"], ["web", "nginx"], ["nginx"])
    assert (plan["restart_first"], plan["start_first"]) == (["docker.service"], ["db", "jobs"])


def test_what_lies_in_a_container_is_reached_there():
    plan = plan_recovery(system(**CONTAINED))
    reached = {one["module"]: one["reach"] for one in plan["fetches"] if one["module"] != "file_backup"}
    assert reached["pg_backup"].items() >= {"project": "web", "service": "db"}.items()
    assert reached["redis_backup"] == {"name": "jobs", "project": "web", "service": "jobs", "port": 6379}
    assert plan["servers"] == [reached["pg_backup"]]
    assert plan["migrations"] == [{"name": "shop", "schema": "public", "reach": reached["pg_backup"]}]


def test_a_redis_server_that_nobody_backs_up_comes_back_empty_and_is_named():
    plan = plan_recovery(system(**CONTAINED))
    assert (plan["redis"], plan["empty"]) == (["jobs"], ["cache"])


def test_accounts_that_people_log_in_to_come_back_and_only_those_of_pm2_get_its_unit():
    plan = plan_recovery(system(access={"accounts": ["deploy"]}))
    assert (plan["accounts"], plan["pm2_accounts"]) == (["deploy", "shop"], ["shop"])


LOST = [
    pytest.param({"backups": [HOST]}, "holds database shop", id="a database that is in no backup"),
    pytest.param({"backups": [{**DAILY, "offsite": None}, HOST]}, "holds database shop", id="a backup that stays on the host"),
    pytest.param({"backups": [DAILY, {**HOST, "files": ["/etc/nginx"]}]}, "/srv/shop/api of api", id="an application that is not saved"),
    pytest.param({"backups": [DAILY, {**HOST, "files": ["/srv/sho"]}]}, "/srv/shop/api of api", id="a path that only begins alike"),
    pytest.param(
        {"services": [POSTGRESQL, {"name": "web", "manager": "compose", "path": "/srv/web"}], "backups": [DAILY]}, "/srv/web of web",
        id="a project of Compose that is not saved",
    ),
    pytest.param(
        {"redis": [{"name": "jobs", "service": "postgresql"}], "queues": [{"name": "mail", "library": "bullmq", "redis": "jobs"}]},
        "holds Redis server jobs", id="a Redis server that holds a queue",
    ),
    pytest.param(
        {"redis": [{"name": "jobs", "service": "postgresql"}], "backups": [DAILY, HOST, NEAR]},
        "holds Redis server jobs", id="a Redis server whose backup stays on the host",
    ),
    pytest.param(
        {"redis": [{"name": "jobs"}], "backups": [DAILY, {**HOST, "redis": ["jobs"]}]}, "what runs the Redis server 'jobs' is not described",
        id="a Redis server that nothing described runs",
    ),
    pytest.param(
        {"databases": [DATABASE, {"name": "docs", "engine": "mongodb"}]}, "database docs is of mongodb, which this recovery cannot restore",
        id="a MongoDB database",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("parts", "words"), LOST)
def test_a_system_that_would_not_come_back_is_refused_by_name(parts, words):
    with pytest.raises(RecoveryError, match=words):
        plan_recovery(system(**parts))
