# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of a review are those of a period, keep their ids, and tell nothing of what a system's users wrote."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError, read_options
from ansible_collections.runbook.ops.plugins.module_utils._redis import Refusal
from ansible_collections.runbook.ops.plugins.module_utils.probes import (
    http,
    latency,
    metrics_latency,
    pg_performance,
    pm2_metrics,
    postgresql,
    queue_rate,
    redis_performance,
)

NOW = 1_800_000_000.0
WEEK = 604800.0


def options(probe, **given):
    return {**read_options({"probe": "x", **given}, probe.OPTIONS, where="x"), "section": probe.SECTION}


def by_end(checks):
    return {check["id"].rsplit(":", 1)[-1]: check for check in checks}


# PostgreSQL

COLUMNS = ["queryid", "query", "calls", "total_exec_time", "rows", "toplevel"]


def facts(**other):
    return {
        **{
            "version": 150018,
            "at": NOW,
            "standby": False,
            "bytes": 5_000_000_000,
            "hidden": 0,
            "loaded": True,
            "track": "top",
        },
        "statistics": {
            **{"reset_at": None, "hit": 2_000_000, "read": 100_000, "temporary_bytes": 0, "deadlocks": 0},
            "transactions": 9,
        },
        "tables": [
            {"name": "orders", "bytes": 4_000_000_000, "rows": 90_000, "whole": 500, "by_index": 1000},
            {"name": "tiny", "bytes": 8192, "rows": 3, "whole": 90_000, "by_index": 0},
        ],
        "partitioned": {},
        "indexes": [{"name": "orders_idx", "scans": 7, "bytes": 50_000_000}],
        "running": [],
        "extension": {"schema": "public", "version": "1.10", "info": True, "columns": COLUMNS},
        **other,
    }


BEFORE = {
    "at": NOW - WEEK,
    "bytes": 4_000_000_000,
    "statistics": {"reset_at": None, "hit": 1_900_000, "read": 50_000, "temporary_bytes": 0, "deadlocks": 0},
    "tables": {"orders": [3_000_000_000, 100, 990]},
    "indexes": {"orders_idx": 7},
    "statements": {"5": [1000, 1000.0, 10]},
}


@pytest.fixture
def ask_database(monkeypatch):
    """Return a function that looks at a database which answers as told."""

    def look(found=None, counts=(), texts=None, reset=None, **given):
        answers = [found or facts(), {"reset": {"at": reset, "dropped": 0}, "counts": list(counts)}, texts or {}]
        asked = []

        def answer(_options, script, **limits):
            asked.append((script, limits))
            return json.dumps(answers[len(asked) - 1])

        monkeypatch.setattr(pg_performance, "ask", answer)
        told = options(pg_performance, name="shop", database="shop", **given)
        checks = pg_performance.judge(pg_performance.measure(told), told)
        return SimpleNamespace(checks={check["id"]: check for check in checks}, asked=asked)

    return look


SLOW = {"counts": [["5", 1100, 51000.0, 20], ["6", 50, 400.0, 50], ["7", 1, 9000.0, 1]],
        "texts": {"5": "SELECT * FROM orders WHERE mail = 'a@b.c'", "6": "SELECT 1", "7": "REFRESH"}}  # fmt: skip


def test_statements_are_judged_by_what_they_cost_since_the_look_before(ask_database):
    checks = ask_database(**SLOW, before=BEFORE, before_at=NOW - WEEK, slow_seconds={"warning": 0.1}).checks
    slowest = checks["statements:shop:slowest"]
    assert (slowest["status"], slowest["value"], slowest["unit"], slowest["limit"]) == ("warning", 500.0, "ms", 100.0)
    assert (
        "1 of 2 statements beyond the limit in the last 7d; 500 ms x 100, 84.2 % of the time, 0.1 rows each"
        in slowest["detail"]
    )
    assert checks["statements:shop:load"]["value"] == round(100 * 59.4 / WEEK, 3)
    each = [check for identity, check in checks.items() if identity.startswith("statement:")]
    assert [(check["value"], "a@b.c" in check["detail"]) for check in each] == [(500.0, False)]


