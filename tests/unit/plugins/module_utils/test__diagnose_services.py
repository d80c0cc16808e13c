# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers are told with their state, and with what happened to them."""

from __future__ import annotations

from ansible_collections.runbook.ops.plugins.module_utils._diagnose_services import _container as container

RUNNING = {
    "name": "/shop-api-1",
    "image": "shop:1",
    "created": "2026-11-21T10:00:00Z",
    "restarts": 2,
    "policy": "always",
    "memory": 0,
    "state": {
        "Status": "running",
        "ExitCode": 0,
        "OOMKilled": False,
        "StartedAt": "2026-11-21T11:00:00.5Z",
        "FinishedAt": "0001-01-01T00:00:00Z",
        "Health": {"Status": "healthy"},
    },
}


def test_a_container_that_runs_is_well():
    row, events, is_bad = container(RUNNING)
    assert row[:6] == ["shop-api-1", "running", "healthy", 0, "-", 2]
    assert [one["what"] for one in events] == ["created", "started"]
    assert not is_bad


def test_one_that_was_killed_for_memory_says_so_and_when():
    state = {
        **RUNNING["state"],
        "Status": "exited",
        "ExitCode": 137,
        "OOMKilled": True,
        "FinishedAt": "2026-11-21T11:30:00Z",
    }
    row, events, is_bad = container({**RUNNING, "state": state})
    assert (row[3], row[4]) == (137, "memory")
    assert events[-1]["text"] == "container shop-api-1, exit code 137"
    assert is_bad


def test_one_that_is_unhealthy_is_not_well():
    assert container({**RUNNING, "state": {**RUNNING["state"], "Health": {"Status": "unhealthy"}}})[2]
