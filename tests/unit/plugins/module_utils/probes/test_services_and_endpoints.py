# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units, PM2, ports, endpoints, certificates and databases are judged by what they do, not by what they say."""

from __future__ import annotations

import dataclasses
import socket

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _docker
from ansible_collections.runbook.ops.plugins.module_utils._pm2 import App
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError, read_options
from ansible_collections.runbook.ops.plugins.module_utils._probe_program import Done
from ansible_collections.runbook.ops.plugins.module_utils.probes import (
    certificate,
    http,
    pm2,
    port,
    postgresql,
    systemd_failed,
    systemd_unit,
)

SHOW = """Id=nginx.service
Names=nginx.service web.service
LoadState=loaded
ActiveState={active}
SubState={sub}
NRestarts={restarts}
ActiveEnterTimestampMonotonic=100000000

Id=postgresql@15-main.service
Names=postgresql@15-main.service
LoadState=loaded
ActiveState=active
SubState=running
NRestarts=0
ActiveEnterTimestampMonotonic=100000000
"""
NAMES = """Id=redis-server.service
Names=redis-server.service redis.service
"""


def options(probe, **raw):
    return read_options({"probe": "x", "section": "S", **raw}, probe.OPTIONS, where="probes[0]")


def units(asked, now=5000.0, active="active", sub="running", restarts=0, **more):
    text = SHOW.format(active=active, sub=sub, restarts=restarts)
    measured = {"units": systemd_unit.parse_show(text), "now": now}
    return systemd_unit.judge(measured, options(systemd_unit, units=asked, **more))


@pytest.mark.parametrize(
    ("state", "status"),
    [
        pytest.param({}, "ok", id="running"),
        pytest.param({"sub": "exited"}, "warning", id="a wrapper proves nothing"),
        pytest.param({"sub": "exited", "exited": True}, "ok", id="a unit that is meant to end"),
        pytest.param({"active": "failed", "sub": "failed"}, "critical", id="failed"),
        pytest.param({"active": "activating", "sub": "auto-restart"}, "critical", id="in a restart loop"),
        pytest.param({"active": "inactive", "sub": "dead"}, "critical", id="stopped"),
        pytest.param({"restarts": 1, "now": 110.0}, "warning", id="restarted a moment ago"),
        pytest.param({"restarts": 1}, "ok", id="restarted long ago"),
        pytest.param({"restarts": 7}, "warning", id="restarted often"),
    ],
)
def test_a_unit_is_judged_by_both_of_its_states(state, status):
    assert units(["nginx"], **state)[0]["status"] == status


def test_a_glob_must_meet_a_unit_and_another_name_is_as_good():
    met, missing, alias = units(["postgresql@*.service", "redis@*", "web.service"])
    assert (met["id"], met["status"]) == ("systemd:postgresql@15-main.service", "ok")
    assert (missing["status"], missing["detail"]) == ("critical", "no such unit is loaded")
    assert (alias["id"], alias["name"]) == ("systemd:web.service", "web"), "by the name that it was asked for by"


def test_an_optional_unit_may_be_absent_but_not_down():
    assert units([], optional=["docker"]) == []
    assert units([], optional=["nginx"], active="failed", sub="failed")[0]["status"] == "critical"


def test_failed_units_are_named():
    (check,) = systemd_failed.judge(failed(*(f"u{n}.service" for n in range(7))), options(systemd_failed))
    assert check["status"] == "warning"
    assert check["detail"].endswith("u4.service and 2 more")


def failed(*units):
    return {"failed": {unit: [unit] for unit in units}}


def test_a_failed_unit_that_has_a_check_of_its_own_is_not_told_twice_whatever_it_goes_by():
    measured = failed("redis-server.service", "other.service")
    measured["failed"]["redis-server.service"].append("redis.service")
    (check,) = systemd_failed.judge(measured, options(systemd_failed, **{"except": ["redis.service"]}))
    assert check["detail"] == "other.service"


def test_the_other_names_of_failed_units_are_asked_for_where_there_are_any(monkeypatch):
    said = iter([Done(0, "redis-server.service loaded failed failed Redis\n", ""), Done(0, NAMES, "")])
    monkeypatch.setattr(systemd_failed, "run_program", lambda _argv, timeout_seconds: next(said))  # noqa: ARG005
    found = systemd_failed.measure(options(systemd_failed, **{"except": ["redis.service"]}))
    assert found == {"failed": {"redis-server.service": ["redis-server.service", "redis.service"]}}


