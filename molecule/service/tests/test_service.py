# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The workers were scaled, and nothing else was touched."""

from __future__ import annotations

import json
from typing import Any

import pytest
from testinfra.host import Host


@pytest.fixture(scope="module")
def containers(host: Host) -> list[dict[str, Any]]:
    """Return what Docker says of the containers of the project."""
    names = host.check_output("docker ps --all --quiet --filter label=com.docker.compose.project=newsletter").split()
    found: list[dict[str, Any]] = json.loads(host.check_output("docker inspect " + " ".join(names)))
    return found


def of(containers: list[dict[str, Any]], service: str) -> list[dict[str, Any]]:
    return [one for one in containers if one["Config"]["Labels"]["com.docker.compose.service"] == service]


def test_as_many_workers_run_as_the_description_says_for_a_full_queue(containers: list[dict[str, Any]]) -> None:
    workers = of(containers, "worker")
    assert len(workers) == 5
    assert {one["State"]["Status"] for one in workers} == {"running"}


def test_the_workers_that_were_there_went_on(containers: list[dict[str, Any]]) -> None:
    started = {one["Name"]: one["State"]["StartedAt"] for one in of(containers, "worker")}
    assert max(started["/newsletter-worker-1"], started["/newsletter-worker-2"]) < started["/newsletter-worker-3"]


@pytest.mark.parametrize("service", ["newsletter-app", "postgres", "redis"])
def test_no_other_service_was_restarted(containers: list[dict[str, Any]], service: str) -> None:
    newest = max(one["Created"] for one in of(containers, "worker"))
    (found,) = of(containers, service)
    assert found["State"]["StartedAt"] < newest


def test_the_scaling_stands_in_a_record(host: Host) -> None:
    records = [json.loads(line) for line in host.check_output("cat /var/lib/runbook-ops/runs/*.json").splitlines()]
    changes = [change for record in records for change in json.dumps(record).split('"thing": ') if '"scaled"' in change]
    assert any('"worker"' in change for change in changes)