def test_what_was_called_once_is_told_of_and_not_judged(ask_database):
    checks = ask_database(**SLOW, before=BEFORE, before_at=NOW - WEEK).checks
    assert "9000 ms x 1" in checks["statements:shop:load"]["detail"]
    assert checks["statements:shop:slowest"]["status"] == "ok"


def test_counters_that_were_reset_since_are_not_compared(ask_database):
    checks = ask_database(**SLOW, reset=NOW - 86400, before=BEFORE, before_at=NOW - WEEK).checks
    assert "since they were reset on 2027-01-14" in checks["statements:shop:slowest"]["detail"]
    assert "46.36 ms x 1100" in checks["statements:shop:slowest"]["detail"]


def test_its_own_questions_are_none_of_the_applications(ask_database):
    texts = {"5": "SELECT /* runbook.ops performance */ json_build_object()"}
    checks = ask_database(counts=[["5", 100, 9000.0, 1]], texts=texts).checks
    assert "json_build_object" not in str(checks)


@pytest.mark.parametrize(
    ("found", "remedy"),
    [
        pytest.param({"extension": None, "loaded": False}, "shared_preload_libraries", id="not loaded"),
        pytest.param({"extension": None}, "CREATE EXTENSION", id="not created here"),
        pytest.param({"loaded": False}, "shared_preload_libraries", id="created, not loaded"),
    ],
)
def test_where_statements_are_not_counted_it_says_how_they_would_be(ask_database, found, remedy):
    looked = ask_database(facts(**found))
    check = looked.checks["statements:shop:slowest"]
    assert (check["status"], remedy in check["remedy"]) == ("unknown", True)
    assert len(looked.asked) == 1
    assert looked.checks["size:shop"]["status"] == "ok"


def test_sizes_tell_their_growth_and_a_described_table_has_a_check_of_its_own(ask_database):
    checks = ask_database(before=BEFORE, before_at=NOW - WEEK, tables=["orders", "gone"]).checks
    assert checks["size:shop"]["detail"].startswith(
        "5 GB (+1 GB in the last 7d); largest: orders 4 GB (+1 GB), tiny 8.19 kB"
    )
    assert (checks["size:shop:orders"]["value"], checks["size:shop:orders"]["unit"]) == (4_000_000_000, "bytes")
    assert checks["size:shop:gone"]["status"] == "unknown"


@pytest.mark.parametrize(
    ("given", "value", "words"),
    [
        pytest.param({"before": BEFORE, "before_at": NOW - WEEK}, 66.67, "in the last 7d", id="of the week"),
        pytest.param({}, 95.24, "nobody knows when", id="of all times"),
    ],
)
def test_the_hit_rate_says_since_when(ask_database, given, value, words):
    check = ask_database(hit_percent={"warning": 90}, **given).checks["cache_hit:shop"]
    assert (check["value"], check["status"]) == (value, "warning" if value < 90 else "ok")
    assert words in check["detail"]


def test_statistics_that_were_reset_between_are_not_subtracted(ask_database):
    young = facts(statistics={**facts()["statistics"], "reset_at": NOW - 3600, "hit": 90_000, "read": 10_000})
    check = ask_database(young, before=BEFORE, before_at=NOW - WEEK).checks["cache_hit:shop"]
    assert check["value"] == 90.0
    assert "reset 1h ago" in check["detail"]


def test_the_load_is_that_since_the_counters_were_reset(ask_database):
    check = ask_database(**SLOW, reset=NOW - 1000).checks["statements:shop:load"]
    assert check["value"] == round(100 * (51.0 + 0.4 + 9.0) / 1000, 3)
    assert ask_database(**SLOW).checks["statements:shop:load"]["value"] is None  # nobody knows since when


def test_large_tables_that_are_read_whole_and_indexes_without_use_are_named(ask_database):
    checks = ask_database(before=BEFORE, before_at=NOW - WEEK).checks
    assert checks["whole_reads:shop"]["detail"] == "orders (90000 rows, 400 times whole, 10 by an index) in the last 7d"
    assert checks["idle_indexes:shop"]["value"] == 50_000_000


def test_an_index_that_was_made_in_the_period_is_not_called_idle(ask_database):
    young = facts(indexes=[{"name": "young_idx", "scans": 0, "bytes": 50_000_000}])
    assert ask_database(young, before=BEFORE, before_at=NOW - WEEK).checks["idle_indexes:shop"]["value"] == 0
    assert ask_database(young).checks["idle_indexes:shop"]["value"] == 50_000_000  # nobody knows since when


