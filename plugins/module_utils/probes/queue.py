# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A queue of Bull or BullMQ in Redis: how much waits, for how long, and whether a worker takes it. Private to this collection.

Waiting jobs are in three places: the list ``wait``, the list ``paused`` that Bull 4 and BullMQ 5 rename it to, and the sorted
set ``prioritized``. Redis deletes what is empty, so no key at all means that there is no such queue.
"""

from __future__ import annotations

import base64
import json
import time
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_check
from ansible_collections.runbook.ops.plugins.module_utils._log_times import redact
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError, limits
from ansible_collections.runbook.ops.plugins.module_utils._queue_checks import COUNT_OPTIONS, count_checks
from ansible_collections.runbook.ops.plugins.module_utils._redis import RedisDownError, Refusal, one_line
from ansible_collections.runbook.ops.plugins.module_utils._redis_server import SERVER_OPTIONS, ask_server, find_server
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration

SECTION = "Queues"
OPTIONS = {
    "queue": Option("str", "name of the queue", required=True),
    "prefix": Option("str", "what its keys begin with", "bull"),
    **SERVER_OPTIONS,
    **COUNT_OPTIONS,
    "failed_seconds": Option("float", "how far back failed jobs count; 0: all that are kept", 86400.0),
    "oldest_seconds": Option("limits", "for how long the oldest waiting job has been due", limits(3600)),
    "workers": Option("int", "how many workers must be connected; 0: they are not looked at", 1),
}
SAMPLE = 50  # jobs at each end of a list: the oldest is at one of them, at which depends on how jobs were added
MARKS = ("meta", "id", "events", "wait", "paused", "active", "delayed", "prioritized", "completed", "failed")
TAKEN_MS = 5000
SCORE = 4096  # the score of a delayed job is the time in ms at which it is due, times this, plus a counter


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return counts, ages and workers; two round trips, whatever the length of the queue."""
    server, prefix = find_server(options), f"{options['prefix']}:{options['queue']}"
    timeout = options["timeout_seconds"]
    began = time.monotonic()
    try:
        first = ask_server(server, first_questions(prefix), timeout)
        found = read_first(first, base64.b64encode(options["queue"].encode()).decode(), options["prefix"])
        now_ms = found["now_ms"]
        since = f"({now_ms - options['failed_seconds'] * 1000:.0f}" if options["failed_seconds"] else "-inf"
        left = max(0.1, timeout - (time.monotonic() - began))
        second = ask_server(server, second_questions(prefix, found, since), left)
    except RedisDownError as exc:
        raise ProbeError(f"{server.place}: {exc}", "see the Redis server that keeps the queue") from exc
    return read_second(found, second)


def first_questions(prefix: str) -> list[tuple[str | int, ...]]:
    """Return what is asked first: sizes, the ends of the lists, and who is connected."""
    return [
        ("TIME",),
        ("EXISTS", *(f"{prefix}:{mark}" for mark in MARKS)),
        ("LLEN", f"{prefix}:wait"),
        ("LLEN", f"{prefix}:paused"),
        ("ZCARD", f"{prefix}:prioritized"),
        ("LLEN", f"{prefix}:active"),
        ("ZCARD", f"{prefix}:delayed"),
        ("HGET", f"{prefix}:meta", "paused"),
        ("EXISTS", f"{prefix}:meta-paused"),
        ("ZRANGE", f"{prefix}:delayed", 0, 0, "WITHSCORES"),
        ("ZREVRANGE", f"{prefix}:failed", 0, 0),
        *(("LRANGE", f"{prefix}:{key}", start, end) for key in ("wait", "paused") for start, end in _ENDS),
        *(("ZRANGE", f"{prefix}:prioritized", start, end) for start, end in _ENDS),
        ("LRANGE", f"{prefix}:active", 0, 2 * SAMPLE - 1),
        ("CLIENT", "LIST"),
    ]


_ENDS = ((0, SAMPLE - 1), (-SAMPLE, -1))


def read_first(answers: list[Any], encoded_name: str, prefix: str) -> dict[str, Any]:
    """Return what the first answers say.

    :raises ProbeError: the server does not show these keys, or they are of another type.
    """
    *answers, clients = answers
    for answer in answers:
        if isinstance(answer, Refusal):
            raise ProbeError(f"Redis did not tell: {one_line(answer.text)}", "correct queue, prefix or the account")
    now, marks, wait, paused_jobs, prioritized, active, delayed, paused, paused_of_bull_4, due, last, *ends, held = (
        answers
    )
    # BullMQ 4 keeps a mark that begins with 0: in the list.
    markers = {job for end in ends for job in end if job.startswith("0:")}
    return {
        "now_ms": int(now[0]) * 1000 + int(now[1]) // 1000,
        "exists": marks > 0,
        "waiting": wait + paused_jobs + prioritized - len(markers),
        "active": active,
        "delayed": delayed,
        "paused": paused == "1" or bool(paused_of_bull_4),
        "due_ms": int(float(due[1])) // SCORE if due else None,
        "sample": sorted({job for end in ends for job in end} - markers),
        "held": held,
        "last_failed": last[0] if last else "",
        "workers": None if isinstance(clients, Refusal) else count_workers(clients, f"{prefix}:{encoded_name}"),
    }


def count_workers(clients: str, name: str) -> int:
    """Return how many of the connected ``clients`` wait for jobs: workers name their connection after the queue."""
    names = [field[5:] for line in clients.splitlines() for field in line.split(" ") if field.startswith("name=")]
    return sum(found == name or found.startswith(f"{name}:w:") for found in names)


