# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service is restarted only for something that a restart takes away."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._restart import (
    Findings,
    check,
    decide,
    needed_by,
    parse_units,
    replaced_files,
    run_files,
    worker_start,
)

SSL = "/usr/lib/x86_64-linux-gnu/libssl.so.3"
# Of an nginx worker after openssl was upgraded beneath it (Debian 12), cut to one line of each kind.
MAPS = f"""\
55f0c1a2b000-55f0c1b3d000 r-xp 0002b000 08:01 1441823                    /usr/sbin/nginx
7fcdfe415000-7fcdfe434000 r--p 00000000 00:68 1492172                    {SSL} (deleted)
7fcdfe434000-7fcdfe491000 r-xp 0001f000 00:68 1492172                    {SSL} (deleted)
7fcdfe4ba000-7fcdfe4be000 rw-p 000a4000 00:68 1492172                    {SSL} (deleted)
7fcdff000000-7fcdff001000 rw-s 00000000 00:01 2048                       /dev/zero (deleted)
7fcdff100000-7fcdff101000 r-xp 00000000 00:01 2049                       /memfd:code (deleted)
7fcdff200000-7fcdff201000 r-xp 00000000 08:01 2050                       /tmp/ffi x (deleted)
7fcdff300000-7fcdff301000 r--p 00000000 08:01 2051                       /usr/lib/locale/locale-archive (deleted)
7fcdff400000-7fcdff401000 r-xp 00000000 08:01 2052                       /opt/app name/lib x.so (deleted)
7ffd0a3d1000-7ffd0a3f2000 rw-p 00000000 00:00 0                          [stack]
7ffd0a3f6000-7ffd0a3f8000 r-xp 00000000 00:00 0
"""
SERVICE = {"name": "web", "manager": "systemd", "on_change": "reload", "limits": {"memory_bytes": 1000}}
RESTARTING = {**SERVICE, "on_change": "restart"}


def test_a_replaced_library_is_found_and_what_programs_delete_themselves_is_not():
    assert replaced_files(run_files(MAPS)) == {SSL, "/opt/app name/lib x.so"}


def test_what_is_only_read_is_not_run():
    assert "/usr/sbin/nginx" in run_files(MAPS)
    assert "/dev/zero (deleted)" not in run_files(MAPS)


def test_a_library_that_an_update_will_replace_asks_for_a_restart():
    decision = decide({"name": "web", "manager": "systemd", "on_change": "reload"}, seen(outdated=(SSL,)))
    assert (decision["action"], decision["reasons"]) == ("restart", [f"runs {SSL}, which an update replaces"])


def test_units_are_read_from_what_systemctl_shows():
    shown = "Id=nginx.service\nMainPID=41\nControlGroup=/system.slice/a=b.service\n\nId=docker.service\nMainPID=0\n"
    assert parse_units(shown) == [
        {"Id": "nginx.service", "MainPID": "41", "ControlGroup": "/system.slice/a=b.service"},
        {"Id": "docker.service", "MainPID": "0"},
    ]
    assert parse_units("") == []


def seen(**found):
    return Findings(running=True, pids=(7,), **found)


@pytest.mark.parametrize(
    ("service", "found", "action", "words"),
    [
        pytest.param(SERVICE, seen(), "none", "", id="nothing"),
        pytest.param(SERVICE, seen(replaced=(SSL,)), "restart", f"runs {SSL}, replaced", id="a replaced library"),
        pytest.param(SERVICE, seen(pending_settings=("wal_level",)), "restart", "wal_level", id="a setting waits"),
        pytest.param(SERVICE, seen(unit_changed=True), "restart", "unit file", id="the unit file"),
        pytest.param(SERVICE, seen(memory_bytes=999), "none", "", id="memory below its limit"),
        pytest.param(SERVICE, seen(memory_bytes=1000), "restart", "1 kB of memory, allowed are 1 kB", id="at it"),
        pytest.param(
            SERVICE,
            seen(loaded_at=100.0, config_changed_at=101.0, config_changed="/etc/web.conf"),
            "reload",
            "/etc/web.conf was changed at 1970-01-01T00:01:41Z",
            id="new configuration: a reload where that is enough",
        ),
        pytest.param(
            RESTARTING,
            seen(loaded_at=100.0, config_changed_at=101.0, config_changed="/etc/web.conf"),
            "restart",
            "/etc/web.conf",
            id="new configuration: a restart where a reload is not enough",
        ),
        pytest.param(SERVICE, seen(loaded_at=101.0, config_changed_at=101.0), "none", "", id="loaded when written"),
        pytest.param(SERVICE, seen(config_changed_at=101.0), "none", "", id="nobody knows when it was loaded"),
        pytest.param(
            SERVICE,
            seen(loaded_at=1.0, config_changed_at=2.0, config_changed="/c", unit_changed=True),
            "restart",
            "unit file was changed; /c",
            id="a restart does what a reload does, and keeps both reasons",
        ),
        pytest.param(SERVICE, Findings(running=False, unit_changed=True), "none", "", id="it does not run"),
    ],
)
def test_the_reason_decides_between_restart_reload_and_nothing(service, found, action, words):
    decision = decide(service, found)
    assert decision["action"] == action
    assert words in "; ".join(decision["reasons"])
    assert (decision["reasons"] == []) == (action == "none")


