# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often a cache had what was asked for, by the lines of a log that tell it. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_low, make_check

# Words of nginx's $upstream_cache_status; an application says hit and miss.
HITS = ("HIT", "STALE", "UPDATING", "REVALIDATED")
MISSES = ("MISS", "EXPIRED")
PAST = ("BYPASS", "SCARCE")  # the cache was not asked
FEWEST_LOOKUPS = 20  # of fewer, a share says little
REMEDY = (
    "have it told: $upstream_cache_status in nginx's log_format and in the format of ops_logs, a field cache in JSON, "
    "or a pattern with (?P<cache>hit|miss)"
)


def word_of(value: Any) -> str | None:
    """Return what a line says of the cache; None where it says nothing."""
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else value
    word = text.upper() if isinstance(text, str) else ""
    return word if word in (*HITS, *MISSES, *PAST) else None


def cache_check(log: Mapping[str, Any], section: str, figures: Mapping[str, Any], period: str) -> dict[str, Any]:
    """Return the check of a cache whose hits a log tells."""
    cache, told = log.get("cache") or {}, figures["cache"]
    hits, misses, past = (sum(told.get(word, 0) for word in words) for words in (HITS, MISSES, PAST))
    share = round(100 * hits / (hits + misses), 2) if hits + misses else None
    limits = cache.get("hit_percent") or {}
    status, limit = judge_low(100.0 if share is None else share, limits.get("warning"), limits.get("critical"))
    if share is None:
        detail = f"none of {figures['lines']} lines tells what came from the cache {period}"
        status = "unknown" if figures["lines"] else "ok"
    else:
        words = ", ".join(f"{word} {count}" for word, count in told.items())
        detail = f"{hits} of {hits + misses} look-ups came from the cache {period} ({words})"
        detail += f"; {past} did not ask it" if past else ""
        if hits + misses < FEWEST_LOOKUPS:
            status, detail = "ok", f"{detail}: too few to judge"
    return make_check(
        f"log_scan:{log['name']}:cache_hits",
        name=f"{cache['name']}: hit rate" if cache else f"{log['name']}: hit rate of the cache",
        section=section,
        status=status,
        value=share,
        unit="%",
        limit=limit,
        detail=detail,
        remedy="see whether the cache was emptied, is too small, or keeps answers too short"
        if hits + misses
        else REMEDY,
    )
