# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _live_socket
from ansible_collections.runbook.ops.plugins.module_utils._live_socket import Account, End, Places

UNIT = "runbook-ops-live-api-green"


class Systemctl:
    """Remembers what it was told; its sockets listen once they are started."""

    def __init__(self, path: Path) -> None:
        self.calls, self.path, self.server = [], path, None

    def __call__(self, *arguments, accept=(0,)):  # noqa: ARG002
        self.calls.append(arguments)
        if arguments[0] == "start":
            self.path.unlink(missing_ok=True)
            self.server = socket.socket(socket.AF_UNIX)
            self.server.bind(str(self.path))
            self.server.listen(8)
        return "active\n" if arguments[0] == "is-active" and self.server else "inactive\n"


@pytest.fixture
def place(tmp_path):
    run = Path("/tmp") / f"live-{os.getpid()}-{tmp_path.name[:20]}"  # the name of a socket must be short
    run.mkdir()
    yield Places(tmp_path / "units", tmp_path / "tmpfiles"), run / "green.sock", Systemctl(run / "green.sock")
    shutil.rmtree(run, ignore_errors=True)


def units(path, port=3001):
    return _live_socket.render_units(
        "api",
        End("green", port, path),
        program="/usr/lib/systemd/systemd-socket-proxyd",
        account=Account("www-data", "www-data"),
    )


def test_a_slots_socket_is_for_nginx_alone_and_leads_to_its_port():
    texts = units(Path("/run/x/green.sock"))
    assert list(texts) == [f"{UNIT}.socket", f"{UNIT}.service"]
    assert "ListenStream=/run/x/green.sock\n" in texts[f"{UNIT}.socket"]
    assert "SocketGroup=www-data\nSocketMode=0660\n" in texts[f"{UNIT}.socket"]
    assert "systemd-socket-proxyd --connections-max=16384 127.0.0.1:3001\n" in texts[f"{UNIT}.service"]


def test_a_way_that_is_open_is_left_alone(place):
    places, path, systemctl = place
    assert _live_socket.open_way(units(path), path, places, systemctl, is_live=False) == [f"systemd listens on {path}"]
    assert ("start", f"{UNIT}.socket", f"{UNIT}.service") in systemctl.calls
    systemctl.calls.clear()
    assert _live_socket.open_way(units(path), path, places, systemctl, is_live=False) == []
    assert {call[0] for call in systemctl.calls} <= {"is-active"}


def test_another_port_restarts_the_way_of_an_idle_slot_and_never_that_of_the_live_one(place):
    places, path, systemctl = place
    _live_socket.open_way(units(path), path, places, systemctl, is_live=False)
    systemctl.calls.clear()
    _live_socket.open_way(units(path, 3002), path, places, systemctl, is_live=True)
    assert {call[0] for call in systemctl.calls} <= {"is-active"}
    _live_socket.open_way(units(path, 3002), path, places, systemctl, is_live=False)
    assert ("stop", f"{UNIT}.socket", f"{UNIT}.service") in systemctl.calls
    assert "127.0.0.1:3002" in (places.units / f"{UNIT}.service").read_text()


def test_the_link_is_exchanged_in_one_step_also_after_one_that_was_cut_off(tmp_path):
    link = tmp_path / "live.sock"
    link.with_name(".live.sock.new").symlink_to("nowhere.sock")
    _live_socket.lead(link, "blue")
    _live_socket.lead(link, "green")
    assert _live_socket.target(link) == "green"
    assert [entry.name for entry in tmp_path.iterdir()] == ["live.sock"]


def test_all_of_a_service_goes_and_nothing_of_one_whose_name_begins_alike(place):
    places, path, systemctl = place
    link = path.with_name("live.sock")
    _live_socket.open_way(units(path), path, places, systemctl, is_live=False)
    _live_socket.lead(link, "green")
    _live_socket.survive("api", "green", link, places)
    other = places.units / "runbook-ops-live-api-v2-green.socket"
    other.write_text("[Socket]\nListenStream=/run/runbook-ops/deploy/api-v2/green.sock\n")
    assert _live_socket.close_way("api", link, places, systemctl) == [f"{UNIT} is removed"]
    assert [entry.name for entry in places.units.iterdir()] == [other.name]
    assert list(places.tmpfiles.iterdir()) == []
    assert not link.is_symlink()
    assert not path.exists()


@pytest.mark.parametrize("killed_at", range(4))
def test_a_removal_that_was_killed_is_ended_by_the_next(place, monkeypatch, killed_at):
    places, path, systemctl = place
    link = path.with_name("live.sock")
    _live_socket.open_way(units(path), path, places, systemctl, is_live=False)
    _live_socket.lead(link, "green")
    _live_socket.survive("api", "green", link, places)
    left, unlink = [killed_at], Path.unlink

    def killed(file, **options):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        unlink(file, **options)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "unlink", killed)
        _live_socket.close_way("api", link, places, systemctl)
    systemctl.calls.clear()
    _live_socket.close_way("api", link, places, systemctl)
    assert list(places.units.iterdir()) == []
    assert list(places.tmpfiles.iterdir()) == []
    assert ("daemon-reload",) in systemctl.calls


def test_connections_to_any_slot_are_counted(place):
    _places, path, systemctl = place
    systemctl("start")
    link = path.with_name("live.sock")
    link.symlink_to(path.name)
    assert _live_socket.all_connections(link) == 0
    with socket.socket(socket.AF_UNIX) as end:
        end.connect(str(link))
        assert _live_socket.all_connections(link) == 1


def test_a_boot_makes_the_link_again(tmp_path):
    places = Places(tmp_path, tmp_path)
    _live_socket.survive("api", "green", Path("/run/runbook-ops/deploy/api/live.sock"), places)
    text = (tmp_path / "runbook-ops-live-api.conf").read_text()
    assert "\nd /run/runbook-ops/deploy/api 0755 root root -\n" in text
    assert text.endswith("\nL /run/runbook-ops/deploy/api/live.sock - - - - green.sock\n")


TABLE = """Num       RefCount Protocol Flags    Type St Inode Path
0: 00000002 00000000 00010000 0001 01 100 /run/x/green.sock
0: 00000003 00000000 00000000 0001 03 101 /run/x/green.sock
0: 00000003 00000000 00000000 0001 02     0 /run/x/green.sock
0: 00000003 00000000 00000000 0001 03 102 /run/x/blue.sock
0: 00000003 00000000 00000000 0001 03 103
"""


def test_connections_to_a_socket_are_counted_those_not_yet_taken_among_them():
    assert _live_socket.connections(TABLE, Path("/run/x/green.sock")) == 2
    assert _live_socket.connections(TABLE, Path("/run/x/other.sock")) == 0


def test_the_kernel_shows_a_connection_to_a_socket_as_it_is_counted(place):
    _places, path, systemctl = place
    systemctl("start")
    table = Path("/proc/net/unix")
    assert _live_socket.connections(table.read_text(), path) == 0
    with socket.socket(socket.AF_UNIX) as end:
        end.connect(str(path))
        assert _live_socket.connections(table.read_text(), path) == 1
        taken = systemctl.server.accept()[0]
        assert _live_socket.connections(table.read_text(), path) == 1
        taken.close()
    assert _live_socket.connections(table.read_text(), path) == 0


def test_a_connection_to_a_port_is_known_at_the_end_of_who_connected():
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    with socket.create_connection(("127.0.0.1", port)):
        inodes = _live_socket.tcp_inodes([Path("/proc/net/tcp").read_text()], port)
        assert len(inodes) == 1
        assert _live_socket.held_by([os.getpid()], inodes) == 1
    server.close()