@pytest.mark.parametrize(
    ("baseline", "growth", "action"),
    [
        pytest.param(400, 100, "restart", id="grew by more"),
        pytest.param(450, 100, "none", id="grew by exactly as much"),
        pytest.param(None, 100, "none", id="not in the baseline"),
        pytest.param(400, None, "none", id="growth is not judged"),
        pytest.param(0, 100, "none", id="an empty baseline"),
    ],
)
def test_memory_growth_counts_against_a_baseline(baseline, growth, action):
    found = decide({**SERVICE, "limits": {}}, seen(memory_bytes=900), baseline_bytes=baseline, growth_percent=growth)
    assert found["action"] == action


@pytest.mark.parametrize(
    ("service", "found", "action", "reasons"),
    [
        pytest.param(SERVICE, seen(), "reload", ["asked for"], id="a reload where that is enough"),
        pytest.param(RESTARTING, seen(), "restart", ["asked for"], id="a restart"),
        pytest.param(SERVICE, seen(unit_changed=True), "restart", ["its unit file was changed"], id="a real reason"),
        pytest.param(SERVICE, Findings(running=False), "none", [], id="what does not run is left alone"),
    ],
)
def test_being_asked_for_is_a_reason_where_there_is_no_other(service, found, action, reasons):
    decision = decide(service, found, asked_for=True)
    assert (decision["action"], decision["reasons"]) == (action, reasons)


def test_a_long_list_is_cut():
    reasons = decide(SERVICE, seen(pending_settings=("e", "d", "c", "b", "a")))["reasons"]
    assert reasons == ["settings wait for a restart: a, b, c and 2 more"]


@pytest.mark.parametrize(
    ("found", "status", "words"),
    [
        pytest.param(seen(), "ok", "nothing asks", id="nothing"),
        pytest.param(seen(unit_changed=True), "warning", "unit file", id="a reason"),
        pytest.param(seen(unreadable=1), "unknown", "1 of its 1 processes", id="could not look"),
        pytest.param(seen(problem="psql failed"), "unknown", "psql failed", id="could not ask"),
        pytest.param(seen(unreadable=1, unit_changed=True), "warning", "unit file", id="enough was seen"),
    ],
)
def test_not_knowing_is_not_ok(found, status, words):
    result = check(decide(SERVICE, found), found)
    assert (result["status"], result["id"]) == (status, "restart:web")
    assert words in result["detail"]
    assert (result["remedy"] is None) == (status == "ok")


@pytest.mark.parametrize(
    ("children", "start"),
    [
        pytest.param([], 10.0, id="no workers: its own start"),
        pytest.param([("nginx: worker process", 50.0), ("nginx: worker process", 51.0)], 50.0, id="the oldest worker"),
        pytest.param(
            [("nginx: worker process is shutting down", 20.0), ("nginx: worker process", 50.0)], 50.0, id="retired"
        ),
        pytest.param([("nginx: worker process is shutting down", 20.0)], 10.0, id="only retired ones"),
    ],
)
def test_configuration_is_as_old_as_the_workers_that_serve(children, start):
    assert worker_start(children, 10.0) == start


def test_who_needs_a_service_is_who_says_so_and_runs():
    services = [{"name": "db"}, {"name": "api", "after": ["db"]}, {"name": "web", "after": ["api"]}]
    services.append({"name": "idle", "after": ["db"]})
    decisions = [{"name": name, "running": name != "idle"} for name in ("db", "api", "web", "idle")]
    assert needed_by("db", decisions, services) == ["api"]
