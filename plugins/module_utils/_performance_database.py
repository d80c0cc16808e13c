# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks from what a PostgreSQL database told of its performance. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _slow_statements as slow
from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, judge_low
from ansible_collections.runbook.ops.plugins.module_utils._performance_looks import ago
from ansible_collections.runbook.ops.plugins.module_utils._performance_statements import About, of_statements
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration, human_size

FEWEST_BLOCKS = 10_000  # a share of less says nothing
IDLE_BYTES = 10_000_000  # an index below it is no burden
LEAST_DAYS = 7.0  # an index that nobody used for less may be one of every month's end


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the checks: sizes, cache, indexes, what runs, and statements."""
    about = About(options, measured["facts"])
    return [
        *_sizes(about),
        _cache(about),
        _whole_reads(about),
        _idle_indexes(about),
        _running(about),
        *of_statements(about, measured),
    ]


def _sizes(about: About) -> list[dict[str, Any]]:
    facts, options = about.facts, about.options
    old: Mapping[str, Any] = about.before.get("tables") or {}
    known = [one for one in facts["tables"] if one["bytes"] is not None]
    largest = ", ".join(
        f"{one['name']} {human_size(one['bytes'])}{_grown(one['bytes'], (old.get(one['name']) or [None])[0])}"
        for one in known[: options["number"]]
    )
    bytes_ = facts["bytes"]
    grown = _grown(bytes_, about.before.get("bytes"), about, zero=True)
    checks = [
        about.check(
            "size",
            "size",
            status="ok",
            value=bytes_,
            unit="bytes",
            detail=f"{human_size(bytes_)}{grown}; largest: {largest or 'no table'}",
        )
    ]
    sizes = {one["name"]: one["bytes"] for one in facts["tables"]} | facts["partitioned"]
    for table in options["tables"]:
        size = sizes.get(table)
        if size is None:
            reason, remedy = "there is no such table, or it is none of the largest", "correct tables in ops_databases"
            if table in sizes:
                reason, remedy = "somebody has locked it completely", "see who in pg_locks, and look again"
            checks.append(
                about.check(
                    f"size:{table}",
                    f"table {table}",
                    status="unknown",
                    unit="bytes",
                    detail=reason,
                    remedy=remedy,
                )
            )
            continue
        detail = human_size(size) + _grown(size, (old.get(table) or [None])[0], about, zero=True)
        checks.append(
            about.check(f"size:{table}", f"table {table}", status="ok", value=size, unit="bytes", detail=detail)
        )
    return checks


def _grown(now: int, before: int | None, about: About | None = None, *, zero: bool = False) -> str:
    """Return in brackets by how much something grew; with ``about`` since when."""
    if before is None or (now == before and not zero):
        return ""
    sign = "+" if now > before else "-" if now < before else "±"
    when = f" in {ago(about.facts['at'] - about.before['at'])}" if about else ""
    return f" ({sign}{human_size(abs(now - before))}{when})"


def _cache(about: About) -> dict[str, Any]:
    old, since, _seconds = about.since()
    now = about.facts["statistics"]
    hit, read = now["hit"] - old.get("hit", 0), now["read"] - old.get("read", 0)
    if hit + read < FEWEST_BLOCKS:
        return about.check(
            "cache_hit", "cache", status="ok", unit="%", detail=f"{hit + read} blocks {since}: too few to judge"
        )
    percent = round(100 * hit / (hit + read), 2)
    status, limit = judge_low(percent, **about.options["hit_percent"])
    spilled = now["temporary_bytes"] - old.get("temporary_bytes", 0)
    detail = f"{percent:g} % of {hit + read} blocks were in memory {since}"
    if spilled:
        detail += f"; {human_size(spilled)} of sorts and joins went to disk"
    return about.check(
        "cache_hit",
        "cache",
        status=status,
        value=percent,
        unit="%",
        limit=limit,
        detail=detail,
        remedy="see the statements with most time: an index that is missing reads all; then shared_buffers (a quarter of the memory)",
    )


def _whole_reads(about: About) -> dict[str, Any]:
    """Return the check of large tables that are read whole more often than by an index."""
    old: Mapping[str, Any] = about.before.get("tables") or {} if about.since()[0] else {}
    found = []
    for one in about.facts["tables"]:
        before = old.get(one["name"]) or [None, 0, 0]
        whole, by_index = one["whole"] - before[1], one["by_index"] - before[2]
        if one["rows"] >= about.options["large_rows"] and whole >= 10 and whole > by_index:
            found.append((whole, f"{one['name']} ({one['rows']} rows, {whole} times whole, {by_index} by an index)"))
    listed = ", ".join(text for _count, text in sorted(found, reverse=True)[: about.options["number"]])
    return about.check(
        "whole_reads",
        "tables read whole",
        status="ok",
        value=len(found),
        unit="tables",
        detail=f"{listed or 'no large one'} {about.since()[1]}",
    )


def _idle_indexes(about: About) -> dict[str, Any]:
    statistics, since, seconds = about.since()
    old: Mapping[str, Any] = about.before.get("indexes") or {} if statistics else {}
    found = [
        one
        for one in about.facts["indexes"]
        if (one["bytes"] or 0) >= IDLE_BYTES
        and one["scans"] == old.get(one["name"], 0)
        and (one["name"] in old or not statistics)  # one that was made since has not been there for the period
    ]
    size = sum(one["bytes"] for one in found)
    listed = ", ".join(f"{one['name']} {human_size(one['bytes'])}" for one in found[: about.options["number"]])
    detail = (
        f"{human_size(size)} of indexes without a single use {since}: {listed}"
        if found
        else f"each large index was used {since}"
    )
    if found and seconds is not None and seconds < LEAST_DAYS * 86400:
        detail += "; that is short: look again after a month before one is dropped"
    return about.check("idle_indexes", "idle indexes", status="ok", value=size, unit="bytes", detail=detail)


def _running(about: About) -> dict[str, Any]:
    running, hidden = about.facts["running"], about.facts["hidden"]
    bound = about.options["slow_seconds"]
    longest = round(running[0]["seconds"], 3) if running else 0.0
    status, limit = judge_high(longest, **bound)
    least = min((one for one in bound.values() if one is not None), default=0)
    slow_ones = [one for one in running if one["seconds"] >= least]
    listed = "; ".join(
        f"{human_duration(one['seconds'])}{' waiting for ' + one['waits_for'] if one['waits_for'] in ('Lock', 'LWLock', 'IO') else ''}, pid {one['pid']}: "
        f"{slow.normalise(one['query'])}"
        for one in slow_ones[: about.options["number"]]
    )
    detail = f"{len(running)} run at this moment" + (
        f", {len(slow_ones)} of them for long: {listed}" if slow_ones else ""
    )
    if hidden:
        detail += f"; sessions of other roles are hidden ({hidden}): GRANT pg_read_all_stats to the role that looks"
        status = "unknown" if status == "ok" else status
    return about.check(
        "running",
        "running statements",
        status=status,
        value=longest,
        unit="s",
        limit=limit,
        detail=detail,
        remedy="see what it waits for in pg_stat_activity; pg_cancel_backend(pid) ends the statement, not the session",
    )