def test_statements_that_run_are_judged_and_hidden_ones_are_said_to_be(ask_database):
    one = {"pid": 7, "seconds": 4.0, "waits_for": "Lock", "query": "DELETE FROM t WHERE k = 'x@y.z'"}
    check = ask_database(facts(running=[one], hidden=3)).checks["running:shop"]
    assert (check["status"], check["value"]) == ("warning", 4.0)
    assert "4s waiting for Lock, pid 7: DELETE FROM t WHERE k = ?" in check["detail"]
    assert ask_database(facts(hidden=3)).checks["running:shop"]["status"] == "unknown"


def test_a_session_can_only_read_and_ends_in_time(monkeypatch):
    asked = []

    def run_program(_argv, **more):
        asked.append(more)
        return SimpleNamespace(code=0, out=json.dumps(facts(extension=None, loaded=False)), err="")

    monkeypatch.setattr(postgresql, "run_program", run_program)
    pg_performance.measure(options(pg_performance, database="shop", timeout_seconds=30))
    told = asked[0]["environment"]["PGOPTIONS"]
    assert "-c default_transaction_read_only=on" in told
    assert "-c lock_timeout=1000" in told
    assert 0 < int(told.partition("statement_timeout=")[2].split()[0]) <= 30_000


# Redis


def info(**other):
    counters = {
        "keyspace_hits": 5000,
        "keyspace_misses": 5000,
        "evicted_keys": 10,
        "expired_keys": 0,
        "total_commands_processed": 99_000,
    }
    return {"run": "r1", **counters, "commands": {"GET": [900, 9000], "KEYS": [2, 500_000]}, **other}


def entry(command, *words, seconds=0.02, at=NOW - 60):
    return redis_performance.read_entry([1, at, int(seconds * 1e6), [command, *words], "", ""])


def redis_checks(slow=(), **given):
    told = options(redis_performance, name="cache", **given)
    return by_end_name(
        redis_performance.judge({"counters": info(), "uptime": 2 * WEEK, "slow": list(slow), "now": NOW}, told)
    )


def by_end_name(checks):
    return {check["id"].split(":")[0]: check for check in checks}


OLD = info(
    keyspace_hits=3000, keyspace_misses=4900, evicted_keys=0, total_commands_processed=0, commands={"GET": [100, 1000]}
)


def test_redis_is_judged_by_the_period_not_by_all_times():
    before = redis_checks(hit_percent={"warning": 80})
    after = redis_checks(hit_percent={"warning": 80}, before=OLD, before_at=NOW - WEEK)
    assert (before["redis_hits"]["value"], before["redis_hits"]["status"]) == (50.0, "warning")
    assert (after["redis_hits"]["value"], after["redis_hits"]["status"]) == (95.24, "ok")
    assert "in the last 7d" in after["redis_hits"]["detail"]
    assert after["redis_commands"]["detail"].startswith(
        "99000 in the last 7d; most time: KEYS 250000 µs each, 98 % of the time; GET 10 µs"
    )


def test_a_server_that_was_started_anew_is_compared_with_nothing():
    checks = redis_checks(before={**OLD, "run": "r0"}, before_at=NOW - WEEK)
    assert "since its start 14d ago" in checks["redis_hits"]["detail"]
    assert checks["redis_evictions"]["value"] == round(10 * 3600 / (2 * WEEK), 2)


def test_counters_that_were_reset_are_compared_with_nothing():
    checks = redis_checks(before={**OLD, "evicted_keys": 5000, "keyspace_hits": 90_000}, before_at=NOW - WEEK)
    assert (checks["redis_hits"]["value"], checks["redis_evictions"]["detail"][:15]) == (50.0, "10 keys evicted")
    assert checks["redis_evictions"]["value"] >= 0