ONLINE = App("api", status="online", instances=1, ids=(0,), started_at_ms=0, memory_bytes=100, error_log="/e.log")


def pm2_checks(app=ONLINE, now=100_000.0, created_at_ms=0, delays=(), **raw):
    measured = {"daemon": True, "home": "/h", "app": app, "now": now, "created_at_ms": created_at_ms}
    measured["event_loop_ms"] = list(delays)
    return {check["id"]: check for check in pm2.judge(measured, options(pm2, app="api", **raw))}


@pytest.mark.parametrize(
    ("app", "more", "status"),
    [
        pytest.param({}, {}, "ok", id="steady"),
        pytest.param({"status": "errored"}, {}, "critical", id="errored"),
        pytest.param({"status": "absent", "instances": 0}, {}, "critical", id="unknown to PM2"),
        pytest.param({"restarts": 3}, {"now": 20.0}, "warning", id="online, but only just restarted"),
        pytest.param({"restarts": 9, "unstable_restarts": 9}, {"now": 1.0}, "critical", id="online in a crash loop"),
        pytest.param({"restarts": 0}, {"now": 1.0}, "ok", id="started by hand a moment ago"),
        pytest.param({}, {"instances": 2}, "warning", id="too few instances"),
    ],
)
def test_online_is_not_enough(app, more, status):
    assert pm2_checks(dataclasses.replace(ONLINE, **app), **more)["pm2:api"]["status"] == status


def test_cpu_time_and_the_event_loop_are_judged_where_they_have_limits():
    busy = dataclasses.replace(ONLINE, cpu_percent=95.0)
    assert {"pm2:api:cpu", "pm2:api:event_loop"} & set(pm2_checks(busy, delays=[50.0])) == set()
    checks = pm2_checks(busy, delays=[3.0, 250.0], cpu_percent={"warning": 80}, event_loop_seconds={"warning": 0.1})
    assert (checks["pm2:api:cpu"]["status"], checks["pm2:api:cpu"]["value"]) == ("warning", 95.0)
    assert (checks["pm2:api:event_loop"]["status"], checks["pm2:api:event_loop"]["value"]) == ("warning", 0.25)
    assert "pm2:api:event_loop" not in pm2_checks(event_loop_seconds={"warning": 0.1})


@pytest.mark.parametrize(
    ("told", "delay"), [({"Event Loop Latency p95": {"value": "1.25", "unit": "ms"}}, 1.25), ({}, None), (None, None)]
)
def test_the_delay_of_the_event_loop_is_what_pm2_measured(told, delay):
    assert pm2.event_loop_ms({"pm2_env": {"axm_monitor": told}}) == delay


def test_no_daemon_is_critical():
    (check,) = pm2.judge({"daemon": False, "home": "/home/x/.pm2"}, options(pm2, app="api"))
    assert (check["id"], check["status"]) == ("pm2:api", "critical")
    assert "resurrect" in check["remedy"]


def test_a_missing_socket_is_no_daemon(tmp_path):
    assert pm2.measure(options(pm2, app="api", pm2_home=str(tmp_path)))["daemon"] is False


@pytest.mark.parametrize(
    ("restarts", "unstable", "uptime", "age", "expected"),
    [
        pytest.param(0, 0, 10, 10, (0, 0), id="never"),
        pytest.param(50, 0, 3600, 90_000, (0, 0), id="an hour of uptime rules any out"),
        pytest.param(7, 0, 60, 1800, (7, 7), id="younger than an hour: exact"),
        pytest.param(50, 0, 60, 90_000, (1, 50), id="one at least"),
        pytest.param(50, 12, 60, 90_000, (12, 50), id="unstable ones follow each other"),
        pytest.param(3, 9, None, None, (3, 3), id="never more than all"),
    ],
)
def test_restarts_in_the_last_hour_are_bounded_by_what_pm2_tells(restarts, unstable, uptime, age, expected):
    assert pm2.restarts_last_hour(restarts, unstable, uptime, age) == expected


def test_memory_is_compared_only_where_it_has_a_limit():
    assert "pm2:api:memory" not in pm2_checks()
    assert pm2_checks(memory_bytes={"warning": 100})["pm2:api:memory"]["status"] == "warning"


