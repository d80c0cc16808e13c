# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be done so that a release is staged, promoted or gone back from. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._deploy_journal import BEFORE, Entry

STATES = ("staged", "promoted", "rolled_back", "recovered", "retired", "absent")
STEPS = {
    "undo": "take away what a deploy that was cut off has staged",
    "return": "finish the way back of a deploy that was cut off",
    "finish": "finish a deploy that was cut off after its switch",
    "adopt": "take what runs for the first release",
    "prepare": "note what is about to be done",
    "start": "start it in the idle slot",
    "gate": "ask it whether it is healthy and the right version",
    "switch": "send the requests to it",
    "watch": "watch errors and speed",
    "mark": "mark it good",
    "retire": "stop what served before",
    "give": "have the proxy lead to what serves by its own files, and remove the sockets",
}
ADOPTED = "what runs"  # until it has a name
CUT_OFF = "it was cut off"
MOMENT_SECONDS = 15 * 60
NEW_SLOT = "new"  # at Vercel, of what has no name yet: each release is in a slot of its own name
BASE = "base"  # the slot of Compose in which only a person starts something
QUIET = ("gate", "watch", "prepare")  # these alone change nothing
NEW = ("prepare", "start", "gate")


class Live(NamedTuple):
    """Who gets the requests."""

    slot: str
    release: str


class Wish(NamedTuple):
    """What is asked for."""

    state: str
    release: str | None  # None where the state says which
    parked: bool = False
    keep_standing: bool = True
    beside: bool = True  # the new one runs beside the old one, and not in its place
    ends: bool = True  # what is left is stopped, and what is wished is started; at Vercel each release stands by itself


class Seen(NamedTuple):
    """What there is."""

    entry: Entry | None
    live: Live | None
    adoptable: str | None  # the slot of something that serves and that no deploy has started
    slots: dict[
        str, str | None
    ]  # the release that runs in each, by its name; "" for something unknown, None for nothing
    ports: dict[str, int]  # of the slots: those that share one cannot run side by side
    last_good: str | None  # other than the live one
    came_back: str | None = None  # the release that was gone back from to the live one a moment ago, not by a rollback
    taken: bool = False  # the proxy is led by our files; looked at only where that is to end


class PlanError(Exception):
    """It cannot be planned; nothing was touched."""


def assumed(seen: Seen) -> Seen:
    """Return what there is once what a person has started is taken for the first release."""
    return seen._replace(live=Live(seen.adoptable, ADOPTED)) if seen.live is None and seen.adoptable else seen


def settles(entry: Entry | None, wish: Wish) -> str | None:
    """Return the step that ends what was cut off: undo, finish or return; None where there is nothing to end."""
    if entry is None:
        return None
    if entry.phase == "returning":
        return "return"
    if entry.phase == "switching":
        return "finish"  # or its undoing: who is live tells, when it is done
    if entry.phase not in BEFORE:
        return "finish"
    goes_on = entry.phase == "gated" and entry.kind == "deploy"
    if goes_on and wish.state in ("staged", "promoted") and wish.release in (None, entry.release):
        return None
    return None if goes_on and entry.parked and wish.state in ("recovered", "retired", "absent") else "undo"


def came_back(events: Iterable[Mapping[str, Any]], live: str, *, run: str, now: float) -> str | None:
    """Return the release that was gone back from to ``live`` a moment ago, or by this run; None where that is long ago, or was none.

    Who asks for a rollback then means the bad release: it is done already, and one more would take the good one away.
    """
    for event in reversed([*events]):
        if event["event"] == "good" and event["release"] == live:
            return None
        mine = bool(run) and event.get("run") == run
        if event["event"] == "rolled_back" and event["release"] != live and (mine or _is_recent(event.get("at"), now)):
            return str(event["release"])
        if event["event"] == "retired" and event.get("reason") == CUT_OFF and mine:
            return str(event["release"])
    return None


def _is_recent(at: Any, now: float) -> bool:
    try:
        seconds = now - datetime.fromisoformat(str(at)).timestamp()
        return abs(seconds) <= MOMENT_SECONDS  # in the future: the clock was set back
    except ValueError:
        return False


def target(seen: Seen, wish: Wish) -> str:
    """Return the release that is wished.

    :raises PlanError: nobody says which.
    """
    if wish.release:
        return wish.release
    if wish.state == "promoted":
        if seen.entry is not None and seen.entry.phase in BEFORE:
            return seen.entry.release
        raise PlanError("nothing is staged: stage a release first, or name one")
    if seen.last_good is None:
        raise PlanError("there is no other release that is known to be good: name one, or deploy one")
    return seen.last_good


def place(seen: Seen, wish: Wish, name: str) -> str:
    """Return the slot for the release ``name``: where it stands already, or the one beside the live one.

    :raises PlanError: there is no second slot.
    """
    standing = [slot for slot, runs in seen.slots.items() if runs == name]
    if wish.beside and standing:
        return standing[0]
    slots = [slot for slot in seen.ports if slot != BASE]
    if seen.live is None:
        return slots[0]
    if not wish.beside:
        return slots[0] if seen.live.slot == BASE else seen.live.slot
    for slot in slots:
        if seen.ports[slot] != seen.ports.get(seen.live.slot):
            return slot
    raise PlanError(f"there is no slot beside {seen.live.slot}: describe standby_name and standby_port")


def plan(seen: Seen, wish: Wish) -> list[str]:
    """Return the steps, in order, once nothing is left over from a deploy that was cut off.

    :raises PlanError: it cannot be done.
    """
    if wish.state in ("absent", "recovered", "retired"):
        return _ending(seen, wish)
    if is_fulfilled(seen, wish):
        return []
    name = target(seen, wish)
    if seen.live is not None and seen.live.release == name:
        return []
    first = ["adopt"] if seen.live is None and seen.adoptable else []
    seen = assumed(seen)
    staged = seen.entry is not None and seen.entry.phase == "gated" and seen.entry.release == name
    begin = _begin(seen, wish, name, place(seen, wish, name), staged=staged)
    if wish.state == "staged":
        return first + begin
    watch = ["watch"] if wish.state == "promoted" else []
    leaves = (
        wish.beside and wish.ends and seen.live is not None and (wish.state == "rolled_back" or not wish.keep_standing)
    )
    return [*first, *begin, "switch", *watch, "mark", *(["retire"] if leaves else [])]


def _ending(seen: Seen, wish: Wish) -> list[str]:
    """Return the steps of a state that starts nothing."""
    if wish.state == "absent":
        return ["give"] if seen.taken else []
    if wish.state == "recovered" or not wish.ends:
        return []
    used = {seen.live.slot if seen.live else None, seen.entry.slot if seen.entry else None}
    return ["retire"] if any(runs is not None and name not in used for name, runs in seen.slots.items()) else []


def _begin(seen: Seen, wish: Wish, name: str, slot: str, *, staged: bool) -> list[str]:
    if not wish.beside:
        return [] if staged else ["prepare"]
    if not wish.ends:
        return ["gate"] if staged else ["prepare", "gate"]
    stands = seen.slots.get(slot) == name
    if staged:
        return ["gate"] if stands else ["start", "gate"]
    return ["prepare", "gate"] if stands and wish.state == "rolled_back" else list(NEW)


def is_fulfilled(seen: Seen, wish: Wish) -> bool:
    """Return whether a rollback that names no release was made a moment ago by the deploy itself, or by what ended it."""
    return wish.state == "rolled_back" and wish.release is None and seen.live is not None and bool(seen.came_back)


def changes(steps: list[str]) -> bool:
    """Return whether ``steps`` change anything."""
    return any(step not in QUIET for step in steps)
