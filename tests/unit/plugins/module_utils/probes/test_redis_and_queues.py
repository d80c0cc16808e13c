# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Redis is judged by what it can run out of, a queue by whether its jobs are taken. Keys as Bull 4 and BullMQ 5 and 6 make them."""

from __future__ import annotations

import base64
import json

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _docker, _redis_server
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError, read_options
from ansible_collections.runbook.ops.plugins.module_utils._redis import (
    RedisDownError,
    RedisRefusedError,
    Refusal,
    parse_info,
)
from ansible_collections.runbook.ops.plugins.module_utils.probes import queue, queue_http, redis

INFO = """redis_version:7.0.15
uptime_in_seconds:7200
connected_clients:10
maxclients:100
used_memory:2097152
maxmemory:52428800
maxmemory_policy:noeviction
rdb_changes_since_last_save:3
rdb_last_bgsave_status:ok
aof_enabled:0
aof_last_bgrewrite_status:ok
aof_last_write_status:ok
rejected_connections:0
evicted_keys:0
keyspace_hits:900
keyspace_misses:300
role:master
connected_slaves:0
"""
NOW_MS = 1_795_261_100_000


def options(probe, **raw):
    return read_options({"probe": "x", "section": "S", **raw}, probe.OPTIONS, where="probes[0]")


def redis_checks(info=None, slow=(), more=None):
    told = {**parse_info(INFO), **(info or {})}
    measured = {"error": None, "seconds": 0.002, "info": told, "slow": list(slow), "now": 1000.0}
    if isinstance(slow, str):
        measured["slow"] = slow
    raw = {"name": "cache", **(more or {})}
    return {check["id"].removeprefix("redis:cache:"): check for check in redis.judge(measured, options(redis, **raw))}


def test_a_healthy_server_is_ok_in_all_respects():
    checks = redis_checks()
    assert list(checks) == [
        *("redis:cache", "memory", "evictions", "hits", "slowlog", "persistence", "clients"),
    ]
    assert {check["status"] for check in checks.values()} == {"ok"}
    assert checks["redis:cache"]["detail"] == "Redis 7.0.15, master, up 2h, answered in 2 ms"
    assert (checks["hits"]["value"], checks["clients"]["value"], checks["memory"]["value"]) == (75.0, 10.0, 4.0)


@pytest.mark.parametrize(
    ("thing", "info", "more", "status", "value"),
    [
        pytest.param("memory", {"used_memory": "47185920"}, {}, "warning", 90.0, id="memory at 90 %"),
        pytest.param("memory", {"used_memory": "52428800"}, {}, "critical", 100.0, id="memory at its maximum"),
        pytest.param(
            "memory",
            {"used_memory": "52428800", "maxmemory_policy": "allkeys-lru"},
            {},
            "ok",
            100.0,
            id="a full cache is a good cache",
        ),
        pytest.param("memory", {"maxmemory": "0"}, {}, "ok", 2097152, id="no maximum"),
        pytest.param(
            "memory",
            {"maxmemory_policy": "allkeys-lru"},
            {"policy": "noeviction"},
            "warning",
            4.0,
            id="jobs may be evicted",
        ),
        pytest.param(
            "evictions", {"evicted_keys": "50"}, {"evictions_per_hour": {"warning": 10}}, "warning", 25.0, id="evicts"
        ),
        pytest.param("hits", {}, {"hit_percent": {"warning": 80}}, "warning", 75.0, id="few hits"),
        pytest.param(
            "hits", {"keyspace_hits": "0"}, {"hit_percent": {"warning": 80}}, "ok", None, id="too few look-ups to judge"
        ),
        pytest.param("persistence", {"rdb_last_bgsave_status": "err"}, {}, "critical", None, id="no snapshot"),
        pytest.param("persistence", {"aof_last_write_status": "err"}, {}, "critical", None, id="no append"),
        pytest.param("clients", {"connected_clients": "85"}, {}, "warning", 85.0, id="many clients"),
        pytest.param("clients", {"maxclients": ""}, {}, "ok", 10, id="a server that does not tell its maximum"),
        pytest.param(
            "replication",
            {"role": "slave", "master_link_status": "down", "master_link_down_since_seconds": "90"},
            {},
            "critical",
            None,
            id="link down",
        ),
        pytest.param(
            "replication",
            {"role": "slave", "master_link_status": "up", "master_last_io_seconds_ago": "61"},
            {},
            "warning",
            61,
            id="silent master",
        ),
        pytest.param("replication", {}, {"replicas": 1}, "critical", 0, id="replica gone"),
        pytest.param("replication", {"connected_slaves": "1"}, {"replicas": 1}, "ok", 1, id="replica there"),
    ],
)
def test_each_thing_it_may_run_out_of_is_judged(thing, info, more, status, value):
    check = redis_checks(info, more=more)[thing]
    assert (check["status"], check["value"]) == (status, value)
    assert (check["remedy"] is None) == (status == "ok")