def test_the_slow_log_tells_commands_and_kinds_of_keys_never_arguments():
    slow = [entry("set", "session:alice@example.com", "s3cr3t"), entry("KEYS", "*", seconds=0.5), entry("GET", "alice"),
            entry("GET", "old:1", at=NOW - 2 * WEEK)]  # fmt: skip
    check = redis_checks(slow, before=OLD, before_at=NOW - WEEK, slow_per_day={"warning": 0.4})["redis_slow"]
    assert (
        check["detail"]
        == "3 in the last 7d: KEYS: 1, at most 500ms; GET: 1, at most 20ms; SET session:…: 1, at most 20ms"
    )
    assert (check["value"], check["status"]) == (0.43, "warning")


def test_an_account_that_may_not_see_the_slow_log_is_no_good_news(monkeypatch):
    answers = [
        "run_id:r1\r\nuptime_in_seconds:10\r\n",
        Refusal("NOPERM no"),
        Refusal("NOPERM this user has no permissions"),
        ["1", "0"],
    ]
    monkeypatch.setattr(redis_performance, "ask_server", lambda *_any: answers)
    told = options(redis_performance, name="cache")
    assert (
        by_end_name(redis_performance.judge(redis_performance.measure(told), told))["redis_slow"]["status"] == "unknown"
    )


# Queues

NOW_MS = int(NOW * 1000)


def job(age, wait=4.0, work=2.0, delay=0):
    finished = NOW_MS - int(age * 1000)
    added = finished - int((wait + work) * 1000) - delay
    return [str(added), json.dumps({"delay": delay}), str(finished - int(work * 1000)), str(finished)]


def queue_checks(monkeypatch, jobs=(), *, failed=0, events=(), older=(), oldest=None, exists=1, **given):
    rounds = [
        [[str(int(NOW)), "0"], exists, "45" if exists else None],
        [
            len(jobs),
            [str(number) for number in range(len(jobs))],
            ["1", str(NOW_MS - int(1000 * oldest))] if oldest else [],
            list(events),
            older if isinstance(older, Refusal) else list(older),
        ],
        [failed, *jobs],
    ]
    asked = []

    def answer(_server, commands, _seconds):
        asked.append(commands)
        return rounds[len(asked) - 1]

    monkeypatch.setattr(queue_rate, "ask_server", answer)
    told = options(queue_rate, name="mails", queue="mails", **given)
    checks = {check["id"]: check for check in queue_rate.judge(queue_rate.measure(told), told)}
    return {**checks, "asked": asked}


def test_throughput_is_of_the_jobs_that_are_kept(monkeypatch):
    checks = queue_checks(monkeypatch, [job(10)] * 60, failed=20, oldest=3600, since_seconds=86400, failed_percent={"warning": 20},
                          before={"added": 5}, before_at=NOW - 3600)  # fmt: skip
    assert (checks["queue:mails:done"]["value"], checks["queue:mails:done"]["unit"]) == (1.0, "/min")
    assert (
        checks["queue:mails:done"]["detail"]
        == "60 done in the last 1h: older ones are not kept; 40 were added in the last 1h, 0.667 a minute"
    )
    assert (checks["queue:mails:failing"]["value"], checks["queue:mails:failing"]["status"]) == (25.0, "warning")
    assert checks["asked"][2][0] == ("ZCOUNT", "bull:mails:failed", NOW_MS - 3_600_000, "+inf")  # of the same hour


def test_failed_jobs_of_a_few_that_are_kept_are_those_of_the_period(monkeypatch):
    checks = queue_checks(monkeypatch, [job(10)] * 3, oldest=3600, since_seconds=86400)
    assert checks["asked"][2][0] == ("ZCOUNT", "bull:mails:failed", NOW_MS - 86_400_000, "+inf")


def test_a_queue_that_keeps_no_job_tells_by_its_events(monkeypatch):
    events = [
        [f"{NOW_MS - 1000 * age}-0", ["event", kind, "jobId", "1"]]
        for age in range(1000)
        for kind in ["completed" if age % 10 else "failed"]
    ]
    checks = queue_checks(monkeypatch, events=events)
    assert "900 done in the last 16m 39s, by its events" in checks["queue:mails:done"]["detail"]
    assert checks["queue:mails:failing"]["value"] == 10.0
    assert checks["queue:mails:p95"]["value"] is None


