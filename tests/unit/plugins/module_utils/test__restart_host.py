# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tools are asked by argument list, and what cannot be seen is a problem, not an answer."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _restart_host
from ansible_collections.runbook.ops.plugins.module_utils._proc import TICK_SECONDS, Process
from ansible_collections.runbook.ops.plugins.module_utils._restart import Findings, decide

BUSY = ["pg_dump", "pg_restore"]
UNITS = """\
MainPID=0
Id=postgresql.service
ActiveState=active
ControlGroup=
NeedDaemonReload=no

MainPID=48
Id=postgresql@15-main.service
ActiveState=active
ControlGroup=/system.slice/postgresql@15-main.service
NeedDaemonReload=yes
"""
SERVICE = {
    "name": "postgresql",
    "manager": "systemd",
    "unit": "postgresql.service",
    "watch_units": ["postgresql@*.service"],
    "health": {"database": "sync"},
}
ANSWER = json.dumps({"pending": ["wal_level"], "sessions": []})
GROUP = "/system.slice/postgresql@15-main.service"
PROCESSES = {
    48: Process(48, 1, "postgres", 100.0, 2000, (GROUP,), "postgres"),
    52: Process(52, 48, "postgres", 101.0, 3000, (GROUP,), "postgres: walwriter"),
    99: Process(99, 1, "pg_dump", 400.0, 10, ("/user.slice",), "pg_dump sync"),
}


class FakeModule:
    """Answers systemctl and psql, and remembers what was asked."""

    def __init__(self, answer=(0, ANSWER, "")):
        self.answer, self.calls = answer, []

    def get_bin_path(self, program, **_options):
        return f"/usr/bin/{program}"

    def run_command(self, arguments, *, data=None, **_options):
        self.calls.append((arguments, data))
        return (0, UNITS, "") if "/usr/bin/systemctl" in arguments else self.answer


def look(module=None, **params):
    databases = [{"name": "sync", "port": 5433, "superuser": "postgres"}]
    defaults = {"baseline": {}, "growth_percent": None, "every_service": False, "certificates": [], "updates": []}
    base = {"services": [SERVICE], "databases": databases, "busy_programs": BUSY, "pm2_home": None}
    return _restart_host.Look(module or FakeModule(), {**defaults, **base, **params}, PROCESSES)


@pytest.fixture(autouse=True)
def maps(monkeypatch):
    monkeypatch.setattr(_restart_host._proc, "maps", lambda _pid: "")


def test_the_units_that_are_watched_hold_the_processes():
    found = _restart_host.find(SERVICE, look())
    assert (found.pids, found.memory_bytes) == ((48, 52), 5000)
    assert found.unit_changed
    assert found.pending_settings == ("wal_level",)
    assert found.loaded_at == 100.0 + TICK_SECONDS


def test_the_tools_are_asked_by_argument_list():
    module = FakeModule()
    _restart_host.find(SERVICE, look(module))
    (units, _none), (query, sql) = module.calls
    assert units[1:] == [
        "show",
        "-p",
        "Id,ActiveState,MainPID,ControlGroup,NeedDaemonReload",
        "--",
        "postgresql.service",
        "postgresql@*.service",
    ]
    assert query[:5] == ["runuser", "-u", "postgres", "--", "/usr/bin/psql"]
    assert query[-4:] == ["-p", "5433", "-d", "sync"]
    assert "pending_restart" in sql


def test_a_database_that_cannot_be_asked_is_a_problem_and_the_rest_is_still_seen():
    found = _restart_host.find(SERVICE, look(FakeModule((2, "", "psql: error: no such file"))))
    assert "psql" in (found.problem or "")
    assert found.pids == (48, 52)


def test_processes_that_may_not_be_looked_into_are_counted(monkeypatch):
    monkeypatch.setattr(_restart_host._proc, "maps", lambda _pid: None)
    assert _restart_host.find(SERVICE, look()).unreadable == 2


@pytest.mark.parametrize("manager", ["compose", "vercel"])
def test_other_managers_are_not_looked_at(manager):
    module = FakeModule()
    assert _restart_host.find({"name": "x", "manager": manager}, look(module)) == Findings(running=False)
    assert module.calls == []


def test_certificates_count_for_those_that_reload():
    params = {"certificate_directory": "/le", "certificates": ["a.example"]}
    reloads = {"on_change": "reload", "config": ["/etc/nginx"]}
    assert _restart_host.config_paths(reloads, params) == ["/etc/nginx", "/le/a.example/fullchain.pem"]
    assert _restart_host.config_paths({**reloads, "on_change": "restart"}, params) == ["/etc/nginx"]
    assert _restart_host.config_paths({"on_change": "reload"}, params) == []


