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
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, Protocol

from ansible_collections.runbook.ops.plugins.module_utils._deploy_journal import BEFORE, Entry, Journal
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import StateError
from ansible_collections.runbook.ops.plugins.module_utils._deployment_plan import (
    CUT_OFF,
    Live,
    PlanError,
    Seen,
    Wish,
    is_fulfilled,
    place,
    plan,
    settles,
    target,
)

BACK_AGAIN = "run rollback, or deploy another release"


class TroubleError(Exception):
    """A part could not do what it was asked for; the message is one line."""

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.details = details


class StrandedError(TroubleError):
    """A part could not do what it was asked for, and could not put back what was."""


class DeploymentError(Exception):
    """It failed; ``outcome`` says how things are: refused, rolled_back or not_rolled_back."""

    def __init__(self, message: str, outcome: str, **details: Any) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.details = details


class PassedError(DeploymentError):
    """Somebody has led the requests elsewhere meanwhile, which at Vercel anybody may: that was left alone."""


class Parts(Protocol):
    """What a deployment is made of. Everything raises :class:`TroubleError` where it cannot; LockError passes through."""

    journal: Journal

    def look(self) -> tuple[Live | None, str | None, dict[str, str | None], dict[str, int]]:
        """Return who is live, the slot of what could be adopted, what runs in the slots, and their ports."""

    def last_good(self, but: str | None) -> str | None: ...
    def came_back(self, live: str) -> str | None: ...
    def adopt(self) -> Live: ...

    def settle(self) -> Live | None:
        """Have what a killed switch came to written down, and return who is live."""

    def start(self, slot: str, release: str, *, fresh: bool) -> None: ...
    def gate(self, slot: str, release: str, *, standing: bool) -> list[dict[str, Any]]: ...

    def before(self) -> None:
        """Measure how it is before the switch."""

    def switch(self, slot: str, release: str) -> list[dict[str, Any]]: ...
    def watch(self, slot: str, switched_at: float) -> tuple[str | None, list[dict[str, Any]]]: ...
    def drain(self, slot: str) -> None: ...
    def stop(self, slot: str) -> None: ...
    def note(self, event: str, release: str, **more: Any) -> None: ...

    def give_back(self, *, check_mode: bool) -> list[str]:
        """Have the proxy lead to what is live without us; return what was done, or would be."""

    def save(self) -> None:
        """Have the managers bring back after a boot what runs now."""


class Done(NamedTuple):
    """One step that was made."""

    step: str
    release: str
    slot: str | None
    seconds: float