@pytest.mark.parametrize(
    ("count", "older", "words", "rate"),
    [
        pytest.param(300, [], "300 done in the last 10m", 30.0, id="a stream that is kept short"),
        pytest.param(300, Refusal("ERR"), "300 done in the last 10m", 30.0, id="nothing is known of earlier ones"),
        pytest.param(300, [["1-0", []]], "300 done in the last 1d", 0.208, id="all of the period is there"),
        pytest.param(2, [], "2 done in the last 1m", 2.0, id="two jobs just now"),
    ],
)
def test_events_are_spread_over_the_time_that_the_stream_still_has(monkeypatch, count, older, words, rate):
    events = [[f"{NOW_MS - 2000 * age}-0", ["event", "completed", "jobId", "1"]] for age in range(1, count + 1)]
    done = queue_checks(monkeypatch, events=events, older=older, since_seconds=86400)["queue:mails:done"]
    assert done["detail"].startswith(f"{words}, by its events")
    assert done["value"] == rate


def test_the_time_of_a_job_counts_from_when_it_is_due(monkeypatch):
    jobs = [job(10, wait=1, delay=3_600_000)] * 16 + [job(9, wait=598)] * 4
    checks = queue_checks(monkeypatch, jobs, within_seconds=300, within_percent={"warning": 95})
    within = checks["queue_within:mails"]
    assert (within["value"], within["status"], within["unit"]) == (80.0, "warning", "%")
    assert checks["queue:mails:p95"]["value"] == 600.0
    assert checks["queue:mails:p95"]["detail"].endswith("the work itself 95 % within 2s")


def test_a_few_jobs_are_not_judged_and_a_queue_that_does_not_exist_is_unknown(monkeypatch):
    few = queue_checks(monkeypatch, [job(9, wait=598)] * 4, within_percent={"warning": 95})
    assert few["queue_within:mails"]["status"] == "ok"
    assert queue_checks(monkeypatch, exists=0)["queue:mails:done"]["status"] == "unknown"


def test_a_key_of_another_type_is_said(monkeypatch):
    monkeypatch.setattr(
        queue_rate, "ask_server", lambda *_any: [["1", "0"], 1, Refusal("WRONGTYPE Operation against a key")]
    )
    with pytest.raises(ProbeError, match="WRONGTYPE"):
        queue_rate.measure(options(queue_rate, queue="mails"))


# PM2


def process(name="api", memory=100_000_000, loop="12.5", **told):
    metrics = {
        "Event Loop Latency p95": {"value": loop},
        "Heap Usage": {"value": "71.5", "unit": "%"},
        "HTTP": {"value": "30 req/min"},
        **told,
    }
    environment = {"status": "online", "axm_monitor": metrics, "pm_uptime": 5}
    return {"name": name, "monit": {"memory": memory, "cpu": 3.5}, "pm2_env": environment}


def pm2_checks(monkeypatch, processes, **given):
    monkeypatch.setattr(pm2_metrics, "call", lambda *_any, **_more: processes)
    told = options(pm2_metrics, app="api", **given)
    return by_end(pm2_metrics.judge(pm2_metrics.measure(told), told))


def test_an_application_tells_its_event_loop_the_worst_of_its_instances(monkeypatch):
    checks = pm2_checks(
        monkeypatch, [process(), process(loop="250.1"), process("other")], event_loop_seconds={"warning": 0.2}
    )
    assert (checks["event_loop"]["value"], checks["event_loop"]["status"]) == (0.2501, "warning")
    assert (checks["heap"]["value"], checks["http_rate"]["value"], checks["cpu"]["value"]) == (71.5, 60.0, 7.0)


def test_what_is_not_told_has_no_check_and_what_does_not_run_is_unknown(monkeypatch):
    assert set(pm2_checks(monkeypatch, [{**process(), "pm2_env": {"status": "online"}}])) == {"memory", "cpu"}
    assert pm2_checks(monkeypatch, [])["memory"]["status"] == "unknown"


def test_memory_that_grew_without_a_restart_is_told_as_such(monkeypatch):
    def told(started):
        before = {"memory_bytes": 60_000_000, "started_ms": started}
        return pm2_checks(monkeypatch, [process()], before=before, before_at=NOW)["memory"]["detail"]

    assert "(+40 MB in" in told(5)
    assert "started anew" in told(4)


# Response times


