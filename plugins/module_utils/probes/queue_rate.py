# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast the jobs of a queue of Bull or BullMQ are done, and how many fail. Private to this collection.

Told by what the queue itself keeps: the number of the last job, the jobs that ended, by the time they ended at, and the stream of
events that BullMQ writes. A queue that keeps no job that ended (removeOnComplete) tells by its events.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, judge_low, make_check
from ansible_collections.runbook.ops.plugins.module_utils._performance_looks import ago
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError, limits
from ansible_collections.runbook.ops.plugins.module_utils._redis import RedisDownError, Refusal, one_line
from ansible_collections.runbook.ops.plugins.module_utils._redis_server import SERVER_OPTIONS, ask_server, find_server
from ansible_collections.runbook.ops.plugins.module_utils._series import percentile
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration
from ansible_collections.runbook.ops.plugins.module_utils.probes.queue import due_ms

SECTION = "Queues"
OPTIONS = {
    "queue": Option("str", "name of the queue", required=True),
    "prefix": Option("str", "what its keys begin with", "bull"),
    **SERVER_OPTIONS,
    "since_seconds": Option("float", "how far back jobs count that the queue still keeps", 86400.0),
    "within_seconds": Option("float", "time within which a job should be done, from when it is due", 300.0),
    "within_percent": Option("limits", "share of jobs that were; below it", limits(None)),
    "failed_percent": Option("limits", "share of the ended jobs that failed", limits(None)),
    "before": Option("dict", "the counters of an earlier look"),
    "before_at": Option("float", "when that was, in seconds since 1970"),
}
SAMPLE = 500  # ended jobs that are looked at
EVENTS = 1000
FEWEST = 20  # a share of fewer jobs says nothing
FIELDS = ("timestamp", "opts", "processedOn", "finishedOn")
Times = list[tuple[float, float]]  # of a job: seconds from when it was due until it ended, and of work on it


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return counts of ended jobs, times of a sample of them, and the number of the last job that was added; three round trips."""
    server, prefix = find_server(options), f"{options['prefix']}:{options['queue']}"
    began = time.monotonic()
    try:
        first = ask_server(
            server,
            [("TIME",), ("EXISTS", f"{prefix}:id", f"{prefix}:meta"), ("GET", f"{prefix}:id")],
            options["timeout_seconds"],
        )
        told(first)
        now_ms = int(first[0][0]) * 1000 + int(first[0][1]) // 1000
        since = int(now_ms - options["since_seconds"] * 1000)
        left = max(0.1, options["timeout_seconds"] - (time.monotonic() - began))
        second = ask_server(server, questions(prefix, since, now_ms), left)
        told(second[:3])
        oldest = float(second[2][1]) / 1000 if second[2] else None
        # Failed jobs are kept longer than others: they count since when those do.
        begin = max(since, int(1000 * oldest)) if oldest is not None and second[0] >= FEWEST else since
        left = max(0.1, options["timeout_seconds"] - (time.monotonic() - began))
        third = ask_server(server, third_questions(prefix, second[1], begin), left)
    except RedisDownError as exc:
        raise ProbeError(f"{server.place}: {exc}", "see the Redis server that keeps the queue") from exc
    told(third)
    events = [] if isinstance(second[3], Refusal) else second[3]  # Redis before 5, and Bull, have no such stream
    return {
        "exists": first[1] > 0,
        "now": now_ms / 1000,
        "completed": second[0],
        "failed": third[0],
        "oldest_completed": oldest,
        "times": times_of(third[1:]),
        "events": read_events(events, since, older=bool(second[4]) and not isinstance(second[4], Refusal)),
        "counters": {"added": int(first[2])} if str(first[2] or "").isdigit() else {},
    }


def questions(prefix: str, since_ms: int, now_ms: int) -> list[tuple[str | int, ...]]:
    """Return what is asked about jobs that ended: none of it depends on how many are kept."""
    return [
        ("ZCOUNT", f"{prefix}:completed", since_ms, "+inf"),
        ("ZREVRANGEBYSCORE", f"{prefix}:completed", "+inf", since_ms, "LIMIT", 0, SAMPLE),
        ("ZRANGE", f"{prefix}:completed", 0, 0, "WITHSCORES"),
        ("XREVRANGE", f"{prefix}:events", now_ms, since_ms, "COUNT", EVENTS),
        ("XRANGE", f"{prefix}:events", "-", since_ms - 1, "COUNT", 1),
    ]


def third_questions(prefix: str, jobs: Sequence[str], begin_ms: int) -> list[tuple[str | int, ...]]:
    """Return what is asked about single jobs, and how many failed in the time that those cover."""
    return [("ZCOUNT", f"{prefix}:failed", begin_ms, "+inf"), *(("HMGET", f"{prefix}:{job}", *FIELDS) for job in jobs)]


def told(answers: Sequence[Any]) -> None:
    """Stop where an answer is an error.

    :raises ProbeError: the server does not show these keys, or they are of another type.
    """
    refused = next((one for one in answers if isinstance(one, Refusal)), None)
    if refused:
        raise ProbeError(f"Redis did not tell: {one_line(refused.text)}", "correct queue, prefix or the account")


def times_of(jobs: Sequence[Sequence[str | None]]) -> Times:
    """Return the times of jobs: tried again, one counts from when it was first due."""
    found = []
    for timestamp, opts, processed, finished in jobs:
        due = due_ms(timestamp, opts, None)
        if due is None or not finished or not finished.isdigit():
            continue
        begun = int(processed) if processed and processed.isdigit() else due
        found.append((max(0, int(finished) - due) / 1000, max(0, int(finished) - begun) / 1000))
    return found


def read_events(events: Sequence[Any], since_ms: int, *, older: bool) -> dict[str, Any]:
    """Return how many jobs ended well and badly by the events, newest first, and since when these are all there are.

    :param older: whether one of before is kept, so that none of since then was taken off the stream
    """
    kinds = {"completed": 0, "failed": 0}
    for _identity, fields in events:
        kind = dict(zip(fields[::2], fields[1::2])).get("event")
        if kind in kinds:
            kinds[kind] += 1
    if not events:
        return {**kinds, "begin": None}
    whole = len(events) < EVENTS and older
    return {**kinds, "begin": since_ms / 1000 if whole else int(str(events[-1][0]).split("-", maxsplit=1)[0]) / 1000}


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return checks of throughput, failures, and of the time until a job is done."""
    name, section = options["name"] or options["queue"], options["section"]

    def check(identity: str, title: str, **more: Any) -> dict[str, Any]:
        return make_check(identity, name=f"{name} {title}", section=section, **more)

    if not measured["exists"]:
        detail = f"Redis has no key {options['prefix']}:{options['queue']}:…: never used, emptied, or another name"
        missing = {"status": "unknown", "detail": detail, "remedy": "correct queue and prefix in ops_queues"}
        return [check(f"queue:{name}:done", "done", unit="/min", **missing)]
    done, failed, seconds, by = ended(measured, options)
    added = _added(measured, options)
    share = round(100 * failed / (done + failed), 2) if done + failed else 0.0
    status, limit = judge_high(share, **options["failed_percent"])
    period = f"in {ago(seconds)}{by}"
    return [
        check(
            f"queue:{name}:done",
            "done",
            status="ok",
            value=round(60 * done / seconds, 3),
            unit="/min",
            detail=f"{done} done {period}{added}",
        ),
        check(
            f"queue:{name}:failing",
            "failing",
            status=status if done + failed >= FEWEST else "ok",
            value=share,
            unit="% of jobs",
            limit=limit,
            detail=f"{failed} of {done + failed} failed {period}",
            remedy="read failedReason of the jobs, mend what they fail at, then try them again",
        ),
        *_times(measured["times"], options, check),
    ]


