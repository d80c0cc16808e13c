# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of containers and Compose files, and when a service has settled."""

from __future__ import annotations

import json

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._compose import (
    ComposeError,
    Container,
    Definition,
    gave_up,
    is_settled,
    parse_containers,
    parse_definition,
    read_time,
    trouble,
)

# What `docker inspect` of Docker 26.1 says of a container of Compose 2.26, cut to what could matter.
INSPECTED = {
    "Name": "/shop-db-1",
    "RestartCount": 2,
    "State": {
        "Status": "running",
        "OOMKilled": False,
        "Pid": 4711,
        "ExitCode": 0,
        "StartedAt": "2026-11-21T11:54:45.135702459Z",
        "Health": {"Status": "unhealthy", "FailingStreak": 3, "Log": [{"Output": "s3cr3t"}]},
    },
    "HostConfig": {"RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0}},
    "Config": {
        "Image": "postgres:17",
        "Env": ["POSTGRES_PASSWORD=s3cr3t"],
        "Labels": {"com.docker.compose.service": "db", "com.docker.compose.container-number": "1"},
    },
}
# What `docker compose config --format json` of 2.26 prints, cut.
FILE = json.dumps(
    {
        "name": "shop",
        "services": {
            "db": {"environment": {"POSTGRES_PASSWORD": "s3cr3t"}},
            "worker": {"deploy": {"replicas": 2, "resources": {}}},
            "old": {"scale": 3},
            "fixed": {"container_name": "the-one"},
            "web": {"ports": [{"mode": "ingress", "target": 3000, "published": "3000", "protocol": "tcp"}]},
            "free": {"ports": [{"target": 3000}, {"target": 80, "published": "0"}, {"published": "8000-8005"}]},
        },
    }
)


def test_a_container_is_read_without_its_environment():
    (found,) = parse_containers([INSPECTED])
    assert found == Container(
        name="shop-db-1",
        service="db",
        health="unhealthy",
        failing=3,
        restarts=2,
        started_at=pytest.approx(1795262085.135702),
        image="postgres:17",
        pid=4711,
        restart_policy="unless-stopped",
    )
    assert "s3cr3t" not in repr(found)


def test_containers_come_by_number():
    def numbered(number):
        labels = {"com.docker.compose.service": "worker", "com.docker.compose.container-number": str(number)}
        return {"Name": f"/shop-worker-{number}", "Config": {"Labels": labels}}

    assert [one.number for one in parse_containers([numbered(10), numbered(2), numbered(1)])] == [1, 2, 10]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("1970-01-01T00:00:01.5Z", 1.5, id="with a fraction"),
        pytest.param("1970-01-01T00:01:00Z", 60, id="without"),
        pytest.param("0001-01-01T00:00:00Z", None, id="never"),
        pytest.param("yesterday", None, id="not a time"),
        pytest.param(None, None, id="nothing"),
    ],
)
def test_a_time_of_docker_is_read(text, seconds):
    assert read_time(text) == seconds


@pytest.mark.parametrize(
    ("service", "definition"),
    [
        pytest.param("db", Definition(), id="one, where nothing is said"),
        pytest.param("worker", Definition(replicas=2), id="replicas below deploy"),
        pytest.param("old", Definition(replicas=3), id="scale, the older word"),
        pytest.param("fixed", Definition(container_name="the-one"), id="a name that only one can have"),
        pytest.param("web", Definition(ports=("3000",)), id="a port that only one can have"),
        pytest.param("free", Definition(), id="ports that several can have"),
    ],
)
def test_a_compose_file_says_how_many_there_can_be(service, definition):
    assert parse_definition(FILE, service, path="f.yml") == definition


def test_a_service_that_is_not_in_the_file_is_told_with_those_that_are():
    with pytest.raises(ComposeError, match=r"f\.yml has no service 'api'; it has db, fixed, free, old, web, worker"):
        parse_definition(FILE, "api", path="f.yml")


def one(**other):
    return Container(**{"name": "w-1", "service": "w", "started_at": 100.0, "restart_policy": "always", **other})


@pytest.mark.parametrize(
    ("containers", "settled"),
    [
        pytest.param([one()], True, id="running for long"),
        pytest.param([one(started_at=108.0)], False, id="running since a moment"),
        pytest.param([one(started_at=109.9, health="healthy")], True, id="healthy since a moment"),
        pytest.param([one(health="starting")], False, id="not healthy yet"),
        pytest.param([one(health="unhealthy")], False, id="unhealthy, it may recover"),
        pytest.param([one(status="restarting")], False, id="between two starts"),
        pytest.param([one(status="exited")], False, id="ended, Docker starts it again"),
        pytest.param([], False, id="none"),
        pytest.param([one(), one()], False, id="one too many"),
    ],
)
def test_a_service_has_settled_when_all_its_containers_serve(containers, settled):
    assert is_settled(containers, wanted=1, now=110.0, stable_seconds=3) is settled


def test_none_wanted_and_none_there_is_settled():
    assert is_settled([], wanted=0, now=0, stable_seconds=3)


def test_a_container_that_ended_for_good_is_not_waited_for():
    gone = one(status="exited", exit_code=137, out_of_memory=True, restart_policy="no")
    with pytest.raises(ComposeError, match=r"w-1 has ended: exit code 137, out of memory; read docker logs"):
        is_settled([gone], wanted=1, now=0, stable_seconds=3)


@pytest.mark.parametrize(
    ("container", "said"),
    [
        pytest.param(one(), None, id="nothing"),
        pytest.param(one(restarts=5), "in a crash loop: restarted 3 times by itself", id="up again"),
        pytest.param(
            one(restarts=5, status="restarting", exit_code=3),
            "in a crash loop: restarted 3 times by itself, exit code 3",
            id="down again",
        ),
        pytest.param(one(status="exited", exit_code=1), "exited, exit code 1", id="ended"),
        pytest.param(one(health="unhealthy", failing=4), "unhealthy: its health check failed 4 times", id="ill"),
        pytest.param(one(health="starting"), "not healthy yet", id="starting"),
    ],
)
def test_trouble_is_said_in_a_few_words(container, said):
    restarts_before = 2 if container.restarts else 0
    assert trouble(container, restarts_before=restarts_before) == said


def test_giving_up_says_how_many_serve_and_where_to_read_on():
    ill = one(name="w-2", restarts=3, status="restarting", exit_code=1)
    said = str(gave_up([one(), ill], wanted=2, before={"w-2": 1}, waited=60))
    assert said.startswith("1 of 2 containers serve after 60 s: w-2 is in a crash loop: restarted 2 times by itself")
    assert "read docker logs --tail 50 w-2" in said
