# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a description against each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.runbook.ops.plugins.module_utils._contract import normalise
from ansible_collections.runbook.ops.plugins.module_utils._references import complete, contradictions

ROOT = Path(__file__).parents[4]
SPECIFICATION = ROOT / "roles" / "system" / "meta" / "argument_specs.yml"
OPTIONS = yaml.safe_load(SPECIFICATION.read_text())["argument_specs"]["description"]["options"]


def system(**parts: Any) -> dict[str, Any]:
    described = {"ops_system": {"name": "s"}, **{f"ops_{name}": value for name, value in parts.items()}}
    normal, problems = normalise(described, OPTIONS)
    assert problems == []
    return normal


def service(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "manager": "systemd", **more}


A, B, C = service("a", after=["b"]), service("b", after=["c"]), service("c")
PM2 = {"name": "app", "manager": "pm2", "user": "u"}
KEEP = {"directory": "/b", "pattern": "*", "max_age": "1d", "keep": {"last": 1}}
OURS = {"name": "nightly", "made_by": "collection", "directory": "/b", "max_age": "1d", "keep": {"last": 1}}

GIT = {"repository": "https://git.example/app"}
GREEN = {"strategy": "blue_green", "proxy": "nginx", "url": "https://app.example/"}
WEB = {**PM2, "port": 1, "standby_name": "b", "standby_port": 2, "source": GIT, "deploy": GREEN}
NGINX = service("nginx")
SQL = {**GREEN, "migration": {"kind": "sql", "database": "d"}}
BOX = {"name": "box", "manager": "compose", "path": "/srv/shop"}
IMAGE = {**GREEN, "kind": "image", "image": "r/a", "front": "lb"}
FRONT = {**BOX, "name": "balancer", "compose_service": "lb", "port": 1, "standby_port": 2, "after": ["box"]}
QUERY = {"name": "q", "database": "d", "statement": "SELECT :since"}
ROWS = {"database": "d", "table": "events", "column": "at", "older_than": "90d"}
SHOP: dict[str, Any] = {"databases": [{"name": "d", "engine": "postgresql", "owner": "d"}]}
TOLD = {"directory": "/c", "log": "l"}
PROBLEMS: list[tuple[dict[str, Any], str]] = [
    (
        {"logs": [{"name": "logs", "path": "/l"}], "caches": [{"name": "c", **TOLD}]},
        "ops_caches[0].log is 'l': ops_logs has none of this name; known are logs",
    ),
    (
        {"logs": [{"name": "l", "path": "/l"}], "caches": [{"name": "c", **TOLD}, {"name": "d", **TOLD}]},
        "ops_caches[1].log is 'l': it tells of 'c' already, and their hits cannot be told apart",
    ),
    (
        {**SHOP, "queries": [{**QUERY, "parameters": {"since": "2020-01-01"}}]},
        "ops_queries[0].parameters.since is the period's: :since stands for it; give the parameter another name",
    ),
    (
        {**SHOP, "queries": [{**QUERY, "timeout": "121s"}]},
        "ops_queries[0].timeout is more than 120 s: its playbook waits no longer; make it faster",
    ),
    (
        {"backups": [{**KEEP, "name": "old", "pattern": ""}]},
        "ops_backups[0].pattern is missing (old): without it nobody knows which files another's script makes",
    ),
    (
        {"backups": [OURS]},
        "ops_backups[0] has none of databases, redis, files, buckets (nightly): write what it holds",
    ),
    (
        {"backups": [{**OURS, "name": "every night", "files": ["/etc"]}]},
        "ops_backups[0].name is 'every night': files are named after it; use letters, digits, '.' and '-'",
    ),
    (
        {"backups": [{**OURS, "buckets": ["media"]}], "buckets": [{"name": "media", "bucket": "m"}]},
        "ops_backups[0].buckets[0] is 'media': that bucket has no mirror, so nothing says where to copy it",
    ),
    (
        {"backups": [{**KEEP, "name": "old", "drill": {"max_age": "7d"}}]},
        "ops_backups[0].drill needs made_by: collection (old): what another's script does is not ours to say",
    ),
    (
        {
            "backups": [{**OURS, "files": ["/etc"], "offsite": {"bucket": "awya"}}],
            "buckets": [{"name": "away", "bucket": "b"}],
        },
        "ops_backups[0].offsite.bucket is 'awya': ops_buckets has none of this name; did you mean away?",
    ),
    (
        {"backups": [{**OURS, "redis": ["cash"]}], "redis": [{"name": "cache"}]},
        "ops_backups[0].redis[0] is 'cash': ops_redis has none of this name; did you mean cache?",
    ),
    (
        {"services": [{"name": "web", "manager": "vercel"}]},
        "ops_services[0].vercel is missing (web): the manager vercel needs it",
    ),
    (
        {"services": [{**BOX, "min_replicas": 3, "max_replicas": 2}]},
        "ops_services[0].min_replicas is 3: max_replicas is 2, and must not be below it",
    ),
    ({"databases": [{"name": "d"}]}, "ops_databases[0].owner is missing (d): the engine postgresql needs it"),
    (
        {"services": [BOX], "databases": [{"name": "d", "owner": "o", "service": "bix"}]},
        "ops_databases[0].service is 'bix': no service has this name; did you mean box?",
    ),
    ({"queues": [{"name": "q"}]}, "ops_queues[0].redis is missing (q): the library bullmq needs it"),
    ({"queues": [{"name": "q", "library": "http"}]}, "ops_queues[0].url is missing (q): the library http needs it"),
    (
        {"queues": [{"name": "q", "redis": "x"}], "redis": [{"name": "r"}]},
        "ops_queues[0].redis is 'x': ops_redis has none of this name; known are r",
    ),
    (
        {"services": [service("c", needs=["rr"])], "redis": [{"name": "r"}]},
        "ops_services[0].needs[0] is 'rr': no database, Redis server, queue, bucket or dependency has this name; did you mean r?",
    ),
    (
        {"endpoints": [{"name": "e", "url": "http://h/", "needs": ["c"]}]},
        "ops_endpoints[0].needs[0] is 'c': nothing that is described has this name; known are none",
    ),
    (
        {"logs": [{"name": "l", "container": "app"}], "services": [PM2]},
        "ops_logs[0].container is 'app': no service of the manager compose has this name; known are none",
    ),
    (
        {"queries": [{"name": "q", "database": "d", "statement": "SELECT 1"}]},
        "ops_queries[0].database is 'd': ops_databases has none of this name; known are none",
    ),
    (
        {**SHOP, "retention": {"rows": [ROWS, {**ROWS, "database": "dd"}]}},
        "ops_retention.rows[1].database is 'dd': ops_databases has none of this name; did you mean d?",
    ),
    (
        {
            "costs": {"entry": "costs"},
            "schedule": [{"name": "Cost review", "playbook": "cost_review", "cron": "0 6 * * *"}],
        },
        "ops_costs.entry is 'costs': ops_schedule has none of this name; known are Cost review",
    ),
    (
        {"costs": {"accounts": [{"name": "aws"}, {"name": "aws"}]}},
        "ops_costs.accounts[1].name is 'aws': ops_costs.accounts[0] has this name already",
    ),
    ({"services": [C, C]}, "ops_services[1].name is 'c': ops_services[0] has this name already"),
    (
        {"services": [service("a", after=["cc"]), C]},
        "ops_services[0].after[0] is 'cc': no service has this name; did you mean c?",
    ),
    (
        {"services": [A, B, service("c", after=["a"])]},
        "ops_services: a waits for b waits for c waits for a: take one of them out of an after",
    ),
    ({"services": [service("a", after=["a"])]}, "ops_services: a waits for a: take one of them out of an after"),
    (
        {"services": [{"name": "app", "manager": "pm2"}]},
        "ops_services[0].user is missing (app): the manager pm2 needs it",
    ),
    (
        {"services": [{"name": "app", "manager": "compose"}]},
        "ops_services[0].path is missing (app): the manager compose needs it",
    ),
    (
        {"services": [{**PM2, "port": 1, "standby_port": 1}]},
        "ops_services[0].standby_port is 1: the service itself has this port",
    ),
    (
        {"services": [{**PM2, "standby_name": "app"}]},
        "ops_services[0].standby_name is 'app': the service itself has this name",
    ),
    (
        {"services": [{**WEB, "deploy": {**GREEN, "proxy": "ngin"}}, NGINX]},
        "ops_services[0].deploy.proxy is 'ngin': no service has this name; did you mean nginx?",
    ),
    (
        {"services": [{**WEB, "standby_port": None}, NGINX]},
        "ops_services[0].standby_port is missing (app): strategy blue_green needs it",
    ),
    (
        {"services": [{**service("web"), "source": GIT, "deploy": GREEN}, NGINX]},
        "ops_services[0].deploy.strategy is 'blue_green': it is for the manager pm2 or compose, and this is systemd",
    ),
    ({"services": [{**WEB, "source": None}, NGINX]}, "ops_services[0].source is missing (app): releases come from Git"),
    (
        {"services": [{**WEB, "deploy": {**GREEN, "kind": "image", "image": "r/app"}}, NGINX]},
        "ops_services[0].deploy.kind is 'image': it is for the manager compose, and this is pm2",
    ),
    (
        {"services": [{**BOX, "port": 1, "standby_port": 2, "deploy": GREEN}, NGINX]},
        "ops_services[0].source is missing (box): releases come from Git",
    ),
    (
        {"services": [{**BOX, "port": 1, "standby_port": 2, "replicas": 2, "source": GIT, "deploy": GREEN}, NGINX]},
        "ops_services[0].deploy.front is missing (box): its 2 containers cannot share one port; name what leads to them",
    ),
    (
        {"services": [{**WEB, "deploy": {**GREEN, "front": "balancer"}}, NGINX]},
        "ops_services[0].deploy.front is 'balancer': it is for the manager compose, and this is pm2",
    ),
    (
        {
            "services": [
                {**BOX, "port": 1, "standby_port": 2, "source": GIT, "deploy": {**GREEN, "front": "box"}},
                NGINX,
            ]
        },
        "ops_services[0].deploy.front is 'box': the service itself has this name; name what leads to it",
    ),
    (
        {"services": [{**BOX, "health": {"url": "http://x/"}, "deploy": IMAGE}, FRONT, NGINX]},
        "ops_services[0].health is that of its front: describe it at balancer, which runs only after box does",
    ),
    (
        {"services": [{**BOX, "deploy": IMAGE}, {**FRONT, "standby_port": None}, NGINX]},
        "ops_services[0].standby_port is missing (box): strategy blue_green needs it",
    ),
    (
        {"services": [{**WEB, "deploy": SQL}, NGINX], "databases": [{"name": "d", "owner": "o"}]},
        "ops_services[0].source.migrations is missing (app): migration sql needs it",
    ),
    (
        {
            "services": [{**WEB, "source": {**GIT, "migrations": "sql"}, "deploy": SQL}, NGINX],
            "databases": [{"name": "e", "owner": "o"}],
        },
        "ops_services[0].deploy.migration.database is 'd': ops_databases has none of this name; known are e",
    ),
    (
        {"services": [service("p", health={"database": "owl"})], "databases": [{"name": "owls", "owner": "o"}]},
        "ops_services[0].health.database is 'owl': ops_databases has none of this name; did you mean owls?",
    ),
    (
        {"services": [service("p", health={"url": "http://x:{port}/"})]},
        "ops_services[0].health.url is 'http://x:{port}/': {port} stands for ops_services[0].port, which is missing",
    ),
    (
        {"logs": [{"name": "l", "pm2": "ap"}], "services": [PM2]},
        "ops_logs[0].pm2 is 'ap': no service of the manager pm2 has this name; did you mean app?",
    ),
    (
        {"backups": [{"name": "d", "databases": ["x"], **KEEP}]},
        "ops_backups[0].databases[0] is 'x': ops_databases has none of this name; known are none",
    ),
    (
        {"thresholds": {"disk_percent": {"warning": 95}}},
        "ops_thresholds.disk_percent.warning is 95: critical is 90, and must not be below it",
    ),
    (
        {"thresholds": {"certificate_days": {"critical": 40}}},
        "ops_thresholds.certificate_days.warning is 30: critical is 40, and must not be above it",
    ),
    (
        {"thresholds": {"swap_percent": {"warning": 101}}},
        "ops_thresholds.swap_percent.warning is 101: a percentage is a number between 0 and 100",
    ),
]


