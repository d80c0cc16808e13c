# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a new release has to show, asked of a real server on a port of its own."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._gate import GateError, GateWishes, pass_gate, wishes_of
from ansible_collections.runbook.ops.plugins.module_utils._gate_ask import instance_url, is_version
from ansible_collections.runbook.ops.plugins.module_utils._release import Release
from ansible_collections.runbook.ops.plugins.module_utils._slot import SlotSeen

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MB = 1_000_000
WISHES = GateWishes(
    health={"url": "http://localhost:{port}/health", "status": 200, "json": {"status": "ok"}, "timeout_seconds": 1},
    version={"url": "http://localhost:{port}/version", "json": "commit", "is": "commit"},
    smoke=[{"request": "/list", "status": 200, "json": {"host": "shop.example"}}],
    url="https://shop.example/",
    start_timeout_seconds=3,
    stable_seconds=1,
)


def release(**more):
    known = {
        "id": "20260101T000000Z-0123456789ab",
        "service": "shop",
        "kind": "git",
        "path": "/srv",
        "commit": COMMIT,
        "ref": "v1.2.3",
        "image": None,
        "package_version": "1.2.3",
        "process": {},
        "environment_sha256": None,
        "lock_sha256": None,
        "migrations": [],
        "built_at": "2026-01-01T00:00:00Z",
        "tools": {},
    }
    return Release(**{**known, **more})


class FakeSlot:
    """What its manager would say, one look after the other; the last one goes on."""

    name, label, secrets = "green", "shop-green", ()

    def __init__(self, port, looks, *, strangers=(), taken=None, log=(), instances=()):
        self.port, self.looks, self._strangers, self._taken, self._log = port, list(looks), strangers, taken, log
        self._instances = instances

    def look(self):
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    def strangers(self):
        return list(self._strangers)

    def instances(self):
        return list(self._instances)

    def taken_by_other(self, *, seconds):
        assert seconds > 0
        return self._taken

    def log(self, lines=10):
        return list(self._log)[-lines:]


def running(**more):
    known = {
        "status": "running",
        "release": release().id,
        "pids": (7,),
        "listening": (7,),
        "started_at": 0.0,
        "memory_bytes": 100 * MB,
    }
    return SlotSeen(**{**known, **more})


