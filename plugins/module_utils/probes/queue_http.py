# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Queues whose numbers an application tells over HTTP, as JSON. Private to this collection."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_check
from ansible_collections.runbook.ops.plugins.module_utils._http_json import DOOR_OPTIONS, NoAnswerError, get, get_json
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError, limits
from ansible_collections.runbook.ops.plugins.module_utils._queue_checks import COUNT_OPTIONS, count_checks
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration

SECTION = "Queues"
OPTIONS = {
    "url": Option("str", "what to ask; redirects are not followed", required=True),
    "path": Option(
        "str",
        "keys, with dots between them, that lead to the queues; without it the document itself, or its key queues",
    ),
    "queue": Option("str", "the one queue that is looked at; without it all that are told"),
    **DOOR_OPTIONS,
    **COUNT_OPTIONS,
    "oldest_key": Option("str", "key of the age of the oldest waiting job, in seconds"),
    "oldest_seconds": Option("limits", "that age", limits(3600)),
    "guarded": Option("bool", "with token or user: whether it must refuse who brings neither", True),
}
# What Bull and BullMQ call these numbers, and what people make of it.
NAMES = {
    "waiting": ("waiting", "wait", "paused", "prioritized"),
    "active": ("active",),
    "delayed": ("delayed",),
    "failed": ("failed",),
}
NESTED = ("counts", "jobCounts", "job_counts", "stats")


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return the numbers by queue, and whether they are told to anybody."""
    began = time.monotonic()
    try:
        document = get_json(options["url"], options, options["timeout_seconds"])
        is_open = False
        if options["guarded"] and (options["token"] or options["user"]):
            left = max(0.1, options["timeout_seconds"] - (time.monotonic() - began))
            is_open = get(options["url"], options, left, login=False)[0] == 200
    except NoAnswerError as exc:
        raise ProbeError(f"{options['url']}: {exc}", "see the application that tells them") from exc
    found = read_queues(
        document, options["path"], options["queue"] or options["name"] or "queue", options["oldest_key"]
    )
    return {"queues": found, "open": is_open}


def read_queues(document: Any, path: str | None, name: str, oldest_key: str | None = None) -> dict[str, dict[str, Any]]:
    """Return the numbers by queue, in whichever of the usual shapes ``document`` has them.

    :param path: keys that lead to the queues, with dots between them
    :param name: what a queue without a name is called
    :raises ProbeError: there is no such path, or nothing there looks like a queue.
    """
    places = [follow(document, path)] if path else [document, *_inner(document)]
    for place in places:
        named = _named(place, name)
        found = {key: counts_of(value, oldest_key) for key, value in named.items() if isinstance(value, Mapping)}
        found = {key: counts for key, counts in found.items() if counts}
        if found:
            return found
    raise ProbeError(
        f"no queue is told{f' at {path}' if path else ''}: looked for waiting, active, delayed and failed",
        "name the keys that lead to the queues in path",
    )


def _inner(document: Any) -> list[Any]:
    return [document["queues"]] if isinstance(document, Mapping) and "queues" in document else []


def _named(place: Any, name: str) -> dict[str, Any]:
    if isinstance(place, Mapping):
        return {name: place} if counts_of(place) else {str(key): value for key, value in place.items()}
    if isinstance(place, list):
        return {
            str(item.get("name") or item.get("queue") or index): item
            for index, item in enumerate(place)
            if isinstance(item, Mapping)
        }
    return {}


def follow(document: Any, path: str) -> Any:
    """Return what stands at ``path``.

    :raises ProbeError: nothing does.
    """
    for key in path.split("."):
        if not isinstance(document, Mapping) or key not in document:
            raise ProbeError(f"the answer has no {key!r} (path {path})", "correct path")
        document = document[key]
    return document


def counts_of(value: Mapping[str, Any], oldest_key: str | None = None) -> dict[str, Any]:
    """Return the numbers that ``value`` or a mapping within it tells; nothing where it tells none."""
    inner: Mapping[str, Any] = next((value[key] for key in NESTED if isinstance(value.get(key), Mapping)), {})
    told = {**inner, **{key: one for key, one in value.items() if key not in inner}}
    counts: dict[str, Any] = {}
    for thing, keys in NAMES.items():
        numbers = [told[key] for key in keys if is_count(told.get(key))]
        if numbers:
            counts[thing] = sum(numbers)
    if not counts:
        return {}
    counts["paused"] = told.get("isPaused") is True or told.get("paused") is True
    age = told.get(oldest_key) if oldest_key else None
    counts["oldest_seconds"] = age if is_count(age) else None
    return counts


def is_count(value: Any) -> bool:
    """Return whether ``value`` is a number that can be a count."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the checks of each queue, and one of the door where it should be guarded."""
    wanted, section = options["queue"], options["section"]
    checks = []
    if wanted and wanted not in measured["queues"]:
        told = ", ".join(sorted(measured["queues"]))
        name = options["name"] or wanted
        checks.append(
            make_check(
                f"queue:{name}",
                name=name,
                section=section,
                status="warning",
                detail=f"the application tells of no such queue; it tells of {told}",
                remedy="see whether its workers registered it, or correct queue",
            )
        )
    for key, counts in measured["queues"].items():
        if wanted not in (None, key):
            continue
        name = options["name"] if wanted and options["name"] else key
        checks += count_checks(f"queue:{name}", name, counts, options)
        if options["oldest_key"]:
            checks.append(_oldest(name, counts["oldest_seconds"], options))
    if options["guarded"] and (options["token"] or options["user"]):
        checks.append(
            make_check(
                f"queue_http:{options['name'] or options['url']}:access",
                name=f"{options['name'] or 'Queue statistics'} access",
                section=section,
                status="warning" if measured["open"] else "ok",
                detail="it tells anybody who asks" if measured["open"] else "refused without a login",
                remedy="close it: demand the token, or bind it to the loopback address",
            )
        )
    return checks


def _oldest(name: str, age: float | None, options: dict[str, Any]) -> dict[str, Any]:
    more = {"name": f"{name} oldest job", "section": options["section"], "unit": "s"}
    if age is None:
        return make_check(
            f"queue:{name}:oldest",
            status="unknown",
            detail=f"the answer does not tell {options['oldest_key']}",
            remedy="correct oldest_key",
            **more,
        )
    status, limit = judge_high(age, **options["oldest_seconds"])
    return make_check(
        f"queue:{name}:oldest",
        status=status,
        value=age,
        limit=limit,
        detail=f"waits for {human_duration(age)}",
        remedy="jobs come faster than they are done, or nobody does them: see the workers",
        **more,
    )