def ended(measured: dict[str, Any], options: dict[str, Any]) -> tuple[int, int, float, str]:
    """Return how many jobs ended well and badly, in how many seconds, and how that is known where jobs are not kept so long."""
    whole = options["since_seconds"]
    events, oldest = measured["events"], measured["oldest_completed"]
    kept = measured["now"] - oldest if oldest is not None else 0.0
    told = measured["now"] - events["begin"] if events["begin"] is not None else 0.0
    # One job a second ago is no rate of 60 a minute.
    shortest = 1.0 if events["completed"] + events["failed"] >= FEWEST else 60.0
    if events["completed"] > measured["completed"]:
        return (
            events["completed"],
            events["failed"],
            min(whole, max(told, shortest)),
            ", by its events: jobs that are done are not kept",
        )
    if 0 < kept < whole and measured["completed"] >= FEWEST:
        return measured["completed"], measured["failed"], max(kept, 60.0), ": older ones are not kept"
    return measured["completed"], measured["failed"], whole, ""


def _added(measured: dict[str, Any], options: dict[str, Any]) -> str:
    now, before = measured["counters"].get("added"), (options["before"] or {}).get("added")
    if now is None or before is None or options["before_at"] is None or now < before:
        return ""
    seconds = measured["now"] - options["before_at"]
    return f"; {now - before} were added in {ago(seconds)}, {60 * (now - before) / max(seconds, 1.0):.3g} a minute"


def _times(times: Times, options: dict[str, Any], check: Any) -> list[dict[str, Any]]:
    name, bound = options["name"] or options["queue"], options["within_seconds"]
    if not times:
        none = {"status": "ok", "detail": "no job that is done is kept: its time is not known"}
        return [
            check(f"queue:{name}:p95", "time until done", unit="s", **none),
            check(f"queue_within:{name}", "done in time", unit="%", **none),
        ]
    waits, works = [one[0] for one in times], [one[1] for one in times]
    percent = round(100 * sum(one <= bound for one in waits) / len(waits), 2)
    status, limit = judge_low(percent, **options["within_percent"])
    slow = percentile(waits, 0.95)
    detail = (
        f"95 % of the last {len(waits)} within {human_duration(slow)} of when they were due, half within "
        f"{human_duration(percentile(waits, 0.5))}; the work itself 95 % within {human_duration(percentile(works, 0.95))}"
    )
    return [
        check(f"queue:{name}:p95", "time until done", status="ok", value=round(slow, 3), unit="s", detail=detail),
        check(
            f"queue_within:{name}",
            "done in time",
            status=status if len(waits) >= FEWEST else "ok",
            value=percent,
            unit="%",
            limit=limit,
            detail=f"{percent:g} % of the last {len(waits)} within {human_duration(bound)}",
            remedy="jobs come faster than they are done: see the workers, how many there are and what holds them up",
        ),
    ]
