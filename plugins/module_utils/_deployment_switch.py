# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the gate on: requests are sent to a release, it is watched and marked good, or what served before serves again.

Private to this collection.
"""

from __future__ import annotations

from contextlib import suppress

from ansible_collections.runbook.ops.plugins.module_utils._deploy_journal import Entry
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import StateError
from ansible_collections.runbook.ops.plugins.module_utils._deployment_course import Course
from ansible_collections.runbook.ops.plugins.module_utils._deployment_plan import Live
from ansible_collections.runbook.ops.plugins.module_utils._deployment_terms import (
    DeploymentError,
    Done,
    StrandedError,
    TroubleError,
)

BACK_AGAIN = "run rollback, or deploy another release"


class Switch:
    """The way of one release to the requests, and the way back."""

    def __init__(self, course: Course) -> None:
        self._course, self._parts, self._wish = course, course.parts, course.wish

    def promote(self, entry: Entry) -> None:
        """Send the requests to what has passed the gate, and go on to its end.

        :raises DeploymentError: what served before serves, or the message says what does.
        """
        try:
            self._parts.before()
        except (TroubleError, StateError) as exc:
            self._leave_staged(entry, exc)
        try:
            if self._wish.beside:
                self._parts.save()  # a boot in the midst of the watch brings back what the requests go to
            entry = self._course.write(entry, "switching")
            with self._course.timed("switch", entry.release, entry.slot):
                self._course.checks += self._parts.switch(entry.slot, entry.release)
            if not self._wish.beside:
                self._parts.save()
        except StrandedError as exc:  # the journal stays: the next run tries once more
            raise DeploymentError(str(exc), "not_rolled_back", **exc.details) from exc
        except (TroubleError, StateError) as exc:
            self.refuse(entry, exc, blames=False)  # it is the proxy, or the disk, that could not
        try:
            entry = self._course.write(entry, "switched", switched_at=self._course.now())
        except StateError as exc:
            self.fail_back(entry, str(exc))
        self.finish(entry)

    def finish(self, entry: Entry) -> None:
        """Watch what is live, mark it good, and stop what is not needed any more; or go back.

        :raises DeploymentError: it went back, or could not.
        """
        try:
            entry = self._judge(entry)
            live, _adoptable, slots, _ports = self._parts.look()
            left = entry.back_slot
            leaves = self._wish.ends and (entry.kind == "rollback" or not self._wish.keep_standing)
            if left and live and left != live.slot and leaves and slots.get(left) is not None:
                with self._course.timed("retire", entry.back_release or "", left):
                    self._parts.drain(left)
                    self._parts.stop(left)
                self._parts.note("retired", entry.back_release or "", slot=left)
            self._parts.save()
            self._parts.journal.clear()
        except (TroubleError, StateError) as exc:
            raise DeploymentError(f"{entry.release} serves, but {exc}; run it again", "not_rolled_back") from exc

    def _judge(self, entry: Entry) -> Entry:
        if entry.phase == "switched":
            self._parts.note("live", entry.release, slot=entry.slot)
            if entry.kind == "deploy":
                with self._course.timed("watch", entry.release, entry.slot):
                    why, checks = self._parts.watch(entry.slot, entry.switched_at or self._course.now())
                self._course.checks += checks
                self._refuse_passed(entry, certain=not why)
                if why:
                    self.fail_back(entry, why)
            elif entry.back_release:
                self._parts.note("rolled_back", entry.back_release, slot=entry.back_slot, reason=entry.reason)
            entry = self._course.write(entry, "watched")
        if entry.phase == "watched":
            self._parts.note("good", entry.release, slot=entry.slot)
            entry = self._course.write(entry, "good")
            self._course.done.append(Done("mark", entry.release, entry.slot, 0.0))
        return entry

    def _refuse_passed(self, entry: Entry, *, certain: bool) -> None:
        """Raise where something else was watched than what is to be marked good.

        :param certain: where nobody can tell, that is raised
        """
        passed = None
        try:
            passed = self._course.passed(entry)
        except TroubleError:
            if certain:
                raise
        if passed:
            raise self._course.leave(entry, passed)

    def refuse(self, entry: Entry, why: Exception, *, blames: bool) -> None:
        """Take away what was staged, and raise ``why``.

        :param blames: the release is what is wrong, and not the host
        """
        details = getattr(why, "details", {})
        if blames:
            with suppress(StateError):
                self._parts.note("bad", entry.release, slot=entry.slot, reason=str(why))
        try:
            if entry.phase == "switching" and self._parts.look()[0] == Live(entry.slot, entry.release):
                self.fail_back(entry, str(why))  # it could not, and yet it serves
            self.undo(entry)
        except (TroubleError, StateError) as exc:
            raise DeploymentError(f"{why}; {_serves(entry)}, but {exc}", "not_rolled_back", **details) from why
        raise DeploymentError(f"{why}; {_serves(entry)}", "rolled_back", **details) from why

    def _leave_staged(self, entry: Entry, why: Exception) -> None:
        """Leave a release as it was found where nothing is known against it, and raise ``why``."""
        if not self._course.parked:
            self.refuse(entry, why, blames=False)
        with suppress(StateError):
            self._course.write(entry, "gated", parked=True)
        told = f"{why}; {_serves(entry)}, and {entry.release} stays staged"
        raise DeploymentError(told, "refused", **getattr(why, "details", {})) from why

    def undo(self, entry: Entry) -> None:
        """Take away what was staged. What is live is never stopped."""
        live, _adoptable, slots, _ports = self._parts.look()
        stands = self._wish.ends and slots.get(entry.slot) is not None
        if stands and self._wish.beside and (live is None or live.slot != entry.slot):
            with self._course.timed("undo", entry.release, entry.slot):
                self._parts.stop(entry.slot)
            with suppress(TroubleError):  # a boot would bring it back into the idle slot: that harms nobody
                self._parts.save()
        self._parts.journal.clear()

    def fail_back(self, entry: Entry, why: str) -> None:
        """Go back, and raise that it was done."""
        try:
            self.go_back(entry, why)
        except (TroubleError, StateError) as exc:
            raise DeploymentError(f"{why}; the way back failed too: {exc}; {BACK_AGAIN}", "not_rolled_back") from exc
        raise DeploymentError(f"{why}; back on {entry.back_release}, which serves as before", "rolled_back")

    def go_back(self, entry: Entry, why: str) -> None:
        """Have what served before serve again."""
        slot, release = entry.back_slot, entry.back_release
        if slot is None or release is None:
            raise TroubleError("there was nothing before it to go back to")
        with suppress(StateError):  # a full disk must not keep it from the way back: killed now, it is watched again
            entry = self._course.write(entry, "returning", reason=why)
        with self._course.timed("back", release, slot):
            _live, _adoptable, slots, _ports = self._parts.look()
            if self._wish.beside and slots.get(slot) != release:
                self._parts.start(slot, release, fresh=False)
                self._parts.gate(slot, release, standing=False)
            self._course.checks += self._parts.switch(slot, release)
        self._parts.note("rolled_back", entry.release, slot=entry.slot, reason=why)
        self._parts.note("live", release, slot=slot, reason=why)
        if self._wish.beside and entry.slot != slot:
            self._parts.drain(entry.slot)
            self._parts.stop(entry.slot)
        self._parts.save()
        self._parts.journal.clear()


def _serves(entry: Entry) -> str:
    return f"{entry.back_release} serves as before" if entry.back_release else "nothing serves, as before"
