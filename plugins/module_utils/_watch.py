# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watch after a switch: errors and times of answers beside those before it. Private to this collection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class WatchWishes(NamedTuple):
    """What is watched, how long, and what is too bad."""

    requests: tuple[Mapping[str, Any], ...]  # options of the probe http; asked through nginx
    seconds: float = 60.0
    least_requests: int = 20  # fewer are no evidence
    error_percent: float = 5.0  # percentage points more than before
    slowdown_percent: float = 50.0  # of the 95th percentile before
    logs: tuple[str, ...] = ()  # access logs of nginx
    pause_seconds: float = 0.2  # between own requests


class Window(NamedTuple):
    """Answers within some time."""

    seconds: float = 0.0
    asked: int = 0  # own requests
    asked_failed: int = 0
    asked_p95: float | None = None  # seconds
    logged: int = 0  # requests of users, from the logs
    logged_failed: int = 0  # those with a status of 500 and above
    logged_p95: float | None = None  # None where the log's format has no time


class Verdict(NamedTuple):
    """What the watch came to."""

    good: bool
    why: str  # one line
    before: Window
    after: Window


def wishes_of(service: Mapping[str, Any], deployment: Mapping[str, Any], *, hotfix: bool = False) -> WatchWishes:
    """Return what the description asks for.

    :param service: as the role ``system`` describes it
    :param deployment: ``system_description['deployment']``
    """
    raise NotImplementedError


def measure_before(wishes: WatchWishes) -> Window:
    """Return how it was until now: own requests, one after the other for about two seconds, and what the logs hold."""
    raise NotImplementedError


def watch(wishes: WatchWishes, before: Window, *, look: Callable[[], str | None] | None = None) -> Verdict:
    """Watch for ``wishes.seconds``, less where it is bad before.

    :param look: says what is wrong with the slot itself, such as a restart; None where nothing is
    """
    raise NotImplementedError


def judge(before: Window, after: Window, wishes: WatchWishes) -> str | None:
    """Return in one line what became too bad; None where nothing did."""
    raise NotImplementedError


def verdict_checks(service: str, verdict: Verdict) -> list[dict[str, Any]]:
    """Return what the watch saw as checks."""
    raise NotImplementedError
