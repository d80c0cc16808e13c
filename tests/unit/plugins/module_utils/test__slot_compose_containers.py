# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Docker says of a slot, in one word."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._slot_compose_containers import seen


def container(status="running", *, release="r1", port=3001, health=None, restarts=0, **state):
    known = {
        "Status": status,
        "Pid": 7 if status == "running" else 0,
        "StartedAt": "2026-01-01T00:00:10.5Z",
        "ExitCode": 0,
    }
    bound = {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]} if status == "running" else {}
    return {
        "State": {**known, **({"Health": {"Status": health}} if health else {}), **state},
        "Config": {"Labels": {"runbook-ops.release": release} if release else {}},
        "NetworkSettings": {"Ports": bound},
        "RestartCount": restarts,
    }


@pytest.mark.parametrize(
    ("containers", "status"),
    [
        pytest.param([], "absent", id="there is none"),
        pytest.param([container()], "running", id="it runs"),
        pytest.param([container(health="starting")], "running", id="its own check has not been made yet"),
        pytest.param([container(health="unhealthy")], "ill", id="its own check fails"),
        pytest.param([container(), container(health="starting")], "starting", id="one of two was not checked yet"),
        pytest.param([container("exited")], "stopped", id="it has ended"),
        pytest.param([container("created")], "stopped", id="it was never started"),
        pytest.param([container("restarting", restarts=3)], "broken", id="it is restarted again and again"),
        pytest.param([container("paused")], "broken", id="it is paused"),
        pytest.param([container(), container("exited")], "broken", id="one of two has ended"),
    ],
)
def test_what_docker_says_is_put_into_one_word(containers, status):
    assert seen(containers, port=3001).status == status


def test_a_slot_tells_who_listens_and_what_runs():
    found = seen([container()], port=3001)
    assert (found.listening, found.pids, found.release) == ((7,), (7,), "r1")
    assert seen([container(port=3000)], port=3001).listening == ()
    assert seen([container(release=None)], port=3001).release == "adopted"
    assert seen([container(), container(release="r2")], port=3001).release is None


def test_it_says_how_something_ended():
    found = seen([container("restarting", restarts=2, OOMKilled=True)], port=3001)
    assert found.trouble == "Docker says restarting, restarted 2 times, out of memory"
    assert seen([container("exited", ExitCode=3)], port=3001).exit_code == 3