def test_slow_commands_count_within_their_time_and_show_no_arguments():
    entry = [4, 990, 2_500_000, ["set", "session:1", "s3cr3t"], "10.0.0.1:5", ""]
    slow = [redis.slow_entry(entry), redis.slow_entry([3, 100, 9_000_000, ["keys", "*"], "", ""])]
    check = redis_checks(slow=slow, more={"slow_since_seconds": 60, "slow_commands": {"warning": 1}})["slowlog"]
    assert (check["status"], check["value"]) == ("warning", 1)
    assert check["detail"] == "1 within 1m, the slowest is SET with 2.5s"
    assert redis_checks(slow="NOPERM no permissions")["slowlog"]["status"] == "unknown"


def answers(monkeypatch, *rounds):
    """Let the server answer each round with the next of ``rounds``, and return what it was asked."""
    asked, left = [], list(rounds)

    def ask(_server, commands, *, timeout_seconds):
        assert timeout_seconds > 0
        asked.append(commands)
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(_redis_server, "ask", ask)
    return asked


def test_a_server_that_is_down_is_critical_and_one_that_refuses_us_unknown(monkeypatch):
    answers(monkeypatch, RedisDownError("Connection refused"), RedisRefusedError("WRONGPASS invalid"))
    (check,) = redis.judge(redis.measure(options(redis)), options(redis))
    assert (check["id"], check["status"]) == ("redis:127.0.0.1:6379", "critical")
    with pytest.raises(ProbeError, match=r"127\.0\.0\.1:6379 did not tell: WRONGPASS"):
        redis.measure(options(redis))


def test_loading_is_critical_and_no_right_to_info_unknown(monkeypatch):
    answers(
        monkeypatch,
        [Refusal("LOADING Redis is loading the dataset in memory")] * 4,
        ["PONG", Refusal("NOPERM this user has no permissions"), [], ["1", "0"]],
    )
    assert "loading" in redis.measure(options(redis))["error"]
    with pytest.raises(ProbeError, match="NOPERM"):
        redis.measure(options(redis))


def test_all_is_asked_in_one_round_trip(monkeypatch):
    asked = answers(monkeypatch, ["PONG", INFO, [[1, 2, 3, ["get", "k"]]], ["1000", "0"]])
    measured = redis.measure(options(redis))
    assert len(asked) == 1
    assert measured["slow"] == [{"at": 2, "seconds": 3e-06, "command": "GET"}]


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param({"project": "shop", "service": "redis"}, id="a service of Compose"),
        pytest.param({"container": "cache-1"}, id="a container"),
    ],
)
def test_a_server_in_a_container_is_asked_at_the_address_that_docker_tells(monkeypatch, raw):
    wanted = {"project": None, "service": None, "container": None, **raw}
    monkeypatch.setattr(_docker, "container_address", lambda **asked: {str(wanted): "172.20.0.3"}[str(asked)])
    assert _redis_server.find_server(options(redis, **raw, port=6380)).place == "172.20.0.3:6380"


def test_a_container_that_docker_does_not_tell_is_a_reason(monkeypatch):
    def fail(**_asked):
        raise _docker.DockerError("cache-1 does not run")

    monkeypatch.setattr(_docker, "container_address", fail)
    with pytest.raises(ProbeError, match="where cache-1 is: cache-1 does not run"):
        redis.measure(options(redis, container="cache-1"))


# Queues


