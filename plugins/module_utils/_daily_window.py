# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A window of each day, such as ``22:00-04:30``, in which something may begin. Private to this collection."""

from __future__ import annotations

import re
import time


def parse_window(text: str) -> tuple[int, int]:
    """Return first and last minute of the day of a window such as ``22:00-04:30``.

    :raises ValueError: ``text`` is not one.
    """
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", text.strip())
    if not found:
        raise ValueError(f"window is {text!r}: write it as HH:MM-HH:MM, such as 02:00-05:00")
    first_hour, first_minute, last_hour, last_minute = map(int, found.groups())
    return first_hour * 60 + first_minute, last_hour * 60 + last_minute


def seconds_to_end(text: str, now: time.struct_time) -> float:
    """Return the seconds from ``now``, which lies in the window, to its end."""
    minutes = (parse_window(text)[1] - now.tm_hour * 60 - now.tm_min) % (24 * 60)
    return minutes * 60 - now.tm_sec


def in_window(text: str, now: time.struct_time) -> bool:
    """Return whether ``now`` lies in the window, which may cross midnight."""
    first, last = parse_window(text)
    minute = now.tm_hour * 60 + now.tm_min
    return first <= minute < last if first <= last else minute >= first or minute < last
