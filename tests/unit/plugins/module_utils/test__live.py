# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A switch is made and proven, or all is as it was. The link and what is written are real here; nginx and systemd are not."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _live, _live_proxy, _live_socket
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import Fence
from ansible_collections.runbook.ops.plugins.module_utils._change_step import LockError
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import DeployPaths
from ansible_collections.runbook.ops.plugins.module_utils._live import SwitchError
from ansible_collections.runbook.ops.plugins.module_utils._live_state import read_state

FREE = Fence("", 0, "")


class Slot(NamedTuple):
    name: str
    port: int
    label: str


class Release(NamedTuple):
    id: str
    commit: str | None = None
    package_version: str | None = None
    ref: str | None = None


BLUE, GREEN = Slot("blue", 3000, "api"), Slot("green", 3001, "api-new")
SERVICE = {
    "name": "api",
    "port": 3000,
    "standby_port": 3001,
    "deploy": {
        "url": "https://shop.example/api/health",
        "address": "127.0.0.1",
        "switch": "socket",
        "smoke": [{"request": "/api/items?first=1", "status": 200, "json": {"ok": True}}],
        "version": {"url": "http://127.0.0.1:{port}/api/version", "json": "commit", "is": "commit"},
    },
}


class Host:
    """A host on which nginx reads what is written, and both slots listen."""

    def __init__(self, monkeypatch, directory):
        self.paths = DeployPaths("api", f"{directory}/state", f"{directory}/run")
        self.paths.make()
        self.paths.live_socket.parent.mkdir(parents=True)
        self.servers = directory / "nginx" / "runbook-ops" / "api.servers"
        self.servers.parent.mkdir(parents=True)
        self.ends = []
        for slot in (BLUE, GREEN):
            self.ends.append(socket.socket(socket.AF_UNIX))
            self.ends[-1].bind(str(self.paths.slot_socket(slot.name)))
            self.ends[-1].listen(8)
        self.wrong, self.addresses, self.lost = None, [], False
        self.wishes = _live.wishes_of(SERVICE, None)._replace(
            config=str(directory / "nginx" / "nginx.conf"),
            directory=str(directory / "nginx-state"),
            tmpfiles=str(directory / "tmpfiles.d"),
            proof_seconds=0.01,
        )
        monkeypatch.setattr(_live_socket, "proxyd", lambda: "/proxyd")
        monkeypatch.setattr(_live, "proxy_of", self._proxy)
        monkeypatch.setattr(_live, "open_ways", self._open)
        monkeypatch.setattr(_live, "take_over", self._take_over)
        monkeypatch.setattr(_live, "make_proof", lambda *_arguments: self._Proof(self))
        monkeypatch.setattr(_live, "held", self._held)
        monkeypatch.setattr(_live_proxy, "held", self._held)

    class _Proof(_live.Proof):
        def __init__(self, host):
            super().__init__((), None, None)
            self._host = host

        def _ask(self):
            return self._host.wrong

    @contextmanager
    def _held(self, _fence):
        if self.lost:
            raise LockError("run 7 took over: nothing was written after that")
        yield

    def _proxy(self, paths, fence, wishes):
        return _live_proxy.Proxy(paths, fence, wishes, wishes.way, "api", str(self.servers), None)

    def _open(self, proxy, live, _other):
        if live is not None and _live_socket.target(proxy.paths.live_socket) != live.slot:
            _live_socket.lead(proxy.paths.live_socket, live.slot)
        return []

    def _take_over(self, proxy):
        self.servers.write_text(f"server unix:{proxy.paths.live_socket};\n")
        return []

    def switch(self, slot):
        return _live.switch(self.paths, FREE, slot, Release(f"r-{slot.name}"), self.wishes)

    def live(self):
        """Return who is live by what is written, and by the link."""
        live = _live.read_live(self.paths)
        return live and live.slot, _live_socket.target(self.paths.live_socket)