def first(**other):
    """Return the first answers about a queue in which nothing waits and one worker is connected."""
    told = {
        **{"time": [str(NOW_MS // 1000), "0"], "exists": 3, "wait": 0, "paused_jobs": 0, "prioritized": 0, "active": 0},
        **{"delayed": 0, "paused": None, "meta_paused": 0, "due": [], "last_failed": []},
        **{"ends": [[], [], [], [], [], []], "held": []},
        "clients": f"id=1 addr=x name=bull:{base64.b64encode(b'mails').decode()} age=1\n",
        **other,
    }
    return [
        *(value for key, value in told.items() if key not in ("ends", "held", "clients")),
        *told["ends"],
        told["held"],
        told["clients"],
    ]


def job(age_seconds, delay=0, processed=None):
    return [str(NOW_MS - age_seconds * 1000), json.dumps({"attempts": 0, "delay": delay}), processed]


def second(*, jobs=(), locks=(), began=(), still=(), failed=0, kept=0, reason=None):
    return [failed, kept, reason, *jobs, *locks, *began, list(still)]


def queue_checks(monkeypatch, one=None, two=None, **raw):
    answers(monkeypatch, one or first(), two or second())
    asked = options(queue, queue="mails", **raw)
    found = queue.judge(queue.measure(asked), asked)
    return {check["id"].removeprefix("queue:mails:"): check for check in found}


def test_an_idle_queue_is_ok(monkeypatch):
    checks = queue_checks(monkeypatch)
    assert list(checks) == ["waiting", "active", "delayed", "failed", "oldest", "workers"]
    assert {check["status"] for check in checks.values()} == {"ok"}


def test_waiting_is_what_waits_in_all_three_places(monkeypatch):
    one = first(wait=2, paused_jobs=3, prioritized=4)
    check = queue_checks(monkeypatch, one, waiting={"warning": 9, "critical": 10})["waiting"]
    assert (check["value"], check["status"], check["limit"]) == (9, "warning", 9)


def test_the_mark_of_bullmq_4_is_no_job(monkeypatch):
    one = first(wait=1, ends=[["0:0"], ["0:0"], [], [], [], []])
    assert queue_checks(monkeypatch, one)["waiting"]["value"] == 0


def test_a_queue_without_a_key_is_not_called_empty(monkeypatch):
    (check,) = queue_checks(monkeypatch, first(exists=0)).values()
    assert (check["id"], check["status"]) == ("queue:mails", "warning")
    assert "bull:mails" in check["detail"]


@pytest.mark.parametrize(
    "told", [pytest.param({"paused": "1"}, id="BullMQ"), pytest.param({"meta_paused": 1}, id="Bull 4")]
)
def test_a_paused_queue_is_a_warning_unless_it_may_be(monkeypatch, told):
    assert queue_checks(monkeypatch, first(wait=1, **told))["waiting"]["status"] == "warning"
    checks = queue_checks(monkeypatch, first(wait=1, **told), paused=True)
    assert checks["waiting"]["status"] == "ok"
    assert "paused" in checks["waiting"]["detail"]


@pytest.mark.parametrize(
    ("one", "age"),
    [
        pytest.param(job(90), 90, id="added"),
        pytest.param(job(86400, delay=86_400_000 - 5000), 5, id="scheduled a day ago for now"),
        pytest.param(job(500, processed=str(NOW_MS - 7000)), 7, id="tried again"),
        pytest.param([None, None, None], 0, id="gone meanwhile"),
        pytest.param([str(NOW_MS - 3000), "no JSON", None], 3, id="options that cannot be read"),
    ],
)
def test_the_oldest_job_is_as_old_as_it_has_been_due(monkeypatch, one, age):
    told = first(wait=1, ends=[["1"], ["1"], [], [], [], []])
    check = queue_checks(monkeypatch, told, second(jobs=[one]), oldest_seconds={"warning": 60})["oldest"]
    assert (check["value"], check["status"]) == (age, "warning" if age >= 60 else "ok")


def test_a_delayed_job_that_nobody_moves_is_overdue(monkeypatch):
    told = first(delayed=1, due=["4", str((NOW_MS - 120_000) * 4096 + 1)])
    assert queue_checks(monkeypatch, told)["oldest"]["value"] == 120.0
    told = first(delayed=1, due=["4", "7353393455656960"])
    assert queue_checks(monkeypatch, told)["oldest"]["value"] == 0.0


@pytest.mark.parametrize(
    ("clients", "told", "raw", "status"),
    [
        pytest.param("name=bull:bWFpbHM=:w:one age=1", {}, {}, "ok", id="a worker with a name of its own"),
        pytest.param("name=bull:bWFpbHM=:qe age=1", {"wait": 1}, {}, "critical", id="one who only listens"),
        pytest.param("name= age=1", {"wait": 1}, {}, "critical", id="worker dead, jobs wait"),
        pytest.param("name= age=1", {}, {}, "warning", id="worker dead, nothing waits"),
        pytest.param("name=bull:bWFpbHM= a", {"wait": 1}, {"workers": 2}, "warning", id="too few"),
        pytest.param(Refusal("NOPERM"), {"wait": 1}, {}, "unknown", id="no right to ask"),
    ],
)
def test_workers_are_counted_by_their_connections(monkeypatch, clients, told, raw, status):
    assert queue_checks(monkeypatch, first(clients=clients, **told), **raw)["workers"]["status"] == status


def test_workers_need_not_be_looked_at(monkeypatch):
    assert "workers" not in queue_checks(monkeypatch, first(clients=Refusal("NOPERM")), workers=0)


@pytest.mark.parametrize(
    ("lock", "age_ms", "still", "status"),
    [
        pytest.param(1, 60_000, ["7"], "ok", id="held"),
        pytest.param(0, 60_000, ["7"], "warning", id="held by nobody"),
        pytest.param(0, 60_000, [], "ok", id="done meanwhile"),
        pytest.param(0, 100, ["7"], "ok", id="taken a moment ago"),
    ],
)
def test_an_active_job_without_a_lock_is_lost(monkeypatch, lock, age_ms, still, status):
    two = second(locks=[lock], began=[str(NOW_MS - age_ms)], still=still)
    assert queue_checks(monkeypatch, first(active=1, held=["7"]), two)["active"]["status"] == status


def test_failed_jobs_say_why_without_secrets(monkeypatch):
    two = second(failed=3, kept=9, reason="cannot reach redis://app:hunter2@cache\nat line 1")
    check = queue_checks(monkeypatch, two=two, failed={"warning": 3})["failed"]
    assert (check["value"], check["status"]) == (3, "warning")
    assert check["detail"].startswith(
        "3 failed within 1d, 9 are kept; the last one: cannot reach redis://app:***@cache"
    )


def test_a_key_of_another_type_and_a_dead_server_are_reasons(monkeypatch):
    answers(monkeypatch, first(wait=Refusal("WRONGTYPE Operation against a key holding the wrong kind of value")))
    with pytest.raises(ProbeError, match="WRONGTYPE"):
        queue.measure(options(queue, queue="mails"))
    answers(monkeypatch, RedisDownError("Connection refused"))
    with pytest.raises(ProbeError, match=r"127\.0\.0\.1:6379: Connection refused"):
        queue.measure(options(queue, queue="mails"))


# Queues over HTTP


@pytest.mark.parametrize(
    ("document", "path", "expected"),
    [
        pytest.param({"queues": {"mail": {"waiting": 3, "active": 1}}}, None, {"mail": 3}, id="by name below queues"),
        pytest.param({"mail": {"waiting": 3}, "up": True}, None, {"mail": 3}, id="by name"),
        pytest.param([{"name": "mail", "counts": {"waiting": 1, "prioritized": 2}}], None, {"mail": 3}, id="a list"),
        pytest.param({"data": {"q": [{"queue": "mail", "wait": 3}]}}, "data.q", {"mail": 3}, id="a path"),
        pytest.param({"mail": {"waiting": 3, "paused": True}}, None, {"mail": 3}, id="paused as a flag"),
        pytest.param({"waiting": 3, "isPaused": False}, None, {"one": 3}, id="a single queue"),
        pytest.param({"mail": {"waiting": 2, "paused": 1, "failed": 0}}, None, {"mail": 3}, id="paused as a number"),
    ],
)
def test_counts_are_found_in_the_usual_shapes(document, path, expected):
    found = queue_http.read_queues(document, path, "one")
    assert {name: counts["waiting"] for name, counts in found.items()} == expected


@pytest.mark.parametrize(
    ("document", "path"),
    [
        pytest.param({}, None, id="nothing"),
        pytest.param({"a": 1}, "b.c", id="no such path"),
        pytest.param({"mail": {"waiting": "many"}}, None, id="no numbers"),
        pytest.param("text", None, id="text"),
    ],
)
def test_what_tells_of_no_queue_is_a_reason(document, path):
    with pytest.raises(ProbeError):
        queue_http.read_queues(document, path, "one")


def test_queues_are_judged_by_their_limits_and_the_door_by_whether_it_is_open():
    asked = options(queue_http, url="http://x/", name="media", token="t", waiting={"critical": 10})
    told = queue_http.read_queues(
        {"mail": {"waiting": 10, "failed": 2}, "img": {"waiting": 0, "paused": True}}, None, ""
    )
    checks = {check["id"]: check["status"] for check in queue_http.judge({"queues": told, "open": True}, asked)}
    assert checks == {
        "queue:mail:waiting": "critical",
        "queue:mail:failed": "ok",
        "queue:img:waiting": "warning",
        "queue_http:media:access": "warning",
    }


def test_one_queue_may_be_named_and_its_age_told():
    asked = options(queue_http, url="http://x/", queue="mail", oldest_key="age", oldest_seconds={"warning": 5})
    told = queue_http.read_queues({"mail": {"waiting": 1, "age": 6}, "img": {"waiting": 1}}, None, "", "age")
    checks = {check["id"]: check["status"] for check in queue_http.judge({"queues": told, "open": False}, asked)}
    assert checks == {"queue:mail:waiting": "ok", "queue:mail:oldest": "warning"}
    (check,) = queue_http.judge({"queues": {"img": {}}, "open": False}, asked)
    assert (check["id"], check["status"]) == ("queue:mail", "warning")
