# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which values a report draws, under which heading, and which of them can be full. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._growth import until_full
from ansible_collections.runbook.ops.plugins.module_utils._series import Point, thin

DRAWN_PER_TOPIC = 9
DRAWN_POINTS = 90
SMALL_POINTS = 36
SIZES = ("B", "bytes")
FILLS = ("%", *SIZES, "jobs", "connections", "clients", "rows")


class Topic(NamedTuple):
    """A heading, and the ids of the checks below it; with ``units`` only those in one of them."""

    title: str
    ids: tuple[str, ...]
    units: tuple[str, ...] = ()


TOPICS = (
    Topic("Disks", ("disk:*", "docker:disk")),
    Topic("Error rate", ("error_rate:*",)),
    Topic(  # before the response times, which would take the percentiles of some of them
        "Performance",
        (
            *("statement:*:*", "statements:*:*", "cache_hit:*", "redis_hits:*", "redis_slow:*"),
            *("queue_within:*", "pm2:*:event_loop", "metrics:*"),
        ),
    ),
    Topic(
        "Response times", ("http:*", "latency:*", "*:p50", "*:p75", "*:p90", "*:p95", "*:p99"), ("s", "ms", "seconds")
    ),
    Topic("Queues", ("queue:*", "queue_http:*")),
    Topic("Backups", ("backup:*", "backup-proof:*"), ("s", *SIZES)),
    Topic("Certificates", ("certificate:*", "certificate_*:*"), ("days",)),
    Topic("Databases", ("postgresql:*", "mongodb:*", "database:*", "size:*", "redis:*"), ("%", *SIZES)),
    Topic("Memory", ("memory", "swap", "pm2:*:memory", "compose:*:memory"), ("%", *SIZES)),
    Topic("The system's own figures", ("query:*", "kpi:*", "cost:*")),
)
CAPACITY = (
    *("disk:*", "inodes:*", "docker:disk", "memory", "swap", "postgresql:*", "mongodb:*", "redis:*"),
    *("database:*", "size:*", "queue:*", "pm2:*:memory", "compose:*:memory"),
)
NEVER_FULL = ("redis:*:hits",)  # a share that fills nothing: the best one is 100 %


def topic_of(identity: str, unit: str | None) -> str | None:
    """Return the heading under which a check is drawn; None for what is only listed."""
    for topic in TOPICS:
        if any(fnmatchcase(identity, pattern) for pattern in topic.ids) and (not topic.units or unit in topic.units):
            return topic.title
    return None


def capacity_of(figure: Mapping[str, Any], points: Sequence[Point], *, now: float) -> dict[str, Any] | None:
    """Return when what ``figure`` measures is full; None for what cannot be.

    :param figure: host, id, name, unit, limit and value of a check
    """
    unit, identity = figure["unit"], figure["id"]
    fills, never = (any(fnmatchcase(identity, one) for one in patterns) for patterns in (CAPACITY, NEVER_FULL))
    if unit not in FILLS or never or not fills:
        return None
    limit = figure["limit"]
    known = isinstance(limit, (int, float)) and not isinstance(limit, bool) and limit > 0
    if unit != "%" and not known:
        if unit not in SIZES:
            return None
        limit = None
    full = 100.0 if unit == "%" else float(limit) if limit is not None else float("inf")
    growth = until_full(full, points, now=now)
    told = {name: figure[name] for name in ("host", "id", "name", "unit", "value")}
    if limit is None and growth.verdict == "steady":
        growth = growth._replace(verdict="open", reason="no limit is known")
    return {
        **told,
        "full_at": None if limit is None and unit != "%" else full,
        "verdict": growth.verdict,
        "reason": growth.reason,
        "days": _rounded(growth.days),
        "low_days": _rounded(growth.low),
        "high_days": _rounded(growth.high),
        "per_month": None if growth.per_day is None else round(growth.per_day * 30, 4),
    }


def draw_list(figures: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the figures by topic that are drawn large, and all others, which are drawn small."""
    topics: list[dict[str, Any]] = []
    for topic in TOPICS:
        own = [one for one in figures if one["topic"] == topic.title and len(one["points"]) > 1]
        own.sort(key=lambda one: (one["status"] == "ok", -_movement(one), one["host"], one["name"]))
        if own[:DRAWN_PER_TOPIC]:
            large = sorted(own[:DRAWN_PER_TOPIC], key=lambda one: (one["name"], one["host"]))
            topics.append({"title": topic.title, "charts": [_thinned(one, DRAWN_POINTS) for one in large]})
    drawn = {(one["host"], one["id"]) for topic in topics for one in topic["charts"]}
    rest = [_thinned(one, SMALL_POINTS) for one in figures if (one["host"], one["id"]) not in drawn]
    return topics, rest


def _thinned(figure: dict[str, Any], most: int) -> dict[str, Any]:
    return {**figure, "points": [[round(at), value] for at, value in thin(figure["points"], most)]}


def _movement(figure: Mapping[str, Any]) -> float:
    span = figure["highest"] - figure["lowest"]
    return span / (abs(figure["highest"]) or 1)


def _rounded(days: float | None) -> float | None:
    return None if days is None else round(days, 1)