def test_a_change_just_before_a_start_is_none_after_it_though_the_kernel_rounds_the_start_down():
    loaded_at = _restart_host.loaded_at({}, [48], {48: replace(PROCESSES[48], started_at=100.0)})
    actions = [
        decide(SERVICE, Findings(True, loaded_at=loaded_at, config_changed_at=100 + late, config_changed="c"))["action"]
        for late in (0.9 * TICK_SECONDS, 1.1 * TICK_SECONDS)
    ]
    assert actions == ["none", "restart"]


def test_a_proxy_has_read_its_configuration_when_its_workers_started():
    proxy = {"on_change": "reload"}
    assert _restart_host.loaded_at(proxy, [48], PROCESSES) == 101.0 + TICK_SECONDS
    assert _restart_host.loaded_at(proxy, [7], PROCESSES) is None


@pytest.mark.parametrize(
    ("sessions", "programs", "expected"),
    [
        pytest.param([], BUSY, ["pg_dump (pid 99) runs for 100 s"], id="a process here"),
        pytest.param(
            [{"name": "pg_restore", "pid": 5, "seconds": 9}],
            BUSY,
            ["pg_dump (pid 99) runs for 100 s", "pg_restore (pid 5) runs for 9 s"],
            id="a session from elsewhere",
        ),
        pytest.param(
            [{"name": "pg_dump", "pid": 5, "seconds": 9}],
            BUSY,
            ["pg_dump (pid 99) runs for 100 s"],
            id="its own session is not counted twice",
        ),
        pytest.param([{"name": "psql", "pid": 5, "seconds": 9}], ["pg_restore"], [], id="nothing of that"),
    ],
)
def test_what_runs_a_backup_is_found(sessions, programs, expected):
    one = look(busy_programs=programs)
    one.sessions = sessions
    assert [found["detail"] for found in _restart_host.busy(one, 500.0)] == expected


class FakeApt:
    """Two packages are installed; one of them calls its directory by the old name."""

    def __init__(self):
        self.calls = []

    def versions(self):
        return {"libssl3": {"3.0.1"}, "nginx": {"2"}}

    def query(self, *arguments):
        self.calls.append(arguments)
        return "/.\n/old\n/old/libssl.so.3\ndiverted by dash to: /bin/sh.distrib\n"


def test_the_files_of_updates_are_those_that_the_kernel_names(tmp_path, monkeypatch):
    (tmp_path / "usr").mkdir()
    (tmp_path / "usr/libssl.so.3").touch()
    (tmp_path / "old").symlink_to("usr")
    apt = FakeApt()
    monkeypatch.setattr(apt, "query", lambda *_given: FakeApt().query().replace("/old", f"{tmp_path}/old"))
    due = _restart_host.due_files(apt, [{"name": "libssl3", "available": "3.0.2"}])
    assert str(tmp_path / "usr/libssl.so.3") in due
    assert not any("diverted" in path for path in due)


def test_a_package_that_has_been_updated_by_now_is_not_asked_for():
    apt = FakeApt()
    _restart_host.due_files(apt, [{"name": "libssl3", "available": "3.0.2"}, {"name": "nginx", "available": "2"}])
    assert apt.calls == [("--listfiles", "libssl3")]
    assert _restart_host.due_files(apt, [{"name": "nginx", "available": "2"}]) == set()


def test_who_runs_what_an_update_replaces_is_told(monkeypatch):
    text = "7f-7e r-xp 0 00:68 1 /usr/lib/libssl.so.3\n7f-7e r--p 0 00:68 1 /usr/lib/libz.so.1\n"
    monkeypatch.setattr(_restart_host._proc, "maps", lambda _pid: text)
    seen = look()
    seen.due = {"/usr/lib/libssl.so.3", "/usr/lib/libz.so.1", "/usr/bin/other"}
    assert _restart_host.find(SERVICE, seen).outdated == ("/usr/lib/libssl.so.3",)


def test_what_the_daemon_of_pm2_runs_is_seen_though_it_is_no_service(monkeypatch):
    line = "7f-7e r-xp 0 00:68 1 /usr/lib/{}\n"
    monkeypatch.setattr(_restart_host._proc, "maps", lambda pid: line.format({7: "libssl.so.3", 8: "other.so"}[pid]))
    seen = look()
    seen.processes = {
        pid: Process(pid, 1, "PM2", 0.0, 0, (), f"PM2 v7.0.4: God Daemon (/home/{name}/.pm2)")
        for pid, name in ((7, "app"), (8, "other"))
    }
    assert seen._of_daemon("/home/app/.pm2") == {"/usr/lib/libssl.so.3"}
    assert seen._of_daemon("/home/nobody/.pm2") == set()