def test_a_port_that_nobody_listens_at_is_critical():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        asked = options(port, port=listener.getsockname()[1])
        assert port.judge(port.measure(asked), asked)[0]["status"] == "ok"
    (check,) = port.judge(port.measure(asked), asked)
    assert (check["status"], "Connection refused" in check["detail"]) == ("critical", True)


@pytest.mark.parametrize(
    ("body", "wanted", "wrong"),
    [
        (b'{"status":"ok","db":{"up":true,"ms":3}}', {"status": "ok"}, None),
        (b'{"status":"ok","db":{"up":true,"ms":3}}', {"db": {"up": True}}, None),
        (b'{"status":"degraded"}', {"status": "ok"}, "status is 'degraded', not 'ok'"),
        (b'{"db":{"up":1}}', {"db": {"up": True}}, "db.up is '1', not True"),
        (b"{}", {"status": "ok"}, "status is missing"),
        (b"[]", {"status": "ok"}, "the answer is not a mapping"),
        (b"<html>", {"status": "ok"}, "the answer is not JSON"),
    ],
)
def test_json_must_hold_what_is_wanted(body, wanted, wrong):
    assert http.wrong_body(body, wanted, None) == wrong


def answered(**values):
    return {"error": None, "status": 200, "seconds": 0.1, "wrong": None, "location": None, **values}


@pytest.mark.parametrize(
    ("measured", "status", "words"),
    [
        (answered(), "ok", "HTTP 200 in 100 ms"),
        (answered(status=500), "critical", "HTTP 500, right is 200"),
        (answered(status=301, location="https://x/"), "critical", "HTTP 301 to https://x/"),
        (answered(wrong="status is missing"), "critical", "but status is missing"),
        (answered(seconds=6.0), "warning", "HTTP 200"),
        (answered(error="no answer within 5 s", status=None, seconds=None), "critical", "no answer within 5 s"),
    ],
)
def test_an_endpoint_is_judged_by_status_body_and_time(measured, status, words):
    (check,) = http.judge(measured, options(http, url="https://x/"))
    assert check["status"] == status
    assert words in check["detail"]


def served(**values):
    known = {"error": None, "distrust": None, "name": "a.com", "names": ["a.com", "*.a.com"], "fingerprint": "aa"}
    return {**known, "expires_at": "2026-12-31T00:00:00Z", "days_left": 60.0, "disk": "aa", **values}


@pytest.mark.parametrize(
    ("measured", "more", "status", "words"),
    [
        (served(), {}, "ok", "valid until 2026-12-31"),
        (served(days_left=29.9), {}, "warning", "valid until"),
        (served(days_left=6.9), {}, "critical", "valid until"),
        (served(days_left=-1.0), {}, "critical", "expired"),
        (served(), {"domains": ["a.com", "b.com"]}, "critical", "not valid for b.com"),
        (served(), {"domains": ["www.a.com"]}, "ok", "valid until"),
        (served(distrust="unable to get local issuer certificate"), {}, "critical", "not trusted: unable"),
        (served(disk="bb"), {"path": "/live/fullchain.pem"}, "warning", "/live/fullchain.pem holds another one"),
        (served(disk=None), {}, "ok", "valid until"),
        ({"error": "Connection refused"}, {}, "critical", "Connection refused"),
    ],
)
def test_a_certificate_is_judged_as_it_is_served(measured, more, status, words):
    (check,) = certificate.judge(measured, options(certificate, served_at="a.com:443", **more))
    assert check["status"] == status
    assert words in check["detail"]


def test_a_star_stands_for_one_label():
    assert certificate.covers("X.a.com", ["*.A.com"])
    assert not certificate.covers("x.y.a.com", ["*.a.com"])
    assert not certificate.covers("a.com", ["*.a.com"])


def database(**values):
    known = {"error": None, "connections": 10, "most": 100, "transaction_seconds": 0.0, "idle_seconds": 0.0}
    alone = {"standby": False, "standbys": 0, "lag_seconds": None, "slot_bytes": None}
    return {**known, **alone, "version": "15.5 (Debian)", **values}


