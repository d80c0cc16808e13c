# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What looks at a service looks at the slot that is live at that moment."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _diagnose, _health, _live_options
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import DeployPaths
from ansible_collections.runbook.ops.plugins.module_utils._diagnose_plan import plan_evidence
from ansible_collections.runbook.ops.plugins.module_utils._health_plan import plan_probes
from ansible_collections.runbook.ops.plugins.module_utils._live_options import (
    Place,
    as_deployed,
    at_live,
    every_slot,
    lasting,
    live_of,
    placed,
    service_at_live,
)
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option

PM2 = {
    "name": "api",
    "manager": "pm2",
    "user": "shop",
    "port": 3000,
    "standby_name": "api-new",
    "standby_port": 3001,
    "deploy": {"strategy": "blue_green"},
    "limits": {"exceptions_per_minute": 10},
    "health": {"url": "http://localhost:3000/health", "standby_url": "http://localhost:3001/health"},
    "watch_units": [],
}
COMPOSE = {**PM2, "manager": "compose", "project": "shop", "compose_service": "web", "replicas": 1, "path": "/opt/shop"}
LIVE = {"service": "api", "name": "api", "port": 3000, "unit": "api"}
SPEC = {
    "probe": "pm2",
    "app": "{live.name}",
    "url": "http://localhost:{live.port}/",
    "words": ["{live.port}=api"],
    "live": LIVE,
}


def green(_service):
    return Place("green", "api-new", 3001, "/state/slots/green")


@pytest.mark.parametrize(
    ("read", "options", "names"),
    [
        pytest.param(
            green, ("api-new", "http://localhost:3001/", ["3001=api"]), {"api-new": "api", "3001": "3000"}, id="green"
        ),
        pytest.param(lambda _service: None, ("api", "http://localhost:3000/", ["3000=api"]), {}, id="never deployed"),
    ],
)
def test_placeholders_are_the_live_slots(read, options, names):
    found, told = at_live(SPEC, read)
    assert (found["app"], found["url"], found["words"]) == options
    assert told == names
    assert "live" not in found


@pytest.mark.parametrize(
    ("identity", "wanted"),
    [
        ("pm2:api-new", "pm2:api"),
        ("pm2:api-new:restarts", "pm2:api:restarts"),
        ("port:127.0.0.1:3001", "port:127.0.0.1:3000"),
        ("pm2:api-newer", "pm2:api-newer"),
        ("http:api health", "http:api health"),
    ],
)
def test_the_id_of_a_check_outlives_a_deploy(identity, wanted):
    assert lasting(identity, {"api-new": "api", "3001": "3000"}) == wanted


def test_only_what_has_two_slots_is_looked_at_so():
    assert live_of(PM2) == LIVE
    assert live_of({**PM2, "deploy": {"strategy": "in_place"}}) is None
    assert live_of({**PM2, "deploy": None}) is None
    assert live_of(COMPOSE) == {**LIVE, "name": "shop", "unit": "web"}
    assert live_of({**COMPOSE, "deploy": {"strategy": "in_place"}}) == live_of(COMPOSE)  # its project is another one


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("http://localhost:3000/health", "http://localhost:{live.port}/health"),
        ("https://shop.example/health", "https://shop.example/health"),
        ("http://localhost:3000/other", "http://localhost:3000/other"),  # not the one that the standby has too
    ],
)
def test_only_the_url_of_a_slot_moves_with_it(url, wanted):
    assert placed(PM2, url) == wanted


def test_every_look_at_a_deployed_service_is_at_its_live_slot():
    system = {
        "services": [PM2],
        "ports": [{"port": 443, "name": "nginx"}],
        "logs": [{"name": "application", "pm2": "api", "errors": ["error"]}],
    }
    probes = plan_probes(system, ["services", "logs"])
    moving = {probe["probe"]: probe for probe in probes if probe.get("live") == LIVE}
    assert moving["pm2"]["app"] == moving["log_errors"]["pm2"] == "{live.name}"
    assert moving["pm2"]["name"] == "api"
    assert moving["http"]["url"] == "http://localhost:{live.port}/health"
    (listening,) = [probe for probe in probes if probe["probe"] == "listening"]
    assert listening["ignore"] == [3000, 3001]
    assert not any("3000" in word for word in listening["expected"])
    assert [probe["name"] for probe in probes if probe["probe"] == "log_errors"] == ["api exceptions", "application"]


@pytest.mark.parametrize(
    ("place", "project", "unit", "names"),
    [
        pytest.param(None, "shop", "web", {}, id="never deployed"),
        pytest.param(Place("base", "shop", 3000, "/s"), "shop", "web", {}, id="what a person brought up"),
        pytest.param(
            Place("green", "shop-web-green", 3001, "/s"),
            "shop-web-green",
            "shop-web-green",
            {"shop-web-green": "web", "3001": "3000"},
            id="green",
        ),
    ],
)
def test_a_slot_of_compose_is_a_project_with_one_service(place, project, unit, names):
    (probe,) = [one for one in plan_probes({"services": [COMPOSE]}, ["services"]) if one["probe"] == "compose"]
    found, told = at_live(probe, lambda _service: place)
    assert (found["project"], found["service"], told) == (project, unit, names)


