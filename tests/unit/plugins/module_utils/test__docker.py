# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Docker engine says, over a socket that speaks as it does."""

from __future__ import annotations

import http.server
import json
import socketserver
import threading
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _docker

# Cut from what Docker 26.1 answers.
INSPECTED: dict[str, Any] = {
    "Id": "c0ffee",
    "Name": "/shop-web-1",
    "RestartCount": 3,
    "State": {
        "Status": "running",
        "OOMKilled": False,
        "ExitCode": 0,
        "StartedAt": "2026-11-21T11:00:00.123456789Z",
        "Health": {
            "Status": "unhealthy",
            "Log": [{"ExitCode": 1, "Output": "first\n"}, {"ExitCode": 1, "Output": "curl: (7)\nrefused\n"}],
        },
    },
    "Config": {"Image": "web:1", "Labels": {"com.docker.compose.service": "web"}},
    "NetworkSettings": {"Networks": {"shop_default": {"IPAddress": "172.18.0.2"}, "none": {"IPAddress": ""}}},
}


class Engine(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """A stub of the engine's HTTP API: ``answers`` by path without its question."""

    def __init__(self, path: Path, answers: dict[str, tuple[int, Any]]) -> None:
        self.asked: list[str] = []
        engine = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                engine.asked.append(self.path)
                status, content = answers.get(self.path.partition("?")[0], (404, {"message": "no such container"}))
                self.send_response(status)
                self.end_headers()
                self.wfile.write(content if isinstance(content, bytes) else json.dumps(content).encode())

            def address_string(self) -> str:
                return "socket"

            def log_message(self, *_words: Any) -> None:
                pass

        super().__init__(str(path), Handler)


@pytest.fixture
def engine(tmp_path, monkeypatch):
    path = tmp_path / "docker.sock"
    monkeypatch.setattr(_docker, "SOCKET", str(path))
    servers = []

    def start(answers):
        server = Engine(path, answers)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_container_is_what_its_inspection_tells():
    found = _docker.parse(INSPECTED)
    assert (found.name, found.service, found.status, found.restarts) == ("shop-web-1", "web", "running", 3)
    assert (found.health, found.health_said) == ("unhealthy", "refused")
    assert found.addresses == ("172.18.0.2",)


@pytest.mark.parametrize(
    ("log", "is_bounded"),
    [
        ({"Type": "json-file", "Config": {"max-size": "10m"}}, True),
        ({"Type": "json-file", "Config": {}}, False),
        ({"Type": "json-file", "Config": None}, False),
        ({"Type": "json-file", "Config": {"max-size": "-1"}}, False),
        ({"Type": "local", "Config": {}}, True),
        ({"Type": "journald", "Config": {}}, True),
    ],
)
def test_only_files_without_a_size_have_no_end(log, is_bounded):
    assert _docker.parse({**INSPECTED, "HostConfig": {"LogConfig": log}}).is_log_bounded is is_bounded


def test_the_containers_of_a_service_are_asked_for_by_its_labels(engine):
    server = engine({"/containers/json": (200, [{"Id": "c0ffee"}]), "/containers/c0ffee/json": (200, INSPECTED)})
    assert [one.name for one in _docker.containers(project="shop", service="web")] == ["shop-web-1"]
    assert "com.docker.compose.service%3Dweb" in server.asked[0]
    assert "com.docker.compose.oneoff%3DFalse" in server.asked[0]


def test_a_container_that_goes_while_we_look_is_left_out(engine):
    engine({"/containers/json": (200, [{"Id": "gone"}])})
    assert _docker.containers(project="shop") == []


def test_the_address_is_that_of_a_container_that_runs(engine):
    stopped = {**INSPECTED, "State": {**INSPECTED["State"], "Status": "exited"}}
    engine({"/containers/web/json": (200, INSPECTED), "/containers/old/json": (200, stopped)})
    assert _docker.container_address(container="web") == "172.18.0.2"
    with pytest.raises(_docker.DockerError, match="old does not run"):
        _docker.container_address(container="old")


def test_a_container_in_the_network_of_the_host_has_no_address_of_its_own(engine):
    engine({"/containers/web/json": (200, {**INSPECTED, "NetworkSettings": {"Networks": {"host": {"IPAddress": ""}}}})})
    with pytest.raises(_docker.DockerError, match="name host and port instead"):
        _docker.container_address(container="web")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param((500, {"message": "the disk is full"}), r"refused \(500\): the disk is full", id="refused"),
        pytest.param((502, b"<html>"), "502 without JSON", id="something else answers"),
    ],
)
def test_why_docker_does_not_tell_is_said(engine, answer, words):
    engine({"/info": answer})
    with pytest.raises(_docker.DockerError, match=words):
        _docker.ask("/info")


def test_a_docker_that_does_not_run_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(_docker, "SOCKET", str(tmp_path / "none.sock"))
    with pytest.raises(_docker.DockerError, match="does not run"):
        _docker.ask("/info")


@pytest.mark.parametrize(
    ("stats", "used"),
    [
        pytest.param({"usage": 100, "stats": {"inactive_file": 30}}, 70, id="cgroup 2"),
        pytest.param({"usage": 100, "stats": {"total_inactive_file": 40}}, 60, id="cgroup 1"),
        pytest.param({}, None, id="not told"),
    ],
)
def test_cache_that_can_be_given_back_is_no_memory_in_use(engine, stats, used):
    engine({"/containers/c0ffee/stats": (200, {"memory_stats": stats})})
    assert _docker.memory_bytes(_docker.parse(INSPECTED)) == used