@pytest.fixture
def host(monkeypatch):
    with TemporaryDirectory(dir="/tmp", prefix="live-") as directory:  # the name of a socket must be short
        made = Host(monkeypatch, Path(directory))
        yield made
        for end in made.ends:
            end.close()


def test_the_slot_is_live_once_the_link_leads_to_it_and_that_is_proven(host):
    _live.adopt(host.paths, FREE, BLUE, "adopted")
    report = host.switch(GREEN)
    assert (report.switched, report.before.slot, report.live.slot) == (True, "blue", "green")
    assert (report.live.label, report.live.port, report.live.release) == ("api-new", 3001, "r-green")
    assert report.seconds is not None
    assert host.live() == ("green", "green")
    assert read_state(host.paths.live).next is None
    assert "green.sock" in next(Path(host.wishes.tmpfiles).iterdir()).read_text()


def test_a_second_time_there_is_nothing_to_switch(host):
    host.switch(GREEN)
    before = host.paths.live.read_text()
    report = host.switch(GREEN)
    assert (report.switched, report.actions, report.seconds) == (False, (), None)
    assert host.paths.live.read_text() == before


@pytest.mark.parametrize("first", [True, False], ids=["the first switch", "a later one"])
def test_what_cannot_be_proven_is_taken_back(host, first):
    _live.adopt(host.paths, FREE, BLUE, "adopted")
    if not first:
        host.switch(GREEN)
        host.switch(BLUE)
    host.wrong = "https://shop.example/: HTTP 502"
    with pytest.raises(SwitchError, match=r"HTTP 502; api on port 3000 is live as before"):
        host.switch(GREEN)
    assert host.live() == ("blue", "blue")
    assert read_state(host.paths.live).next is None


@pytest.mark.parametrize("fails", ["survive", "write_json"])
def test_what_fails_after_the_proof_is_taken_back_too(host, monkeypatch, fails):
    _live.adopt(host.paths, FREE, BLUE, "adopted")
    host.switch(GREEN)
    host.switch(BLUE)
    place, name = (_live_socket, "survive") if fails == "survive" else (_live, "write_json")
    real = getattr(place, name)

    def full(*arguments):
        wanted = arguments[1] == "green" if fails == "survive" else (arguments[1]["now"] or {}).get("slot") == "green"
        if wanted:
            raise OSError(28, "No space left on device", "/var")
        return real(*arguments)

    monkeypatch.setattr(place, name, full)
    with pytest.raises(SwitchError, match="No space left on device; api on port 3000 is live as before"):
        host.switch(GREEN)
    assert host.live() == ("blue", "blue")
    assert "blue.sock" in next(Path(host.wishes.tmpfiles).iterdir()).read_text()


def test_what_makes_the_link_at_a_boot_is_never_behind_what_is_written(host, monkeypatch):
    _live.adopt(host.paths, FREE, BLUE, "adopted")

    def cut(*arguments):
        if arguments[1]["next"] is None:
            raise KeyboardInterrupt  # the power goes
        return write(*arguments)

    write = _live.write_json
    monkeypatch.setattr(_live, "write_json", cut)
    with pytest.raises(KeyboardInterrupt):
        host.switch(GREEN)
    assert "green.sock" in next(Path(host.wishes.tmpfiles).iterdir()).read_text()
    assert read_state(host.paths.live).next.slot == "green", "the link that a boot makes tells which of the two it is"


def test_a_slot_in_which_nobody_listens_is_not_switched_to(host):
    host.switch(BLUE)
    host.ends[1].close()
    with pytest.raises(SwitchError, match="nobody listens behind"):
        host.switch(GREEN)
    assert host.live() == ("blue", "blue")


def test_who_was_taken_over_changes_nothing(host):
    host.switch(BLUE)
    before = host.paths.live.read_text()
    host.lost = True
    with pytest.raises(LockError, match="took over"):
        host.switch(GREEN)
    assert host.live() == ("blue", "blue")
    assert host.paths.live.read_text() == before