def answers(monkeypatch, *seconds):
    rest = list(seconds)

    def measure(_options):
        one = rest.pop(0)
        return {
            "error": one if isinstance(one, str) else None,
            "status": 200,
            "seconds": one,
            "wrong": None,
            "location": None,
        }

    monkeypatch.setattr(http, "measure", measure)


def test_the_95th_percentile_of_a_few_requests_is_judged(monkeypatch):
    answers(monkeypatch, *[0.01] * 9, 0.9)
    told = options(
        latency, name="API", url="http://x/", pause_seconds=0, timeout_seconds=20, p95_seconds={"warning": 0.5}
    )
    check = latency.judge(latency.measure(told), told)[0]
    assert (check["id"], check["value"], check["status"]) == ("latency:API", 0.9, "warning")


def test_wrong_answers_are_no_times(monkeypatch):
    told = options(latency, name="API", url="http://x/", pause_seconds=0, requests=2, timeout_seconds=20)
    answers(monkeypatch, 0.01, "refused")
    assert latency.judge(latency.measure(told), told)[0]["status"] == "warning"
    answers(monkeypatch, "refused", "refused")
    assert latency.judge(latency.measure(told), told)[0]["status"] == "unknown"


METRICS = """# HELP http_requests_total x
http_requests_total{status="200",path="/a,b"} 1900
http_requests_total{status="503"} 100 1700000000000
http_request_duration_seconds_bucket{le="0.1"} 1000
http_request_duration_seconds_bucket{le="0.5"} 1990
http_request_duration_seconds_bucket{le="+Inf"} 2000
http_request_duration_seconds_sum 300
process_start_time_seconds 1799000000
"""


def test_counters_of_an_application_become_a_rate_and_percentiles_of_the_period():
    counters = metrics_latency.read_metrics(METRICS, "http_requests_total", "http_request_duration_seconds")
    before = {
        "requests": 1000.0,
        "failed": 100.0,
        "started": counters["started"],
        "within": {"0.1": 1000.0, "0.5": 1000.0, "+Inf": 1000.0},
    }
    told = options(metrics_latency, name="api", url="http://x/metrics", before=before, before_at=NOW - 60000)
    checks = by_end(metrics_latency.judge({"counters": counters, "now": NOW}, told))
    assert (checks["rate"]["value"], checks["failed"]["value"]) == (1.0, 0.0)
    assert checks["p95"]["value"] == round(1000 * (0.1 + 0.4 * 950 / 990), 1)


def test_an_application_that_was_started_anew_counts_from_its_start():
    counters = metrics_latency.read_metrics(METRICS, "http_requests_total", "http_request_duration_seconds")
    before = {"requests": 10.0, "failed": 0.0, "started": 5.0, "within": {}}
    told = options(metrics_latency, name="api", url="http://x/metrics", before=before, before_at=NOW - 60)
    checks = by_end(metrics_latency.judge({"counters": counters, "now": NOW}, told))
    assert (checks["failed"]["value"], "since the application's start" in checks["rate"]["detail"]) == (5.0, True)
    assert checks["rate"]["value"] == round(60 * 2000 / (NOW - counters["started"]), 2)


@pytest.mark.parametrize(
    ("share", "seconds"),
    [
        pytest.param(0.25, 0.05, id="within the first bound"),
        pytest.param(0.75, 0.1 + 0.4 * 250 / 400, id="between two bounds"),
        pytest.param(0.9, 0.5, id="at a bound"),
        pytest.param(0.99, 0.5, id="above the last bound, of which no more is known"),
    ],
)
def test_a_percentile_lies_between_the_bounds_of_the_histogram(share, seconds):
    within = {"0.1": 500.0, "+Inf": 1000.0, "0.5": 900.0}
    assert metrics_latency.quantile(within, share) == pytest.approx(seconds)


def test_a_histogram_without_a_request_has_no_percentile():
    assert metrics_latency.quantile({"0.1": 0.0, "+Inf": 0.0}, 0.95) is None
    assert metrics_latency.quantile({}, 0.95) is None


def test_metrics_of_another_program_are_no_requests(monkeypatch):
    body = b"prometheus_http_requests_total 5\n"
    monkeypatch.setattr(metrics_latency, "get", lambda *_any: (200, body))
    with pytest.raises(ProbeError, match="another program's"):
        metrics_latency.measure(options(metrics_latency, url="http://x/metrics"))