class Clock:
    """A time that only sleep moves on."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def server():
    """Answer as a table says: by path, status and what the JSON holds."""

    class Handler(BaseHTTPRequestHandler):
        answers = {}  # noqa: RUF012  (each test has a class of its own)
        seen = []  # noqa: RUF012

        def do_GET(self):
            status, content = self.answers.get(
                self.path, (200, {"status": "ok", "commit": COMMIT, "host": self.headers["Host"]})
            )
            self.seen.append(self.path)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *_arguments):
            pass

    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    found.shutdown()
    thread.join()
    found.server_close()


def tried(server, *looks, wishes=WISHES, of=None, **more):
    clock = Clock()
    slot = FakeSlot(server.server_address[1], looks or [running()], **more)
    return pass_gate(slot, of or release(), wishes, clock=clock, sleep=clock.sleep), clock.now


def test_a_release_that_answers_rightly_several_times_in_a_row_passes(server):
    checks, seconds = tried(server)
    assert [check["id"] for check in checks] == [
        f"gate:shop:{what}" for what in ("process", "answers", "memory", "version")
    ]
    assert {check["status"] for check in checks} == {"ok"}
    assert seconds >= WISHES.stable_seconds
    seen = server.RequestHandlerClass.seen
    assert min(seen.count(path) for path in ("/health", "/list", "/version")) >= WISHES.answers


def test_a_release_may_take_its_time_to_start(server):
    slow = [running(status="starting", listening=())] * 8
    assert tried(server, *slow, running())[1] >= 2 + WISHES.stable_seconds


def test_each_of_several_instances_has_to_be_right(server):
    port = server.server_address[1]
    assert tried(server, running(status="starting"), instances=[("web-1", "127.0.0.1", port)])
    with socket.create_server(("127.0.0.1", 0)) as other:
        free = other.getsockname()[1]
    with pytest.raises(GateError, match="web-2: health /health: "):
        tried(server, instances=[("web-1", "127.0.0.1", port), ("web-2", "127.0.0.1", free)])


@pytest.mark.parametrize(
    ("status", "why"), [("starting", "not all of it has started yet"), ("ill", "it says unhealthy")]
)
def test_where_only_its_manager_knows_all_of_them_its_word_counts(server, status, why):
    with pytest.raises(GateError, match=why):
        tried(server, running(status=status, trouble="it says unhealthy"))


@pytest.mark.parametrize(
    ("look", "more", "why"),
    [
        pytest.param(running(status="stopped", exit_code=3), {}, "it has ended, exit code 3", id="it has ended"),
        pytest.param(running(status="absent"), {}, "it has ended", id="its manager has forgotten it"),
        pytest.param(
            running(status="broken", trouble="PM2 says errored"), {}, "PM2 says errored", id="its manager gave it up"
        ),
        pytest.param(
            running(restarts=1, started_at=9e12), {}, "it ended and was restarted 1 times", id="it was restarted"
        ),
        pytest.param(running(release="another"), {}, "the slot runs another", id="another release runs there"),
        pytest.param(
            running(listening=()), {"strangers": ["pid 9 (nginx)"]}, "is taken by pid 9", id="a stranger has its port"
        ),
    ],
)
def test_what_cannot_become_right_is_refused_at_once(server, look, more, why):
    with pytest.raises(GateError, match=why) as caught:
        tried(server, look, **more)
    assert caught.value.details["seconds"] <= 1


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        pytest.param({"/health": (503, {})}, "health /health: HTTP 503, right is 200", id="never healthy"),
        pytest.param(
            {"/health": (200, {"status": "starting"})},
            "health /health: status is 'starting'",
            id="healthy in name only",
        ),
        pytest.param({"/list": (500, {})}, "smoke /list: HTTP 500", id="a request of users fails"),
        pytest.param(
            {"/version": (404, {})}, "version /version: HTTP 404, without the key 'commit'", id="it tells no version"
        ),
    ],
)
def test_what_is_not_right_in_time_is_refused(server, answers, why):
    server.RequestHandlerClass.answers = answers
    with pytest.raises(GateError) as caught:
        tried(server, log=["started", "Error: no database", "bye"])
    assert why in str(caught.value)
    assert "not right within 3 s" in str(caught.value)
    assert str(caught.value).endswith("its log says: Error: no database")


@pytest.mark.parametrize(
    ("log", "told"),
    [
        pytest.param(
            ["ready", "Error: no key", "    at load (node:internal/errors:7)", "Node.js v20"],
            "Error: no key",
            id="above a stack",
        ),
        pytest.param(
            ["12:00:01 ERROR port in use", "12:00:02 INFO bye"], "12:00:01 ERROR port in use", id="behind the time"
        ),
        pytest.param(["TypeError: x is undefined", "    at x"], "TypeError: x is undefined", id="an error with a name"),
        pytest.param(["starting", "bye"], "bye", id="no error: the last line"),
    ],
)
def test_the_line_that_tells_most_is_told(server, log, told):
    with pytest.raises(GateError) as caught:
        tried(server, running(status="stopped"), log=log)
    assert str(caught.value).endswith(f"; its log says: {told}")
    assert caught.value.details["log"] == log


def test_another_version_is_refused_before_the_time_is_up(server):
    server.RequestHandlerClass.answers = {"/version": (200, {"commit": "f" * 40})}
    with pytest.raises(GateError, match="it says to be version ffff") as caught:
        tried(server)
    assert caught.value.details["seconds"] < WISHES.start_timeout_seconds


def test_answers_of_another_process_do_not_count(server):
    with pytest.raises(GateError, match="connections to port 1 go to pid 9"):
        tried(server, taken="connections to port 1 go to pid 9 (node)")


def test_a_crash_while_it_has_to_be_stable_is_refused(server):
    with pytest.raises(GateError, match="restarted 1 times"):
        tried(server, running(), running(), running(), running(restarts=1))


def test_one_that_has_run_for_long_may_have_been_restarted_before(server):
    assert tried(server, running(restarts=4))[0]


@pytest.mark.parametrize(
    ("memory", "limit", "why"),
    [
        pytest.param([100 * MB, 100 * MB, 300 * MB], 200 * MB, "its limit is 200 MB", id="beyond its limit"),
        pytest.param(
            [100 * MB, 120 * MB, 160 * MB, 250 * MB],
            None,
            "its memory grew from 100 MB to 250 MB",
            id="it grows and grows",
        ),
    ],
)
def test_memory_that_runs_away_is_refused(server, memory, limit, why):
    looks = [running(memory_bytes=size) for size in memory]
    with pytest.raises(GateError, match=why):
        tried(server, *looks, wishes=WISHES._replace(memory_bytes=limit))


def test_memory_may_grow_a_little(server):
    assert tried(server, running(memory_bytes=100 * MB), running(memory_bytes=140 * MB))[0]


@pytest.mark.parametrize(
    ("kind", "said"),
    [("commit", COMMIT[:12]), ("commit", COMMIT), ("package", "1.2.3"), ("tag", "v1.2.3")],
)
def test_a_version_may_be_told_in_several_ways(server, kind, said):
    server.RequestHandlerClass.answers = {"/version": (200, {"app": {"is": said}})}
    wishes = WISHES._replace(version={"url": "http://localhost:{port}/version", "json": "app.is", "is": kind})
    assert tried(server, wishes=wishes)[0][-1]["value"] == said


def test_of_what_a_person_has_started_nobody_knows_the_version(server):
    checks, _seconds = tried(server, running(release="adopted"), of=release(kind="adopted", id="adopted-0123456"))
    assert checks[-1]["status"] == "unknown"


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        pytest.param(
            "http://localhost:{port}/a?b=c", "http://127.0.0.1:3001/a?b=c", id="with the port of the instance"
        ),
        pytest.param("http://localhost:3000/a", "http://127.0.0.1:3001/a", id="with the port of the other one"),
        pytest.param("https://shop.example/a", "http://127.0.0.1:3001/a", id="through the proxy"),
        pytest.param("https://localhost:{port}", "https://127.0.0.1:3001/", id="over TLS"),
    ],
)
def test_the_instance_itself_is_asked_never_the_one_that_serves(url, asked):
    assert instance_url(url, 3001) == asked


@pytest.mark.parametrize(("found", "right"), [("0123456", True), ("012345", False), ("", False), ("012345f", False)])
def test_a_commit_may_be_cut_but_not_too_short(found, right):
    assert is_version(found, COMMIT, "commit") is right


def test_the_description_says_what_is_asked():
    deploy = {"version": None, "smoke": [], "url": None, "start_timeout_seconds": 60, "stable_seconds": 5}
    service = {"health": {"url": None, "database": "shop"}, "deploy": deploy, "limits": {"memory_bytes": 5}}
    assert wishes_of(service) == GateWishes(memory_bytes=5)
