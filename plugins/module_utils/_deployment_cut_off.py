# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a killed run has left: undone before the switch, finished after it. Private to this collection."""

from __future__ import annotations

from ansible_collections.runbook.ops.plugins.module_utils._deploy_journal import BEFORE, Entry
from ansible_collections.runbook.ops.plugins.module_utils._deployment_course import Course
from ansible_collections.runbook.ops.plugins.module_utils._deployment_plan import CUT_OFF, Live, settles
from ansible_collections.runbook.ops.plugins.module_utils._deployment_switch import Switch
from ansible_collections.runbook.ops.plugins.module_utils._deployment_terms import (
    DeploymentError,
    PassedError,
    TroubleError,
)


class CutOff:
    """What was begun before, and has not ended."""

    def __init__(self, course: Course, switch: Switch) -> None:
        self._course, self._switch = course, switch
        self._parts, self._wish = course.parts, course.wish

    def end(self) -> None:
        """Undo it, or finish it; what can be neither is given up where another release is wished.

        :raises TroubleError: it could not be.
        :raises DeploymentError: it could not be; the outcome says how things are.
        """
        entry = self._parts.journal.read()
        way = settles(entry, self._wish)
        if entry is None or way is None:
            return
        try:
            self._end(entry, way)
        except (TroubleError, DeploymentError) as exc:
            entry = self._parts.journal.read()
            if entry is None or entry.phase not in ("switching", "returning"):
                raise
            if self._wish.release in (None, entry.release, entry.back_release):
                hint = f"{exc}; if {entry.back_release} cannot serve any more, name another release"
                raise DeploymentError(hint, getattr(exc, "outcome", "refused"), **exc.details) from exc
            self._give_up(entry, exc)

    def _end(self, entry: Entry, way: str) -> None:
        why = f"{entry.kind} of {entry.release} was cut off ({entry.phase}, run {entry.run})"
        passed = self._course.passed(entry) if entry.phase not in BEFORE else None
        if passed:
            self._tell_passed(entry, why, self._course.leave(entry, passed))
            return
        if entry.phase == "switching":
            live = self._parts.settle()
            if live == Live(entry.slot, entry.release):
                entry = self._course.write(entry, "switched", switched_at=self._course.now())
            else:
                way = "undo"
                self._stay_back(entry)
        if way == "undo":
            if entry.kind == "deploy" and not entry.parked:
                self._parts.note("retired", entry.release, slot=entry.slot, reason=CUT_OFF)
                self._course.came_back = entry.release
            self._switch.undo(entry)
            self._course.notes.append(f"{why}: what it had staged was taken away")
        elif way == "return":
            self._switch.go_back(entry, entry.reason or "it was on its way back")
            self._course.notes.append(f"{why}: {entry.back_release} serves again")
            self._course.came_back = entry.release
        else:
            self._finish_or_tell(entry, why)

    def _tell_passed(self, entry: Entry, why: str, passed: PassedError) -> None:
        self._course.notes.append(f"{why}: {passed}")
        if passed.outcome == "rolled_back" and entry.kind == "deploy":
            self._course.came_back = entry.release

    def _stay_back(self, entry: Entry) -> None:
        """Have what served before a switch that was not made have the requests: nginx may have read what is not written yet."""
        if not entry.back_slot or not entry.back_release:
            return
        try:
            self._parts.switch(entry.back_slot, entry.back_release)
        except TroubleError as exc:
            if not self._wish.beside:
                raise
            # The requests go there, that is settled. It may be ill: that is no reason to refuse the release that mends it.
            self._course.notes.append(f"{entry.back_release} serves, but {exc}")

    def _give_up(self, entry: Entry, why: Exception) -> None:
        """Let what cannot be ended be: another release is wished, and what is live now is what that one replaces."""
        self._parts.note("bad", entry.release, slot=entry.slot, reason=str(why))
        self._course.notes.append(f"{entry.kind} of {entry.release} (run {entry.run}) could not be ended: {why}")
        self._parts.journal.clear()

    def _finish_or_tell(self, entry: Entry, why: str) -> None:
        try:
            self._have_it_run(entry)
            self._switch.finish(entry)
            self._course.notes.append(f"{why}: it was finished")
        except PassedError as exc:
            self._tell_passed(entry, why, exc)
        except DeploymentError as exc:
            if exc.outcome != "rolled_back":
                raise
            self._course.notes.append(f"{why}: {exc}")
            self._course.came_back = entry.release

    def _have_it_run(self, entry: Entry) -> None:
        """See to it that the live slot runs the release that is to be watched: a boot may have brought back another, or none."""
        slots = self._parts.look()[2]
        if entry.phase not in ("switched", "watched") or slots.get(entry.slot) == entry.release:
            return
        why = f"slot {entry.slot} runs {slots.get(entry.slot) or 'nothing'} instead of {entry.release}"
        if entry.kind == "deploy" and self._wish.beside and slots.get(entry.back_slot or "") == entry.back_release:
            self._switch.fail_back(entry, why)  # that takes a moment, a start takes longer
        try:
            with self._course.timed("start", entry.release, entry.slot):
                self._parts.start(entry.slot, entry.release, fresh=False)
                self._course.checks += self._parts.gate(entry.slot, entry.release, standing=False)
        except TroubleError as exc:
            self._switch.fail_back(entry, f"{why}, and {exc}")
