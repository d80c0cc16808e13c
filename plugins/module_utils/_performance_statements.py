# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks from what pg_stat_statements counted. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _slow_statements as slow
from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_check
from ansible_collections.runbook.ops.plugins.module_utils._performance_looks import ago, day_of
from ansible_collections.runbook.ops.plugins.module_utils._performance_sql import NOT_CREATED, NOT_LOADED
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration

REMEDY = "see its plan: EXPLAIN (ANALYZE, BUFFERS) on a copy, and whether an index is missing"


class About:
    """Which database the checks are about, and what it is compared with."""

    def __init__(self, options: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        self.name, self.section = options["name"] or options["database"], options["section"]
        self.options, self.facts = options, facts
        self.before: Mapping[str, Any] = options["before"] or {}

    def check(self, identity: str, title: str, **more: Any) -> dict[str, Any]:
        kind, _colon, rest = identity.partition(":")
        identity = f"{kind}:{self.name}:{rest}" if rest else f"{kind}:{self.name}"
        return make_check(identity, name=f"{self.name} {title}", section=self.section, **more)

    def since(self) -> tuple[Mapping[str, Any], str, float | None]:
        """Return the statistics to subtract, since when that counts, in words, and how many seconds that is."""
        now, old = self.facts["statistics"], self.before.get("statistics")
        reset = now["reset_at"]
        if old and old["hit"] <= now["hit"] and old["read"] <= now["read"] and old["reset_at"] == reset:
            seconds = self.facts["at"] - self.before["at"]
            return old, f"in {ago(seconds)}", seconds
        if reset:
            return (
                {},
                f"since the statistics were reset {human_duration(self.facts['at'] - reset)} ago",
                self.facts["at"] - reset,
            )
        return {}, "since the statistics began, nobody knows when", None


def of_statements(about: About, measured: Mapping[str, Any]) -> list[dict[str, Any]]:
    facts = about.facts
    if measured["counts"] is None:
        missing = not facts["extension"]
        detail = measured["refused"] or (
            "the extension pg_stat_statements is not created in this database"
            if missing and facts["loaded"]
            else "statements are not counted: pg_stat_statements is not in shared_preload_libraries"
        )
        remedy = "see the right of the role" if measured["refused"] else NOT_CREATED if facts["loaded"] else NOT_LOADED
        return [
            about.check(
                "statements:slowest", "slowest statement", status="unknown", unit="ms", detail=detail, remedy=remedy
            )
        ]
    return [_slowest(about, measured), _load(about, measured), *_each(about, measured)]


def _period(about: About, measured: Mapping[str, Any]) -> tuple[str, float | None]:
    now, reset = about.facts["at"], measured["reset"]
    if measured["compared"]:
        return f"in {ago(now - about.before['at'])}", now - about.before["at"]
    if reset:
        return f"since they were reset on {day_of(reset)}", now - reset
    return "since they were last reset, nobody knows when", None


def _judged(about: About, measured: Mapping[str, Any]) -> list[slow.Statement]:
    """Return the statements that were called often enough, the slowest first."""
    often = [one for one in measured["statements"] if one.calls >= about.options["least_calls"]]
    return sorted(often, key=lambda one: (-one.mean_ms, one.identity))


def _limits_ms(about: About) -> dict[str, float | None]:
    return {key: None if value is None else 1000 * value for key, value in about.options["slow_seconds"].items()}


def _slowest(about: About, measured: Mapping[str, Any]) -> dict[str, Any]:
    ranked = _judged(about, measured)
    worst = ranked[0].mean_ms if ranked else 0.0
    status, limit = judge_high(worst, **_limits_ms(about))
    period = _period(about, measured)[0]
    over = sum(limit is not None and one.mean_ms >= limit for one in ranked)
    listed = "; ".join(_told(one, measured) for one in ranked[: about.options["number"]])
    detail = (
        f"{over} of {len(ranked)} statements beyond the limit {period}; {listed}"
        if ranked
        else f"none was called {about.options['least_calls']} times {period}"
    )
    if measured["hidden"]:
        detail += "; those of other roles are hidden: GRANT pg_read_all_stats to the role that looks"
        status = "unknown" if status == "ok" else status
    if measured["dropped"]:
        detail += f"; {measured['dropped']} were dropped for want of room: raise pg_stat_statements.max"
    if about.facts["track"] == "none":
        detail += "; pg_stat_statements.track is none: nothing is counted"
        status = "unknown"
    return about.check(
        "statements:slowest",
        "slowest statement",
        status=status,
        value=worst,
        unit="ms",
        limit=limit,
        detail=detail,
        remedy=REMEDY,
    )


def _load(about: About, measured: Mapping[str, Any]) -> dict[str, Any]:
    period, seconds = _period(about, measured)
    statements: Sequence[slow.Statement] = measured["statements"]
    total = sum(one.total_ms for one in statements) / 1000
    listed = "; ".join(_told(one, measured) for one in statements[: about.options["number"]])
    calls = sum(one.calls for one in statements)
    return about.check(
        "statements:load",
        "time of all statements",
        status="ok",
        value=round(100 * total / seconds, 3) if seconds else None,
        unit="%",
        detail=f"{human_duration(total)} in {calls} calls {period}; most: {listed or 'none'}",
    )


def _each(about: About, measured: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a finding for each slow statement: named after its words, so that it is new, unchanged or fixed."""
    found: dict[str, dict[str, Any]] = {}
    for one in _judged(about, measured):
        status, limit = judge_high(one.mean_ms, **_limits_ms(about))
        text = measured["texts"].get(one.identity)
        if status == "ok" or not text or len(found) == 2 * about.options["number"]:
            continue
        name = slow.name_of(text)
        found.setdefault(
            name,
            about.check(
                f"statement:{name}",
                f"statement {name}",
                status=status,
                value=one.mean_ms,
                unit="ms",
                limit=limit,
                detail=f"{_told(one, measured)} ({_period(about, measured)[0]})",
                remedy=REMEDY,
            ),
        )
    return list(found.values())


def _told(one: slow.Statement, measured: Mapping[str, Any]) -> str:
    text = measured["texts"].get(one.identity, "(its text is not told)")
    rows = one.rows / max(1, one.calls)
    return f"{one.mean_ms:g} ms x {one.calls}, {one.share_percent:g} % of the time, {rows:.3g} rows each: {text}"