class Deployment:
    """The deployments of one service on one host."""

    def __init__(
        self, parts: Parts, wish: Wish, *, run: str, reason: str | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self._parts = parts
        self._wish = wish
        self._run = run
        self._reason = reason
        self._now = now
        self.done: list[Done] = []
        self.checks: list[dict[str, Any]] = []
        self.notes: list[str] = []  # what was found and ended
        self._parked = False  # what is promoted stood staged on purpose
        self._came_back: str | None = None  # the release of what was cut off did not stay

    def observe(self) -> Seen:
        """Return what there is.

        :raises TroubleError: it cannot be told.
        """
        live, adoptable, slots, ports = self._parts.look()
        good = self._parts.last_good(live.release if live else None)
        back = self._came_back or (self._parts.came_back(live.release) if live else None)
        taken = self._wish.state == "absent" and bool(self._parts.give_back(check_mode=True))
        return Seen(self._parts.journal.read(), live, adoptable, slots, ports, good, back, taken)

    def run(self) -> str:
        """Bring about what is wished, and return the outcome: unchanged, or the state.

        :raises DeploymentError: it could not be; what was begun is undone, or the message says what is not.
        :raises LockError: another run has taken over: nothing was written since.
        """
        try:
            self._end_what_was_cut_off()
            seen = self.observe()
            steps = plan(seen, self._wish)
        except (TroubleError, PlanError, StateError) as exc:
            raise DeploymentError(str(exc), "refused") from exc
        if self._wish.state == "recovered":
            return "recovered" if self.notes else "unchanged"
        if not steps:
            if seen.live and is_fulfilled(seen, self._wish):
                told = f"{seen.live.release} serves, {seen.came_back} was gone back from already"
                self.notes.append(f"{told}: name a release to go further")
            return "unchanged"
        if self._wish.state == "retired":
            self._retire_idle(seen)
            return "retired"
        if self._wish.state == "absent":
            self._give_back(seen)
            return "absent"
        self._parked = seen.entry is not None and seen.entry.parked
        entry = self._stage(seen, steps)
        if self._wish.state == "staged":
            return "staged"
        self._promote(entry)
        return self._wish.state

    # What was cut off

    def _end_what_was_cut_off(self) -> None:
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
        passed = self._passed(entry) if entry.phase not in BEFORE else None
        if passed:
            self._tell_passed(entry, why, self._leave(entry, passed))
            return
        if entry.phase == "switching":
            live = self._parts.settle()
            if live == Live(entry.slot, entry.release):
                entry = self._write(entry, "switched", switched_at=self._now())
            else:
                way = "undo"
                self._stay_back(entry)
        if way == "undo":
            if entry.kind == "deploy" and not entry.parked:
                self._parts.note("retired", entry.release, slot=entry.slot, reason=CUT_OFF)
                self._came_back = entry.release
            self._undo(entry)
            self.notes.append(f"{why}: what it had staged was taken away")
        elif way == "return":
            self._go_back(entry, entry.reason or "it was on its way back")
            self.notes.append(f"{why}: {entry.back_release} serves again")
            self._came_back = entry.release
        else:
            self._finish_or_tell(entry, why)

    def _passed(self, entry: Entry) -> Live | None:
        """Return what somebody else has led the requests to since; None where it is what the journal says."""
        live = None if self._wish.ends else self._parts.settle()
        due = (entry.release, entry.back_release) if entry.phase in ("switching", "returning") else (entry.release,)
        return live if live and live.release not in due else None

    def _leave(self, entry: Entry, live: Live) -> PassedError:
        """Leave the requests where somebody else has led them: what was begun is over, and nothing is known to be good by it."""
        returned = live.release == entry.back_release
        told = f"{live.release} serves, which somebody else led the requests to: that was left alone"
        if entry.kind == "deploy" and entry.phase == "returning":
            self._parts.note("bad", entry.release, slot=entry.slot, reason=entry.reason)
        elif entry.kind == "deploy" and returned and entry.phase != "good":
            self._parts.note("rolled_back", entry.release, slot=entry.slot, reason=told)
        elif entry.kind == "rollback" and entry.phase == "switched" and not returned and entry.back_release:
            self._parts.note("bad", entry.back_release, slot=entry.back_slot, reason=entry.reason)
        self._parts.journal.clear()
        told = f"{told}; {entry.release} does not serve, and was not marked good"
        return PassedError(told, "rolled_back" if returned else "not_rolled_back")

    def _tell_passed(self, entry: Entry, why: str, passed: PassedError) -> None:
        self.notes.append(f"{why}: {passed}")
        if passed.outcome == "rolled_back" and entry.kind == "deploy":
            self._came_back = entry.release

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
            self.notes.append(f"{entry.back_release} serves, but {exc}")

    def _give_up(self, entry: Entry, why: Exception) -> None:
        """Let what cannot be ended be: another release is wished, and what is live now is what that one replaces."""
        self._parts.note("bad", entry.release, slot=entry.slot, reason=str(why))
        self.notes.append(f"{entry.kind} of {entry.release} (run {entry.run}) could not be ended: {why}")
        self._parts.journal.clear()

    def _finish_or_tell(self, entry: Entry, why: str) -> None:
        try:
            self._have_it_run(entry)
            self._finish(entry)
            self.notes.append(f"{why}: it was finished")
        except PassedError as exc:
            self._tell_passed(entry, why, exc)
        except DeploymentError as exc:
            if exc.outcome != "rolled_back":
                raise
            self.notes.append(f"{why}: {exc}")
            self._came_back = entry.release

    def _have_it_run(self, entry: Entry) -> None:
        """See to it that the live slot runs the release that is to be watched: a boot may have brought back another, or none."""
        slots = self._parts.look()[2]
        if entry.phase not in ("switched", "watched") or slots.get(entry.slot) == entry.release:
            return
        why = f"slot {entry.slot} runs {slots.get(entry.slot) or 'nothing'} instead of {entry.release}"
        if entry.kind == "deploy" and self._wish.beside and slots.get(entry.back_slot or "") == entry.back_release:
            self._fail_back(entry, why)  # that takes a moment, a start takes longer
        try:
            with self._timed("start", entry.release, entry.slot):
                self._parts.start(entry.slot, entry.release, fresh=False)
                self.checks += self._parts.gate(entry.slot, entry.release, standing=False)
        except TroubleError as exc:
            self._fail_back(entry, f"{why}, and {exc}")

    # Stage

    def _stage(self, seen: Seen, steps: list[str]) -> Entry:
        """Have the release run in its slot, through the gate, and return the entry in the phase gated."""
        wish, live = self._wish, seen.live
        name = target(seen, wish)
        entry = seen.entry
        try:
            if "adopt" in steps:
                with self._timed("adopt", "adopted", None):
                    live = self._parts.adopt()
            if "prepare" in steps or entry is None:
                entry = self._prepare(seen._replace(live=live), name)
            elif wish.parked != entry.parked or entry.run != self._run:
                entry = self._write(entry, entry.phase, parked=wish.parked, run=self._run)
        except (TroubleError, PlanError, StateError) as exc:
            raise DeploymentError(f"{exc}; nothing was changed", "refused") from exc
        try:
            if "start" in steps:
                with self._timed("start", name, entry.slot):
                    self._parts.start(entry.slot, name, fresh=wish.state != "rolled_back")
                entry = self._write(entry, "started")
            if "gate" in steps:
                with self._timed("gate", name, entry.slot):
                    self.checks += self._parts.gate(entry.slot, name, standing="start" not in steps)
            if entry.phase != "gated":
                entry = self._write(entry, "gated")
                self._parts.note("staged", name, slot=entry.slot)
        except (TroubleError, StateError) as exc:
            self._refuse(entry, exc, blames=isinstance(exc, TroubleError))
        return entry

    def _prepare(self, seen: Seen, name: str) -> Entry:
        kind = "rollback" if self._wish.state == "rolled_back" else "deploy"
        slot, live = place(seen, self._wish, name), seen.live
        release, at = (live.release, live.slot) if live else (None, None)
        entry = Entry(self._run, kind, name, slot, release, at, "prepared", self._now(), parked=self._wish.parked)
        return self._write(entry, "prepared", reason=self._reason)

    def _refuse(self, entry: Entry, why: Exception, *, blames: bool) -> None:
        """Take away what was staged, and raise ``why``.

        :param blames: the release is what is wrong, and not the host
        """
        details = getattr(why, "details", {})
        if blames:
            with suppress(StateError):
                self._parts.note("bad", entry.release, slot=entry.slot, reason=str(why))
        try:
            if entry.phase == "switching" and self._parts.look()[0] == Live(entry.slot, entry.release):
                self._fail_back(entry, str(why))  # it could not, and yet it serves
            self._undo(entry)
        except (TroubleError, StateError) as exc:
            raise DeploymentError(f"{why}; {_serves(entry)}, but {exc}", "not_rolled_back", **details) from why
        raise DeploymentError(f"{why}; {_serves(entry)}", "rolled_back", **details) from why

    def _leave_staged(self, entry: Entry, why: Exception) -> None:
        """Leave a release as it was found where nothing is known against it, and raise ``why``."""
        if not self._parked:
            self._refuse(entry, why, blames=False)
        with suppress(StateError):
            self._write(entry, "gated", parked=True)
        told = f"{why}; {_serves(entry)}, and {entry.release} stays staged"
        raise DeploymentError(told, "refused", **getattr(why, "details", {})) from why

    def _undo(self, entry: Entry) -> None:
        """Take away what was staged. What is live is never stopped."""
        live, _adoptable, slots, _ports = self._parts.look()
        stands = self._wish.ends and slots.get(entry.slot) is not None
        if stands and self._wish.beside and (live is None or live.slot != entry.slot):
            with self._timed("undo", entry.release, entry.slot):
                self._parts.stop(entry.slot)
            with suppress(TroubleError):  # a boot would bring it back into the idle slot: that harms nobody
                self._parts.save()
        self._parts.journal.clear()

    # Promote

    def _promote(self, entry: Entry) -> None:
        try:
            self._parts.before()
        except (TroubleError, StateError) as exc:
            self._leave_staged(entry, exc)
        try:
            if self._wish.beside:
                self._parts.save()  # a boot in the midst of the watch brings back what the requests go to
            entry = self._write(entry, "switching")
            with self._timed("switch", entry.release, entry.slot):
                self.checks += self._parts.switch(entry.slot, entry.release)
            if not self._wish.beside:
                self._parts.save()
        except StrandedError as exc:  # the journal stays: the next run tries once more
            raise DeploymentError(str(exc), "not_rolled_back", **exc.details) from exc
        except (TroubleError, StateError) as exc:
            self._refuse(entry, exc, blames=False)  # it is the proxy, or the disk, that could not
        try:
            entry = self._write(entry, "switched", switched_at=self._now())
        except StateError as exc:
            self._fail_back(entry, str(exc))
        self._finish(entry)

    def _finish(self, entry: Entry) -> None:
        """Watch what is live, mark it good, and stop what is not needed any more; or go back.

        :raises DeploymentError: it went back, or could not.
        """
        try:
            entry = self._judge(entry)
            live, _adoptable, slots, _ports = self._parts.look()
            left = entry.back_slot
            leaves = self._wish.ends and (entry.kind == "rollback" or not self._wish.keep_standing)
            if left and live and left != live.slot and leaves and slots.get(left) is not None:
                with self._timed("retire", entry.back_release or "", left):
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
                with self._timed("watch", entry.release, entry.slot):
                    why, checks = self._parts.watch(entry.slot, entry.switched_at or self._now())
                self.checks += checks
                self._refuse_passed(entry, certain=not why)
                if why:
                    self._fail_back(entry, why)
            elif entry.back_release:
                self._parts.note("rolled_back", entry.back_release, slot=entry.back_slot, reason=entry.reason)
            entry = self._write(entry, "watched")
        if entry.phase == "watched":
            self._parts.note("good", entry.release, slot=entry.slot)
            entry = self._write(entry, "good")
            self.done.append(Done("mark", entry.release, entry.slot, 0.0))
        return entry

    def _refuse_passed(self, entry: Entry, *, certain: bool) -> None:
        """Raise where something else was watched than what is to be marked good.

        :param certain: where nobody can tell, that is raised
        """
        passed = None
        try:
            passed = self._passed(entry)
        except TroubleError:
            if certain:
                raise
        if passed:
            raise self._leave(entry, passed)

    # Back

    def _fail_back(self, entry: Entry, why: str) -> None:
        """Go back, and raise that it was done."""
        try:
            self._go_back(entry, why)
        except (TroubleError, StateError) as exc:
            raise DeploymentError(f"{why}; the way back failed too: {exc}; {BACK_AGAIN}", "not_rolled_back") from exc
        raise DeploymentError(f"{why}; back on {entry.back_release}, which serves as before", "rolled_back")

    def _go_back(self, entry: Entry, why: str) -> None:
        """Have what served before serve again."""
        slot, release = entry.back_slot, entry.back_release
        if slot is None or release is None:
            raise TroubleError("there was nothing before it to go back to")
        with suppress(StateError):  # a full disk must not keep it from the way back: killed now, it is watched again
            entry = self._write(entry, "returning", reason=why)
        with self._timed("back", release, slot):
            _live, _adoptable, slots, _ports = self._parts.look()
            if self._wish.beside and slots.get(slot) != release:
                self._parts.start(slot, release, fresh=False)
                self._parts.gate(slot, release, standing=False)
            self.checks += self._parts.switch(slot, release)
        self._parts.note("rolled_back", entry.release, slot=entry.slot, reason=why)
        self._parts.note("live", release, slot=slot, reason=why)
        if self._wish.beside and entry.slot != slot:
            self._parts.drain(entry.slot)
            self._parts.stop(entry.slot)
        self._parts.save()
        self._parts.journal.clear()

    def _retire_idle(self, seen: Seen) -> None:
        used = {seen.live.slot if seen.live else None, seen.entry.slot if seen.entry else None}
        try:
            for slot, runs in seen.slots.items():
                if runs is not None and slot not in used:
                    with self._timed("retire", runs, slot):
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
            with self._timed("give", release, slot):
                self._parts.give_back(check_mode=False)
        except (TroubleError, StateError) as exc:
            raise DeploymentError(f"{exc}; {release} serves as before", "refused") from exc

    def _write(self, entry: Entry, phase: str, **more: Any) -> Entry:
        return self._parts.journal.write(entry, phase, **more)

    @contextmanager
    def _timed(self, step: str, release: str, slot: str | None) -> Any:
        began = time.monotonic()
        yield
        self.done.append(Done(step, release, slot, round(time.monotonic() - began, 3)))


def _serves(entry: Entry) -> str:
    return f"{entry.back_release} serves as before" if entry.back_release else "nothing serves, as before"


def as_seconds(done: Iterable[Done]) -> Mapping[str, float]:
    """Return how long each step took, by its name."""
    found: dict[str, float] = {}
    for one in done:
        found[one.step] = round(found.get(one.step, 0.0) + one.seconds, 3)
    return found


__all__ = ["BEFORE", "Deployment", "DeploymentError", "Done", "Parts", "StrandedError", "TroubleError", "as_seconds"]
