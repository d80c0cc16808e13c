# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release that is staged, promoted and gone back from; what was cut off is ended first. Private to this collection.

What it is about::

    before the switch      trouble takes away what was staged: what served serves
    from the switch on     trouble leads back to what served before, by the same switch
    killed                 the next call reads the journal: before the switch it undoes, after it it finishes

What is done to the host is done by :class:`Parts`: tests put their own in its place.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._deploy_journal import Entry
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import StateError
from ansible_collections.runbook.ops.plugins.module_utils._deployment_course import Course
from ansible_collections.runbook.ops.plugins.module_utils._deployment_cut_off import CutOff
from ansible_collections.runbook.ops.plugins.module_utils._deployment_plan import (
    PlanError,
    Seen,
    Wish,
    is_fulfilled,
    place,
    plan,
    target,
)
from ansible_collections.runbook.ops.plugins.module_utils._deployment_switch import Switch
from ansible_collections.runbook.ops.plugins.module_utils._deployment_terms import (
    DeploymentError,
    Done,
    Parts,
    TroubleError,
)


class Deployment:
    """The deployments of one service on one host."""

    def __init__(
        self, parts: Parts, wish: Wish, *, run: str, reason: str | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self._parts, self._wish, self._reason = parts, wish, reason
        self._course = Course(parts, wish, run=run, now=now)
        self._switch = Switch(self._course)
        self._cut_off = CutOff(self._course, self._switch)

    @property
    def done(self) -> list[Done]:
        return self._course.done

    @property
    def checks(self) -> list[dict[str, Any]]:
        return self._course.checks

    @property
    def notes(self) -> list[str]:
        """What was found and ended."""
        return self._course.notes

    def observe(self) -> Seen:
        """Return what there is.

        :raises TroubleError: it cannot be told.
        """
        live, adoptable, slots, ports = self._parts.look()
        good = self._parts.last_good(live.release if live else None)
        back = self._course.came_back or (self._parts.came_back(live.release) if live else None)
        taken = self._wish.state == "absent" and bool(self._parts.give_back(check_mode=True))
        return Seen(self._parts.journal.read(), live, adoptable, slots, ports, good, back, taken)

    def run(self) -> str:
        """Bring about what is wished, and return the outcome: unchanged, or the state.

        :raises DeploymentError: it could not be; what was begun is undone, or the message says what is not.
        :raises LockError: another run has taken over: nothing was written since.
        """
        try:
            self._cut_off.end()
            seen = self.observe()
            steps = plan(seen, self._wish)
        except (TroubleError, PlanError, StateError) as exc:
            raise DeploymentError(str(exc), "refused") from exc
        if self._wish.state == "recovered":
            return "recovered" if self._course.notes else "unchanged"
        if not steps:
            if seen.live and is_fulfilled(seen, self._wish):
                told = f"{seen.live.release} serves, {seen.came_back} was gone back from already"
                self._course.notes.append(f"{told}: name a release to go further")
            return "unchanged"
        if self._wish.state == "retired":
            self._retire_idle(seen)
            return "retired"
        if self._wish.state == "absent":
            self._give_back(seen)
            return "absent"
        self._course.parked = seen.entry is not None and seen.entry.parked
        entry = self._stage(seen, steps)
        if self._wish.state == "staged":
            return "staged"
        self._switch.promote(entry)
        return self._wish.state

    def _stage(self, seen: Seen, steps: list[str]) -> Entry:
        """Have the release run in its slot, through the gate, and return the entry in the phase gated."""
        wish, live = self._wish, seen.live
        name = target(seen, wish)
        entry = seen.entry
        try:
            if "adopt" in steps:
                with self._course.timed("adopt", "adopted", None):
                    live = self._parts.adopt()
            if "prepare" in steps or entry is None:
                entry = self._prepare(seen._replace(live=live), name)
            elif wish.parked != entry.parked or entry.run != self._course.run:
                entry = self._course.write(entry, entry.phase, parked=wish.parked, run=self._course.run)
        except (TroubleError, PlanError, StateError) as exc:
            raise DeploymentError(f"{exc}; nothing was changed", "refused") from exc
        try:
            if "start" in steps:
                with self._course.timed("start", name, entry.slot):
                    self._parts.start(entry.slot, name, fresh=wish.state != "rolled_back")
                entry = self._course.write(entry, "started")
            if "gate" in steps:
                with self._course.timed("gate", name, entry.slot):
                    self._course.checks += self._parts.gate(entry.slot, name, standing="start" not in steps)
            if entry.phase != "gated":
                entry = self._course.write(entry, "gated")
                self._parts.note("staged", name, slot=entry.slot)
        except (TroubleError, StateError) as exc:
            self._switch.refuse(entry, exc, blames=isinstance(exc, TroubleError))
        return entry

    def _prepare(self, seen: Seen, name: str) -> Entry:
        kind = "rollback" if self._wish.state == "rolled_back" else "deploy"
        slot, live = place(seen, self._wish, name), seen.live
        release, at = (live.release, live.slot) if live else (None, None)
        entry = Entry(
            self._course.run, kind, name, slot, release, at, "prepared", self._course.now(), parked=self._wish.parked
        )
        return self._course.write(entry, "prepared", reason=self._reason)

    def _retire_idle(self, seen: Seen) -> None:
        used = {seen.live.slot if seen.live else None, seen.entry.slot if seen.entry else None}
        try:
            for slot, runs in seen.slots.items():
                if runs is not None and slot not in used:
                    with self._course.timed("retire", runs, slot):
                        self._parts.drain(slot)
                        self._parts.stop(slot)
                    if runs:
                        self._parts.note("retired", runs, slot=slot)
            self._parts.save()
        except (TroubleError, StateError) as exc:
            raise DeploymentError(f"{exc}; what is live was not touched", "refused") from exc

    def _give_back(self, seen: Seen) -> None:
        slot, release = seen.live or (None, "")
        try:
            with self._course.timed("give", release, slot):
                self._parts.give_back(check_mode=False)
        except (TroubleError, StateError) as exc:
            raise DeploymentError(f"{exc}; {release} serves as before", "refused") from exc