def test_a_service_without_a_proxy_has_a_live_slot_too(host):
    assert _live.read_live(host.paths) is None
    _live.adopt(host.paths, FREE, GREEN, "r1")
    assert _live.settle(host.paths, FREE, None).slot == "green"
    assert not host.paths.live_socket.is_symlink()


def test_the_link_that_is_gone_is_made_again(host):
    host.switch(GREEN)
    host.paths.live_socket.unlink()
    assert _live.settle(host.paths, FREE, host.wishes).slot == "green"
    assert host.live() == ("green", "green")


def test_requests_of_the_live_slot_are_not_waited_for(host):
    host.switch(GREEN)
    with pytest.raises(SwitchError, match="api-new is live"):
        _live.drain(host.paths, GREEN, None, seconds=0)


def test_what_has_begun_is_waited_for_as_long_as_is_said(host):
    host.switch(GREEN)
    host.switch(BLUE)
    host.ends[1].accept()[0].close()  # from the look whether anybody listens
    with socket.socket(socket.AF_UNIX) as request:
        request.connect(str(host.paths.slot_socket("green")))
        assert _live.drain(host.paths, GREEN, None, seconds=0).left == 1
        host.ends[1].accept()[0].close()
    assert _live.drain(host.paths, GREEN, None, seconds=5).left == 0


@pytest.mark.parametrize(
    ("seconds", "open_at_the_end", "said"),
    [
        pytest.param(60, 0, [], id="until nothing is on its way"),
        pytest.param(
            0, 3, ["3 connections through the sockets were still open after 0 s, and were cut off"], id="no time"
        ),
    ],
)
def test_the_sockets_are_removed_once_what_is_on_its_way_has_ended_or_its_time_is_over(
    host, monkeypatch, seconds, open_at_the_end, said
):
    host.switch(GREEN)
    left, closed, warned = [3, 2, 1, 0, 0], [], []
    monkeypatch.setattr(_live, "LOOK_SECONDS", 0)
    monkeypatch.setattr(_live, "run_upstream", lambda *_a, **_k: {"actions": []})
    monkeypatch.setattr(_live, "task_of", lambda *_a, **_k: None)
    monkeypatch.setattr(_live, "Command", lambda *_a: None)
    monkeypatch.setattr(_live_socket, "all_connections", lambda _link: closed.append(left.pop(0)) or closed[-1])
    monkeypatch.setattr(_live_socket, "close_way", lambda *_a: [f"closed with {closed[-1]} open"])
    wishes = host.wishes._replace(module=SimpleNamespace(warn=warned.append))
    assert _live.forget(host.paths, FREE, wishes, seconds=seconds) == [f"closed with {open_at_the_end} open"]
    assert warned == said
    assert read_state(host.paths.live).file is None


def test_the_description_says_what_is_asked_through_nginx(host):
    asked = host.wishes
    assert [one["url"] for one in asked.requests] == [
        "https://shop.example/api/health",
        "https://shop.example/api/items?first=1",
    ]
    assert asked.requests[1]["json"] == {"ok": True}
    assert asked.version["url"] == "https://shop.example/api/version"
    assert {"localhost:3000", "127.0.0.1:3001"} <= set(asked.replaces)


def test_what_the_url_answers_rightly_is_said_by_the_smoke_request_of_the_same_path() -> None:
    smoke = [{"request": "/voice", "status": 426, "json": None}, {"request": "/other", "status": 200, "json": None}]
    deploy = {"url": "https://shop.example/voice", "address": "127.0.0.1", "smoke": smoke, "version": None}
    service = {"name": "voice", "port": 4001, "standby_port": 4011, "deploy": {**deploy, "switch": "socket"}}
    found = _live_proxy.wishes_of(service, None).requests
    assert [(one["url"], one["status"]) for one in found] == [
        ("https://shop.example/voice", [426]),
        ("https://shop.example/other", [200]),
    ]