@pytest.mark.parametrize(("parts", "line"), PROBLEMS, ids=[line[:45] for _, line in PROBLEMS])
def test_parts_that_contradict_each_other_are_named(parts: dict[str, Any], line: str) -> None:
    assert contradictions(system(**parts)) == [line]


@pytest.mark.parametrize("part", ["databases", "certificates", "endpoints", "monitors", "scripts"])
def test_names_are_unique_in_every_list(part: str) -> None:
    item = {"name": "x", "owner": "o", "domains": ["x.org"], "url": "https://x.org", "path": "/x"}
    item = {key: value for key, value in item.items() if key in OPTIONS[f"ops_{part}"]["options"]}
    assert contradictions(system(**{part: [item, item]})) == [
        f"ops_{part}[1].name is 'x': ops_{part}[0] has this name already"
    ]


def test_a_description_that_is_wrong_in_itself_is_still_compared() -> None:
    described = {"ops_services": ["nonsense", {"after": ["x"], "health": 3}], "ops_thresholds": {"disk_percent": 3}}
    normal, problems = normalise(described, OPTIONS)
    assert problems
    assert contradictions(normal) == ["ops_services[1].after[0] is 'x': no service has this name; known are none"]


def test_services_stand_after_those_they_need_and_otherwise_as_written() -> None:
    services = [service("z"), A, B, C, service("y")]
    assert [one["name"] for one in complete(system(services=services))["services"]] == ["z", "c", "b", "a", "y"]


