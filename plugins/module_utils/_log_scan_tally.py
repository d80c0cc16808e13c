# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts of a log that never grow beyond a bound: top lists, histograms, what patterns met. Private to this collection."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._log_scan_cache import word_of

MOST_VALUES = 4000  # distinct ones that a top list keeps; twice as many before it is cut
MOST_ENDPOINTS = 500
MOST_STEPS = 200_000  # distinct pairs of endpoint and duration
EXACT_MS = 10_000  # durations up to here are kept to the millisecond, longer ones to a tenth of a second
LONGEST_MS = 600_000
OTHERS = "(others)"
Histogram = Counter[int]


class Tops:
    """How often values occur. Beyond the bound the rare ones are counted together as others."""

    def __init__(self, most: int = MOST_VALUES) -> None:
        self.counts: Counter[bytes] = Counter()
        self.others = 0
        self._most = most

    def update(self, values: Iterable[bytes] | Mapping[bytes, int]) -> None:
        self.counts.update(values)
        if len(self.counts) > 2 * self._most:
            self.trim()

    def add(self, value: bytes, times: int) -> None:
        self.counts[value] += times
        if len(self.counts) > 2 * self._most:
            self.trim()

    def trim(self) -> None:
        """Keep the most frequent ones. The order of equals is that of the values, so that two runs agree."""
        ranked = sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))
        self.others += sum(count for _value, count in ranked[self._most :])
        self.counts = Counter(dict(ranked[: self._most]))

    def merge(self, other: Tops) -> None:
        self.others += other.others
        self.update(other.counts)

    @property
    def total(self) -> int:
        return sum(self.counts.values()) + self.others

    def top(self, number: int) -> list[tuple[bytes, int]]:
        return sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))[:number]


def step_of(milliseconds: float) -> int:
    """Return the step of a histogram in which a duration is counted."""
    whole = int(milliseconds + 0.5)
    return whole if whole < EXACT_MS else min(whole // 100 * 100, LONGEST_MS)


def percentile(histogram: Mapping[int, int], percent: float) -> int | None:
    """Return the smallest duration that at least ``percent`` of all do not exceed; None where there is none."""
    total = sum(histogram.values())
    if not total:
        return None
    wanted, seen = max(1, -(-total * percent // 100)), 0
    for step in sorted(histogram):
        seen += histogram[step]
        if seen >= wanted:
            return step
    return None


def is_asked(name: str, asked: Collection[str]) -> bool:
    """Return whether an endpoint is one of those that are described, with its method or with any."""
    return name in asked or name.partition(" ")[2] in asked


class Endpoint:
    """What was asked of one endpoint."""

    def __init__(self) -> None:
        self.statuses: Counter[str] = Counter()
        self.durations: Histogram = Counter()

    @property
    def count(self) -> int:
        return sum(self.statuses.values())

    def merge(self, other: Endpoint) -> None:
        self.statuses.update(other.statuses)
        self.durations.update(other.durations)


class Requests:
    """What was asked of a server, by endpoint."""

    def __init__(self) -> None:
        self.endpoints: dict[str, Endpoint] = {}
        self.folded = 0  # endpoints that are counted as others
        self.asked: frozenset[str] = frozenset()  # these never are

    def add(self, endpoint: str, status: str, milliseconds: float | None, times: int = 1) -> None:
        one = self.endpoints.get(endpoint)
        if one is None:
            one = self.endpoints[endpoint] = Endpoint()
        one.statuses[status] += times
        if milliseconds is not None:
            one.durations[step_of(milliseconds)] += times

    def merge(self, other: Requests) -> None:
        self.folded += other.folded
        for name, one in other.endpoints.items():
            self.endpoints.setdefault(name, Endpoint()).merge(one)
        self.trim()

    def trim(self) -> None:
        """Count the endpoints that are asked least as others where there are too many, or too many durations."""
        while len(self.endpoints) > 2 * MOST_ENDPOINTS or (
            sum(len(one.durations) for one in self.endpoints.values()) > MOST_STEPS
        ):
            asked = {name: one for name, one in self.endpoints.items() if is_asked(name, self.asked)}
            free = {name: one for name, one in self.endpoints.items() if name != OTHERS and name not in asked}
            if len(free) < 2:
                return
            others = self.endpoints.get(OTHERS) or Endpoint()
            ranked = sorted(free.items(), key=lambda item: (-item[1].count, item[0]))
            keep = min(MOST_ENDPOINTS, len(ranked) // 2)
            for _name, one in ranked[keep:]:
                others.merge(one)
                self.folded += 1
            self.endpoints = {**asked, **dict(ranked[:keep]), OTHERS: others}

    def whole(self) -> Endpoint:
        """Return all endpoints together."""
        total = Endpoint()
        for one in self.endpoints.values():
            total.merge(one)
        return total


class Met:
    """What one pattern met."""

    def __init__(self) -> None:
        self.count = 0
        self.groups: dict[str, Tops] = {}
        self.durations: Histogram = Counter()
        self.first = b""
        self.last = b""
        self.examples: list[bytes] = []

    def merge(self, later: Met) -> None:
        """Add what was met later in the log."""
        self.count += later.count
        self.durations.update(later.durations)
        self.first = self.first or later.first
        self.last = later.last or self.last
        self.examples = later.examples or self.examples
        for name, tops in later.groups.items():
            self.groups.setdefault(name, Tops()).merge(tops)


class Tally:
    """All that was counted in one log, or in a part of it."""

    def __init__(self) -> None:
        self.lines = 0
        self.bytes_read = 0
        self.broken = 0  # lines that are not of the log's format
        self.undated = 0  # bytes of which no line has a time
        self.is_ordered = True
        self.begins_at: float | None = None  # the oldest file, whether that counts or not
        self.first_at: float | None = None
        self.last_at: float | None = None
        self.requests = Requests()
        self.tops: dict[str, Tops] = {}
        self.met: dict[str, Met] = {}
        self.cache: Counter[str] = Counter()  # what lines say of a cache, by its few words
        self.notes: dict[str, None] = {}  # what people have to know, in order

    def merge(self, later: Tally) -> None:
        """Add the tally of a later part of the log."""
        self.lines += later.lines
        self.bytes_read += later.bytes_read
        self.broken += later.broken
        self.undated += later.undated
        self.is_ordered = self.is_ordered and later.is_ordered
        self.begins_at = later.begins_at if self.begins_at is None else self.begins_at
        self.first_at = later.first_at if self.first_at is None else self.first_at
        self.last_at = self.last_at if later.last_at is None else later.last_at
        self.requests.merge(later.requests)
        self.notes.update(later.notes)
        self.cache.update(later.cache)
        for name, tops in later.tops.items():
            self.tops.setdefault(name, Tops()).merge(tops)
        for name, met in later.met.items():
            self.met.setdefault(name, Met()).merge(met)

    def note(self, text: str) -> None:
        self.notes[text] = None

    def cached(self, value: Any, times: int = 1) -> None:
        """Count what a line says of a cache, where it says anything."""
        word = word_of(value)
        if word:
            self.cache[word] += times

    def top(self, name: str, values: Any) -> None:
        self.tops.setdefault(name, Tops()).update(values)