def second_questions(prefix: str, found: dict[str, Any], since: str) -> list[tuple[str | int, ...]]:
    """Return what is asked about single jobs.

    A job leaves ``active`` together with its lock: only one that is still there after its lock was asked for has none.
    """
    return [
        ("ZCOUNT", f"{prefix}:failed", since, "+inf"),
        ("ZCARD", f"{prefix}:failed"),
        ("HGET", f"{prefix}:{found['last_failed']}", "failedReason"),
        *(("HMGET", f"{prefix}:{job}", "timestamp", "opts", "processedOn") for job in found["sample"]),
        *(("EXISTS", f"{prefix}:{job}:lock") for job in found["held"]),
        *(("HGET", f"{prefix}:{job}", "processedOn") for job in found["held"]),
        ("LRANGE", f"{prefix}:active", 0, 10 * SAMPLE),
    ]


def read_second(found: dict[str, Any], answers: list[Any]) -> dict[str, Any]:
    """Return ``found`` with what the second answers say."""
    refused = next((answer for answer in answers if isinstance(answer, Refusal)), None)
    if refused:
        raise ProbeError(f"Redis did not tell: {one_line(refused.text)}", "correct queue, prefix or the account")
    failed, kept, reason, *jobs, still = answers
    held, start = found["held"], len(found["sample"])
    locks, began = jobs[start : start + len(held)], jobs[start + len(held) :]
    due = [due_ms(*job) for job in jobs[: len(found["sample"])]]
    due.append(found["due_ms"])
    past = [moment for moment in due if moment is not None and moment <= found["now_ms"]]
    return {
        **{key: found[key] for key in ("exists", "waiting", "active", "delayed", "paused", "workers")},
        "failed": failed,
        "failed_kept": kept,
        "reason": redact(reason.encode(), most=120) if reason else None,
        "stalled": sum(
            not lock and job in still and is_old(moment, found["now_ms"])
            for job, lock, moment in zip(held, locks, began)
        ),
        "oldest_seconds": (found["now_ms"] - min(past)) / 1000 if past else 0.0,
    }


def is_old(processed: str | None, now_ms: int) -> bool:
    """Return whether a job was taken so long ago that its lock must be there: Bull 4 sets it a moment after."""
    return bool(processed) and str(processed).isdigit() and now_ms - int(str(processed)) > TAKEN_MS


def due_ms(timestamp: str | None, opts: str | None, processed: str | None) -> int | None:
    """Return since when a job could have been taken: added, plus its delay, or tried for the last time."""
    if not timestamp or not timestamp.isdigit():
        return None
    try:
        delay = int((json.loads(opts or "{}") or {}).get("delay") or 0)
    except (ValueError, TypeError, AttributeError):
        delay = 0
    return max(int(timestamp) + delay, int(processed) if processed and processed.isdigit() else 0)


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a check of each count, of the oldest job, and of the workers."""
    name, section = options["name"] or options["queue"], options["section"]
    identity = f"queue:{name}"
    if not measured["exists"]:
        missing = f"Redis has no key {options['prefix']}:{options['queue']}:…: never used, emptied, or another name"
        remedy = f"see which there are: redis-cli --scan --pattern '{options['prefix']}:*:id'"
        return [make_check(identity, name=name, section=section, status="warning", detail=missing, remedy=remedy)]
    window = f" within {human_duration(options['failed_seconds'])}" if options["failed_seconds"] else ""
    why = f"; the last one: {measured['reason']}" if measured["failed"] and measured["reason"] else ""
    notes = {"failed": f"{measured['failed']} failed{window}, {measured['failed_kept']} are kept{why}"}
    if measured["stalled"]:
        notes["active"] = f"{measured['active']} active, {measured['stalled']} of them held by no worker"
    checks = count_checks(identity, name, measured, options, notes)
    for check in checks:
        if check["id"].endswith(":active") and measured["stalled"] and check["status"] == "ok":
            check.update(status="warning", remedy="the worker that took them died: see its log, and start it")
    status, limit = judge_high(measured["oldest_seconds"], **options["oldest_seconds"])
    if measured["paused"] and options["paused"]:
        status, limit = "ok", None
    age = measured["oldest_seconds"]
    checks.append(
        make_check(
            f"{identity}:oldest",
            name=f"{name} oldest job",
            section=section,
            status=status,
            value=round(age, 1),
            unit="s",
            limit=limit,
            detail=f"due for {human_duration(age)}" if age else "none is due",
            remedy="jobs come faster than they are done, or nobody does them: see the workers",
        )
    )
    workers = _workers(identity, name, measured, options)
    return [*checks, workers] if workers else checks


def _workers(identity: str, name: str, measured: dict[str, Any], options: dict[str, Any]) -> dict[str, Any] | None:
    wanted, found = options["workers"], measured["workers"]
    if not wanted:
        return None
    more: dict[str, Any] = {"name": f"{name} workers", "section": options["section"], "unit": "workers"}
    if found is None:
        return make_check(
            f"{identity}:workers",
            status="unknown",
            detail="this account may not ask who is connected",
            remedy="allow it CLIENT LIST, or set workers to 0",
            **more,
        )
    pending = measured["waiting"] or measured["active"] or measured["oldest_seconds"]
    status = "ok" if found >= wanted else "critical" if not found and pending else "warning"
    waits = f", {measured['waiting']} jobs wait" if measured["waiting"] and status != "ok" else ""
    return make_check(
        f"{identity}:workers",
        status=status,
        value=found,
        limit=wanted,
        detail=f"{found} connected{waits}",
        remedy="start the workers, and read their log: they died or cannot reach Redis",
        **more,
    )