def test_the_unit_of_a_systemd_service_is_filled_in() -> None:
    nginx, special, app = complete(system(services=[service("nginx"), service("s", watch_units=["s@*.service"]), PM2]))[
        "services"
    ]
    assert (nginx["unit"], nginx["watch_units"]) == ("nginx.service", ["nginx.service"])
    assert (special["unit"], special["watch_units"]) == ("s.service", ["s@*.service"])
    assert (app["unit"], app["watch_units"]) == (None, [])


def test_the_port_in_the_health_url_is_the_instances() -> None:
    app = {**PM2, "port": 3000, "standby_port": 3001, "health": {"url": "http://localhost:{port}/h"}}
    health = complete(system(services=[app]))["services"][0]["health"]
    assert (health["url"], health["standby_url"]) == ("http://localhost:3000/h", "http://localhost:3001/h")


def test_several_containers_are_asked_where_their_front_is_which_is_asked_alone() -> None:
    health = {"url": "http://localhost:{port}/h"}
    described = system(services=[{**BOX, "deploy": IMAGE}, {**FRONT, "health": health}, NGINX])
    assert contradictions(described) == []
    box, front, nginx = sorted(complete(described)["services"], key=lambda one: str(one["name"] != "box") + one["name"])
    assert (box["port"], box["health"]) == (None, None), "what comes in comes in at the front"
    assert (box["behind"]["port"], box["behind"]["standby_port"]) == (1, 2)
    assert box["behind"]["health"]["standby_url"] == "http://localhost:2/h"
    assert front["front_of"] == {"name": "box", "port": 1}
    assert (front["behind"], nginx["behind"], nginx["front_of"]) == (None, None, None)


