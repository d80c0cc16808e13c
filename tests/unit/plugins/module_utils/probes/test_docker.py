# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers of Compose, and the space that Docker takes."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import read_options
from ansible_collections.runbook.ops.plugins.module_utils.probes import compose, docker_disk


def options(probe: Any, **raw: Any) -> dict[str, Any]:
    return {**read_options({"probe": "p", **raw}, probe.OPTIONS, where="test"), "section": probe.SECTION}


def container(**more: Any) -> dict[str, Any]:
    plain = {"name": "shop-web-1", "status": "running", "health": None, "health_said": "", "restarts": 0}
    return {**plain, "exit_code": 0, "out_of_memory": False, "uptime_seconds": 3600.0, **more}


def look(*found: dict[str, Any], memory_bytes: int | None = None, **raw: Any) -> list[dict[str, Any]]:
    told = options(compose, project="shop", service="web", **raw)
    return compose.judge({"containers": list(found), "memory_bytes": memory_bytes}, told)


@pytest.mark.parametrize(
    ("found", "status", "words"),
    [
        pytest.param([container()], "ok", "running, up 1h", id="runs"),
        pytest.param([container(health="healthy")], "ok", "running, healthy, up 1h", id="is healthy"),
        pytest.param([], "critical", "0 of 1 run: there is no container", id="is not there"),
        pytest.param([container(status="exited", exit_code=137)], "critical", "is exited (exit 137)", id="ended"),
        pytest.param(
            [container(status="exited", exit_code=137, out_of_memory=True)],
            "critical",
            "exit 137, out of memory",
            id="was killed",
        ),
        pytest.param([container(status="restarting", restarts=9)], "critical", "again and again (9 times", id="loops"),
        pytest.param([container(status="paused")], "critical", "is paused", id="paused"),
        pytest.param(
            [container(health="unhealthy", health_said="refused")], "critical", "is unhealthy: refused", id="unhealthy"
        ),
        pytest.param(
            [container(restarts=2, uptime_seconds=12.0)],
            "critical",
            "restarted 2 times, the last 12s ago",
            id="crashed",
        ),
        pytest.param([container(restarts=2)], "ok", "running, up 1h", id="crashed long ago"),
        pytest.param([container(health="starting", uptime_seconds=5.0)], "ok", "running, up 5s", id="starts"),
        pytest.param([container(health="starting")], "warning", "has been starting for 1h", id="starts for ever"),
        pytest.param([container(), container()], "warning", "2 run, 1 are described", id="more than described"),
    ],
)
def test_a_service_of_compose(found: list[dict[str, Any]], status: str, words: str) -> None:
    (check,) = look(*found)
    assert (check["id"], check["status"]) == ("compose:web", status)
    assert words in check["detail"]


def test_too_few_containers_are_counted() -> None:
    (check,) = look(container(), replicas=2)
    assert (check["status"], check["value"], check["limit"], check["detail"]) == ("critical", 1, 2, "1 of 2 run")


def test_the_memory_of_all_containers_is_judged_together() -> None:
    _runs, check = look(container(), container(), replicas=2, memory_bytes=600)
    assert (check["status"], check["detail"]) == ("ok", "600 B in 2 containers")


def test_memory_above_its_limit_is_a_warning() -> None:
    told = options(compose, project="shop", service="web", memory_bytes={"warning": 500})
    _runs, check = compose.judge({"containers": [container()], "memory_bytes": 600}, told)
    assert (check["id"], check["status"], check["limit"]) == ("compose:web:memory", "warning", 500)


def test_logs_without_an_end_are_told_where_they_are_to_have_one() -> None:
    endless = container(name="shop-web-2", is_log_bounded=False)
    bounded = container(is_log_bounded=True)
    _runs, check = look(bounded, endless, replicas=2, bounded_logs=True)
    assert (check["id"], check["status"], check["value"]) == ("compose:web:logs", "warning", 1)
    assert "kept without an end: shop-web-2," in check["detail"]
    _runs, check = look(bounded, bounded, replicas=2, bounded_logs=True)
    assert (check["status"], check["value"]) == ("ok", 0)
    assert len(look(endless)) == 1, "nobody asked"


# Cut from what Docker 26.1 answers.
USED = {
    "LayersSize": 1000,
    "Images": [
        {"Size": 700, "SharedSize": 200, "Containers": 2},
        {"Size": 500, "SharedSize": 200, "Containers": 0},
    ],
    "Containers": [{"State": "running", "SizeRw": 5}, {"State": "exited", "SizeRw": 7}],
    "Volumes": [{"UsageData": {"Size": 90}}, {"UsageData": None}],
    "BuildCache": [{"Size": 40, "InUse": False}, {"Size": 60, "InUse": True}, {"Size": 9, "Shared": True}],
}


def test_what_nothing_needs_is_idle_and_volumes_are_not() -> None:
    found = docker_disk.parse(USED)
    assert found["idle_bytes"] == (500 - 200) + 7 + 40
    assert (found["images_bytes"], found["volumes_bytes"], found["cache_bytes"]) == (1000, 90, 100)


def test_idle_space_is_judged_by_the_file_system() -> None:
    told = options(docker_disk, percent={"warning": 30})
    (check,) = docker_disk.judge({**docker_disk.parse(USED), "total_bytes": 1000}, told)
    assert (check["status"], check["value"], check["limit"]) == ("warning", 34.7, 30)