@pytest.mark.parametrize(
    ("measured", "statuses"),
    [
        (database(), ["ok", "ok"]),
        (database(connections=85), ["warning", "ok"]),
        (database(connections=97), ["critical", "ok"]),
        (database(transaction_seconds=4000.0), ["ok", "warning"]),
        (database(transaction_seconds=400.0, idle_seconds=400.0), ["ok", "warning"]),
        (database(transaction_seconds=5000.0, idle_seconds=5000.0), ["ok", "critical"]),
        ({"error": "Connection refused"}, ["critical"]),
        (database(standbys=1, lag_seconds=None), ["ok", "ok", "ok"]),
        (database(standbys=1, lag_seconds=90.0), ["ok", "ok", "warning"]),
        (database(standby=True, lag_seconds=900.0), ["ok", "ok", "critical"]),
        (database(slot_bytes=2 << 30), ["ok", "ok", "warning"]),
    ],
)
def test_a_database_is_judged_by_its_sessions(measured, statuses):
    checks = postgresql.judge(measured, options(postgresql, database="shop"))
    assert [check["status"] for check in checks] == statuses


@pytest.mark.parametrize(
    "said",
    [
        "sorry, too many clients already",
        "remaining connection slots are reserved for non-replication superuser connections",
        "remaining connection slots are reserved for roles with the SUPERUSER attribute",
        'too many connections for role "app"',
    ],
)
def test_a_database_without_a_connection_left_is_full_and_not_down(said):
    error = f'connection to server at "127.0.0.1", port 5432 failed: FATAL:  {said}'
    (check,) = postgresql.judge({"error": error}, options(postgresql, database="shop"))
    assert (check["id"], check["name"], check["status"]) == ("postgresql:shop", "shop connections", "critical")
    assert (check["value"], check["unit"], check["limit"]) == (100.0, "%", 90)
    assert check["detail"] == f"none is left, not even for this look: {said}"


def psql(monkeypatch, done):
    seen = {}

    def fake(argv, **how):
        seen.update(argv=argv, **how)
        return done

    monkeypatch.setattr(postgresql, "run_program", fake)
    return seen


def test_psql_gets_its_secret_in_the_environment_and_its_query_on_stdin(monkeypatch):
    seen = psql(monkeypatch, Done(0, '{"connections": 1}', ""))
    asked = {**options(postgresql, database="shop", host="db", user="app"), "password": "hunter2"}
    assert postgresql.measure(asked) == {"error": None, "connections": 1}
    assert "hunter2" not in " ".join(seen["argv"])
    assert seen["environment"]["PGPASSWORD"] == "hunter2"
    assert (seen["user"], seen["environment"]["PGHOST"]) == (None, "db")
    assert "pg_stat_activity" in seen["stdin"]


def test_over_the_local_socket_the_superusers_account_asks(monkeypatch):
    seen = psql(monkeypatch, Done(0, "{}", ""))
    postgresql.measure(options(postgresql, database="shop"))
    assert (seen["user"], seen["environment"]["PGUSER"]) == ("postgres", "postgres")


def test_in_a_container_psql_runs_there_and_its_secret_is_not_among_the_arguments(monkeypatch):
    seen = psql(monkeypatch, Done(0, "{}", ""))
    monkeypatch.setattr(_docker, "container_name", lambda **_where: "shop-db-1")
    inside = options(postgresql, database="shop", project="shop", service="db", host="db", port=5433)
    postgresql.measure({**inside, "password": "hunter2"})
    assert seen["argv"][:3] == ["docker", "exec", "--interactive"]
    assert seen["argv"][seen["argv"].index("psql") - 1] == "shop-db-1"
    assert "--env=PGPASSWORD" in seen["argv"]
    assert "hunter2" not in " ".join(seen["argv"])
    assert {"PGHOST", "PGPORT"} & set(seen["environment"]) == set()
    assert seen["user"] is None


def test_a_server_that_is_down_is_measured_and_one_that_refuses_us_is_not(monkeypatch):
    psql(
        monkeypatch,
        Done(2, "", 'psql: error: connection to server on socket "/x" failed: Connection refused\n\tIs it?\n'),
    )
    assert "Connection refused" in postgresql.measure(options(postgresql, database="shop"))["error"]
    psql(monkeypatch, Done(2, "", 'psql: error: FATAL:  Peer authentication failed for user "postgres"\n'))
    with pytest.raises(ProbeError, match="Peer authentication failed"):
        postgresql.measure(options(postgresql, database="shop"))
    psql(monkeypatch, Done(126, "OCI runtime exec failed: write /tmp/x: no space left on device\n", ""))
    with pytest.raises(ProbeError, match="no space left on device"):
        postgresql.measure(options(postgresql, database="shop"))