def test_without_a_title_the_name_is_the_title() -> None:
    assert complete(system())["system"]["title"] == "s"


def test_a_list_that_is_required_is_not_empty() -> None:
    described = {"ops_system": {"name": "s"}, "ops_certificates": [{"name": "c", "domains": []}]}
    assert normalise(described, OPTIONS)[1] == ["ops_certificates[0].domains is missing (c): Domains it must cover."]


def test_what_a_compose_service_leaves_out_follows_from_its_place():
    found = complete(system(services=[BOX]))["services"][0]
    assert (found["project"], found["compose_service"], found["replicas"]) == ("shop", "box", 1)


@pytest.mark.parametrize(("engine", "port"), [("postgresql", 5432), ("mongodb", 27017)])
def test_the_engine_says_the_port(engine: str, port: int):
    described = system(databases=[{"name": "d", "owner": "o", "engine": engine}])
    assert complete(described)["databases"][0]["port"] == port


def test_an_index_is_not_wanted_and_unwanted() -> None:
    index = {"name": "idx", "table": "t", "columns": ["c"]}
    database = {"name": "d", "owner": "o", "engine": "postgresql", "wanted_indexes": [index]}
    assert contradictions(system(databases=[{**database, "unwanted_indexes": ["idx_old"]}])) == []
    assert contradictions(system(databases=[{**database, "unwanted_indexes": ["idx_old", "idx"]}])) == [
        "ops_databases[0].unwanted_indexes[1] is 'idx': wanted_indexes of it has this name"
    ]
