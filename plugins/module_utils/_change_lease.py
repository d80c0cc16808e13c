# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose the lock of a host's changes is, and for how long. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, NamedTuple

FORMAT = 1
UNTAKEN: dict[str, Any] = {"format": FORMAT, "number": 0, "owner": None}
TAKEABLE = ("free", "mine", "over", "gone", "broken")


class Clock(NamedTuple):
    """A moment by two clocks: one that nobody sets and that a reboot ends, and the one on the wall."""

    boot: str
    ticks: float
    at: float


def standing(state: Mapping[str, Any], owner: str, now: Clock, *, gone: str = "", broken: str = "") -> str:
    """Return how the lock stands to the run ``owner``: one of :data:`TAKEABLE`, or ``held`` by another run.

    :param gone: the run that is known to have ended without a word
    :param broken: the run whose lock is to be broken, by name: a lock that has changed hands since is not
    """
    holder = state["owner"]
    if holder is None:
        return "free"
    if holder == owner:
        return "mine"
    if holder == gone:
        return "gone"
    if holder == broken:
        return "broken"
    return "held" if left_seconds(state, now) > 0 else "over"


def left_seconds(state: Mapping[str, Any], now: Clock) -> float:
    """Return for how long the lease still runs; 0 where it is over, or nobody holds the lock."""
    if state["owner"] is None:
        return 0.0
    ends = state["ends"]
    left = ends["ticks"] - now.ticks if ends["boot"] == now.boot else ends["at"] - now.at
    # A wall clock that was set back must not make the lease longer than it was.
    return round(max(0.0, min(left, state["lease_seconds"])), 1)


def taken(
    state: Mapping[str, Any], run: Mapping[str, Any], now: Clock, *, place: Mapping[str, Any], lease_seconds: float
) -> dict[str, Any]:
    """Return the lock in the hands of ``run``. Its number grows with each change of hands, and never shrinks.

    :param run: what identifies the run, as the description of the system returns it
    :param place: the system and the host, for those who read it
    """
    if state["owner"] == run["id"]:
        return renewed(state, now, lease_seconds=max(lease_seconds, left_seconds(state, now)))
    who = {key: str(run.get(key) or "") for key in ("playbook", "user", "controller", "process", "started_at")}
    mine = {**UNTAKEN, **who, **place, "number": state["number"] + 1, "owner": run["id"], "taken_at": _iso(now)}
    return renewed(mine, now, lease_seconds=lease_seconds)


def renewed(state: Mapping[str, Any], now: Clock, *, lease_seconds: float) -> dict[str, Any]:
    """Return the lock with its lease begun anew."""
    ends = {"boot": now.boot, "ticks": round(now.ticks + lease_seconds, 1), "at": round(now.at + lease_seconds, 1)}
    return {**state, "lease_seconds": lease_seconds, "ends": ends, "renewed_at": _iso(now)}


def released(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the lock in nobody's hands: the number stays, so that the next one is another."""
    return {**UNTAKEN, "number": state["number"]}


def brief(state: Mapping[str, Any], now: Clock) -> dict[str, Any] | None:
    """Return what a controller and a reader need to know of who holds the lock; None where nobody does."""
    if state["owner"] is None:
        return None
    keys = ("owner", "playbook", "user", "controller", "process", "host", "system", "taken_at", "renewed_at")
    return {**{key: state.get(key) or None for key in keys}, "left_seconds": left_seconds(state, now)}


def told(state: Mapping[str, Any], now: Clock) -> str:
    """Return who holds the lock, as half a sentence."""
    left = left_seconds(state, now)
    lease = f"its lease ends in {left:.0f} s" if left else "its lease is over"
    return (
        f"{state['playbook']} of {state['user']} on {state['controller']} changes this host since {state['taken_at']} "
        f"(run {state['owner']}, {lease})"
    )


def lost(state: Mapping[str, Any], number: int, owner: str) -> str | None:
    """Return why the holder of ``number`` must change nothing any more; None where the lock is still its own."""
    if state["number"] == number and state["owner"] == owner:
        return None
    if state["owner"] is None:
        return f"the lock {number} of run {owner} was given back or taken over since"
    return f"the lock {number} of run {owner} was taken over by {state['playbook']} (run {state['owner']})"


def _iso(now: Clock) -> str:
    return datetime.fromtimestamp(now.at, tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
