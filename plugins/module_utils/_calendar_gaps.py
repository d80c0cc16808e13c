# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hours that do not exist because the clocks are put forward. Private to this collection."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from ansible_collections.runbook.ops.plugins.module_utils._calendar_rule import check_zone

# Changes of the clocks that are made up for. Fixed, so that what is installed in one year is not different in the next.
FIRST_YEAR, LAST_YEAR = 2026, 2037
DAY = timedelta(days=1)


class Gap(NamedTuple):
    """A time of the wall clock that does not exist: from ``start`` until before ``end``, which does, and is ``at`` in UTC."""

    start: datetime
    end: datetime
    at: datetime


@lru_cache(maxsize=32)
def gaps(zone: str) -> tuple[Gap, ...]:
    """Return the times that do not exist in ``zone`` in the years that are made up for."""
    place, found = check_zone(zone), []
    at, end = datetime(FIRST_YEAR, 1, 1, tzinfo=timezone.utc), datetime(LAST_YEAR + 1, 1, 1, tzinfo=timezone.utc)
    while at < end:
        before, after = at.astimezone(place).utcoffset(), (at + DAY).astimezone(place).utcoffset()
        if before is not None and after is not None and after > before:
            change = _change(at, place)
            wall = change.replace(tzinfo=None)
            found.append(Gap(wall + before, wall + after, change))
        at += DAY
    return tuple(found)


def _change(at: datetime, place: ZoneInfo) -> datetime:
    """Return the minute within a day from ``at`` from which on the offset of ``place`` is another one."""
    offset, low, high = at.astimezone(place).utcoffset(), 0, 1440
    while high - low > 1:
        middle = (low + high) // 2
        if (at + timedelta(minutes=middle)).astimezone(place).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return at + timedelta(minutes=high)
