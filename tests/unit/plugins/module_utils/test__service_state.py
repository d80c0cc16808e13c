# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One shape for the state of a service, whoever manages it."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._compose import Container
from ansible_collections.runbook.ops.plugins.module_utils._pm2 import App
from ansible_collections.runbook.ops.plugins.module_utils._service_state import (
    about_to_stop,
    check,
    describe,
    from_app,
    from_containers,
    from_units,
    unknown,
)

NGINX = {"name": "nginx", "manager": "systemd", "unit": "nginx.service", "watch_units": ["nginx.service"]}
CLUSTERS = {"name": "postgresql", "manager": "systemd", "watch_units": ["postgresql@*.service"]}
API = {"name": "api", "manager": "pm2", "user": "app", "replicas": None}
WORKER = {"name": "worker", "manager": "compose", "compose_service": "worker", "replicas": 2}


def unit(name, active="active", load="loaded", **other):
    return {
        **{"Id": name, "Names": name, "LoadState": load, "ActiveState": active, "MainPID": "42", "NRestarts": "1"},
        **{"ActiveEnterTimestampMonotonic": "5000000"},
        **other,
    }


def container(number, status="running", **other):
    return Container(f"worker-{number}", "worker", number, status, **{"image": "app:1", "pid": number, **other})


def app(**other):
    return App("api", **{"status": "online", "instances": 2, "pids": (7, 8), "version": "1.2.0", **other})


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param(from_units(NGINX, [unit("nginx.service")], boot=100), ("running", 1, 1), id="a unit runs"),
        pytest.param(
            from_units(NGINX, [unit("nginx.service", "failed")], boot=0), ("stopped", 0, 1), id="a unit has failed"
        ),
        pytest.param(
            from_units(NGINX, [unit("nginx.service", "inactive", "not-found")], boot=0), ("absent", 0, 0), id="no unit"
        ),
        pytest.param(
            from_units(NGINX, [unit("web.service", Names="web.service nginx.service")], boot=0),
            ("running", 1, 1),
            id="known by another name",
        ),
        pytest.param(
            from_units(CLUSTERS, [unit("postgresql@17-a.service"), unit("postgresql@17-b.service", "failed")], boot=0),
            ("impaired", 1, 2),
            id="one of two units",
        ),
        pytest.param(from_app(API, app()), ("running", 2, 2), id="an application runs"),
        pytest.param(from_app(API, app(status="mixed", down_ids=(1,))), ("impaired", 1, 2), id="one of two instances"),
        pytest.param(from_app(API, app(status="launching")), ("impaired", 2, 2), id="an application starts"),
        pytest.param(from_app(API, app(status="stopped", down_ids=(0, 1))), ("stopped", 0, 2), id="stopped in PM2"),
        pytest.param(from_app(API, App("api")), ("absent", 0, 0), id="not in PM2"),
        pytest.param(from_app({**API, "replicas": 4}, app()), ("impaired", 2, 2), id="fewer instances than described"),
        pytest.param(from_containers(WORKER, [container(1), container(2)]), ("running", 2, 2), id="containers run"),
        pytest.param(from_containers(WORKER, [container(1)]), ("impaired", 1, 1), id="fewer than described"),
        pytest.param(
            from_containers(WORKER, [container(1), container(2), container(3)]),
            ("running", 3, 3),
            id="more than described",
        ),
        pytest.param(
            from_containers(WORKER, [container(1), container(2, health="unhealthy")]),
            ("impaired", 2, 2),
            id="one is unhealthy",
        ),
        pytest.param(
            from_containers(WORKER, [container(1), container(2, restarts=9)]),
            ("running", 2, 2),
            id="restarts of long ago are no trouble",
        ),
        pytest.param(from_containers(WORKER, [container(1, "exited")]), ("stopped", 0, 1), id="containers have ended"),
        pytest.param(
            from_containers(WORKER, [Container("db-1", "db")]), ("absent", 0, 0), id="only another's containers"
        ),
        pytest.param(unknown(WORKER, "Docker does not answer"), ("unknown", 0, 0), id="nobody answers"),
    ],
)
def test_a_state_is_one_word_and_two_numbers(state, expected):
    assert (state["state"], state["running"], state["replicas"]) == expected


def test_the_states_of_all_managers_have_the_same_keys():
    states = [
        from_units(NGINX, [unit("nginx.service")], boot=100),
        from_app(API, app(started_at_ms=5000)),
        from_containers(WORKER, [container(1, started_at=5.0)]),
        unknown(API, "no"),
    ]
    assert len({tuple(state) for state in states}) == 1
    assert [state["since"] for state in states] == [
        "1970-01-01T00:01:45Z",
        "1970-01-01T00:00:05Z",
        "1970-01-01T00:00:05Z",
        None,
    ]


@pytest.mark.parametrize(
    ("service", "state", "status"),
    [
        pytest.param(NGINX, from_units(NGINX, [unit("nginx.service")], boot=0), "ok", id="runs"),
        pytest.param(WORKER, from_containers(WORKER, [container(1)]), "warning", id="runs in part"),
        pytest.param(API, from_app(API, App("api")), "critical", id="not there"),
        pytest.param({**API, "optional": True}, from_app(API, App("api")), "ok", id="not there, and need not be"),
        pytest.param(
            {**API, "optional": True},
            from_app(API, app(status="stopped", down_ids=(0, 1))),
            "critical",
            id="there, so it must run",
        ),
        pytest.param(API, unknown(API, "no"), "unknown", id="not known"),
    ],
)
def test_a_state_is_judged(service, state, status):
    found = check(service, state, now=0)
    assert found["status"] == status
    assert found["id"] == f"service:{service['name']}"


@pytest.mark.parametrize(
    ("state", "said"),
    [
        pytest.param(from_app(API, app(instances=1, started_at_ms=0)), "runs, 1.2.0", id="one"),
        pytest.param(
            from_containers(WORKER, [container(1, started_at=10.0)]), "1 of 2 run for 1m, app:1", id="one of two"
        ),
        pytest.param(
            from_containers(WORKER, [container(1, "exited", exit_code=3)]),
            "0 of 2 run, app:1, worker-1 is exited, exit code 3",
            id="none",
        ),
        pytest.param(from_app(API, App("api")), "pm2 does not know it", id="not there"),
        pytest.param(unknown(API, "no daemon"), "no daemon", id="not known"),
    ],
)
def test_a_state_is_said_in_one_line(state, said):
    assert describe(state, now=70) == said


def test_what_needs_a_service_that_is_to_be_stopped_is_warned_of_where_it_runs():
    running = check(API, from_app(API, app()), now=0)
    stopped = check(WORKER, from_containers(WORKER, [container(1, "exited")]), now=0)
    (warned,) = about_to_stop([running, stopped], needed="postgresql")
    assert warned["status"] == "warning" and "needs postgresql, which is to be stopped" in warned["detail"]