def test_who_acts_on_a_service_acts_on_its_live_slot():
    assert service_at_live(PM2, lambda _service: None) == PM2
    now = service_at_live(PM2, green)
    assert (now["name"], now["app"], now["health"]["url"]) == ("api", "api-new", "http://localhost:3001/health")
    now = service_at_live(COMPOSE, lambda _service: Place("green", "shop-web-green", 3001, "/state/slots/green"))
    assert (now["name"], now["project"], now["compose_service"]) == ("api", "shop-web-green", "shop-web-green")
    assert (now["path"], now["compose_file"]) == ("/state/slots/green", "compose.json")


def test_who_stops_a_service_stops_the_slot_that_stands_idle_too():
    assert [one["name"] for one in every_slot({**PM2, "deploy": None})] == ["api"]
    assert [one.get("app", one["name"]) for one in every_slot(PM2, lambda _service: None)] == ["api", "api-new"]
    live, idle = every_slot(PM2, green)
    assert (live["name"], live["app"], idle["app"], idle["health"]) == ("api", "api-new", "api", None)
    assert live["name"] != idle["name"]
    place = Place("green", "shop-web-green", 3001, "/state/slots/green")
    assert [one["project"] for one in every_slot(COMPOSE, lambda _service: place)] == ["shop-web-green", "shop"]


def test_evidence_is_collected_of_the_live_slot(monkeypatch):
    monkeypatch.setattr(_diagnose, "read_slot", green)
    (spec,) = [one for one in plan_evidence({"services": [PM2]}) if one["topic"] == "log-api"]
    told = []
    job = _diagnose.Job(spec, lambda options: told.append(options) or _diagnose.Found("x"))
    job.thread.run()
    assert (told[0]["pm2"], told[0]["user"], "live" in told[0]) == ("api-new", "shop", False)


def seen(monkeypatch, root):
    """Return what a probe of the service is told on a host whose state is in ``root``."""
    paths = lambda service: DeployPaths(service, str(root / "deploy"), str(root / "run"))  # noqa: E731
    monkeypatch.setattr("ansible_collections.runbook.ops.plugins.module_utils._deploy_paths.DeployPaths", paths)

    def judge(measured, options):
        return [make_check(f"pm2:{options['app']}", name="api", section="", status="ok", value=measured["app"])]

    fake = SimpleNamespace(
        OPTIONS={"app": Option("str", "")}, SECTION="", measure=lambda options: {"app": options["app"]}, judge=judge
    )
    spec = {"probe": "pm2", "app": "{live.name}", "live": LIVE}
    (check,) = _health.check_health([spec], probes={"pm2": lambda: fake})["checks"]
    return check


def test_the_engine_on_the_host_reads_which_slot_is_live(monkeypatch, tmp_path):
    state = tmp_path / "deploy" / "api"
    state.mkdir(parents=True)
    assert seen(monkeypatch, tmp_path)["value"] == "api"
    live = {"slot": "green", "label": "api-new", "port": 3001, "release": "r", "since": ""}
    (state / "live.json").write_text(json.dumps({"now": live, "next": None, "file": None}))
    check = seen(monkeypatch, tmp_path)
    assert (check["id"], check["value"], check["status"]) == ("pm2:api", "api-new", "ok")


def test_a_slot_that_cannot_be_known_is_unknown_and_never_ok(monkeypatch, tmp_path):
    state = tmp_path / "deploy" / "api"
    state.mkdir(parents=True)
    (state / "live.json").write_text("{")
    check = seen(monkeypatch, tmp_path)
    assert check["status"] == "unknown"
    assert "live.json cannot be read" in check["detail"]
    assert _live_options.PLACEHOLDER.search(json.dumps(check)) is None


FRONT = {
    **COMPOSE,
    "name": "balancer",
    "compose_service": "lb",
    "deploy": None,
    "front_of": {"name": "api", "port": 3000},
}
BEHIND = {
    **{**COMPOSE, "port": None, "standby_port": None, "health": None},
    "behind": {key: COMPOSE[key] for key in ("port", "standby_port", "health")},
}


def test_a_release_behind_a_front_is_asked_where_the_front_is():
    found = as_deployed(BEHIND)
    assert (found["port"], found["standby_port"], found["health"]) == (3000, 3001, COMPOSE["health"])
    assert as_deployed(PM2) == PM2
    assert live_of(BEHIND)["port"] == 3000


def test_of_a_service_behind_a_front_only_the_containers_are_looked_at_and_of_the_front_the_answers_of_the_live_slot():
    place = Place("green", "shop-web-green", 3001, "/state/slots/green")
    probes = plan_probes({"services": [BEHIND, FRONT]}, ["services"])
    asked = [at_live(one, lambda _service: place)[0] for one in probes if "live" in one]
    assert [(one["probe"], one["name"]) for one in asked] == [
        ("compose", "api"),
        ("compose", "balancer"),
        ("http", "balancer health"),
    ]
    assert asked[2]["url"] == "http://localhost:3001/health"


def test_what_leads_to_a_service_is_where_its_live_slot_is():
    front = {**COMPOSE, "name": "balancer", "compose_service": "lb", "deploy": None, "health": None, "port": None}
    front["front_of"] = {"name": "api", "port": 3000}
    (probe,) = [one for one in plan_probes({"services": [front]}, ["services"]) if one["probe"] == "compose"]
    place = Place("green", "shop-web-green", 3001, "/state/slots/green")
    found, _names = at_live(probe, lambda service: place if service == "api" else None)
    assert (found["project"], found["service"]) == ("shop-web-green", "shop-web-green-front")
    acted = service_at_live(front, lambda service: place if service == "api" else None)
    assert (acted["project"], acted["compose_service"]) == ("shop-web-green", "shop-web-green-front")
