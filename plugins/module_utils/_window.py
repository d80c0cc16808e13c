# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open a maintenance window, bring the work to rest, and undo all of it from the last to the first. Private to this collection."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._change_lock import Fence, held, keeping
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import now as this_moment
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._queue_pause import QueueError, active, label
from ansible_collections.runbook.ops.plugins.module_utils._window_journal import (
    Window,
    WindowError,
    is_over,
    opened,
    until,
    with_step,
    without_step,
)

SECTION = "Maintenance window"
POLL_SECONDS = 0.5
DONE = {"silence": "silenced", "page": "to be shown", "queue": "paused", "services": "stopped"}
UNDONE = {"silence": "speak again", "page": "taken away", "queue": "resumed", "services": "started"}
Changes = list[dict[str, Any]]


class Keeper:
    """One window, its journal, and what does and undoes its steps."""

    def __init__(
        self, journal: Window, hands: Any, fence: Fence, *, say: Callable[[str], None] = lambda _line: None
    ) -> None:
        self.journal, self.hands, self.fence, self.say = journal, hands, fence, say
        self.changes: Changes = []

    def open(self, name: str, run: str, *, seconds: float, secrets: Mapping[str, str]) -> None:
        """Open the window for ``run``, with nothing done yet. What a killed run left open is closed before.

        :raises WindowError: that could not be undone, or the window cannot be written down.
        """
        there = self.journal.read()
        if there is not None and there["run"] != run:
            left = self.close(by=run)
            if left:
                raise WindowError(left)
            there = None
        window = there or opened(name, run, this_moment(), seconds=seconds)
        with held(self.fence):
            self.journal.write({**window, "secrets": {**window["secrets"], **secrets}})

    def do(self, steps: Sequence[Mapping[str, Any]]) -> None:
        """Do ``steps`` that have not been done, each written down before.

        :raises WindowError: one could not be done, or no window is open.
        """
        for wished in steps:
            window = self.opened()
            there = _same(window, wished)
            if there and there["phase"] == "done":
                continue
            began = time.monotonic()
            begun = {**(there or self.hands.look(dict(wished), window["secrets"])), "phase": "begun"}
            if not begun["ours"]:
                continue  # it was so before, and stays so
            with held(self.fence):
                self.journal.write(with_step(window, begun))
                reached(f"window:begun-{begun['kind']}")
                done = {**self.hands.do(begun, window["secrets"]), "phase": "done"}
                reached(f"window:did-{begun['kind']}")
                self.journal.write(with_step(window, done))
            if done["kind"] != "page":
                self._tell(done, DONE, "a maintenance window begins", time.monotonic() - began)

    def opened(self) -> dict[str, Any]:
        """Return the window that is open.

        :raises WindowError: none is.
        """
        window = self.journal.read()
        if window is None:
            raise WindowError("no maintenance window is open on this host: it was closed, or never opened")
        return window

    def prolong(self, seconds: float) -> None:
        """Let the window stay open for so long from now.

        :raises WindowError: none is open.
        """
        with held(self.fence):
            self.journal.write({**self.opened(), **until(this_moment(), seconds)})

    def drain(self, queues: Sequence[Mapping[str, Any]], secrets: Mapping[str, str], *, seconds: float) -> str:
        """Wait until nothing is worked on in ``queues``; return what still is when the time is over, empty where nothing is.

        :raises WindowError: a server does not tell.
        """
        deadline = time.monotonic() + seconds
        with keeping(self.fence):
            while True:
                try:
                    counts = {label(one): active(one, secrets.get(one.get("password") or "")) for one in queues}
                except QueueError as exc:
                    raise WindowError(str(exc)) from exc
                left = ", ".join(f"{count} of {name}" for name, count in counts.items() if count)
                if not left or time.monotonic() >= deadline:
                    return left
                time.sleep(POLL_SECONDS)

    def close(self, *, by: str, ended: bool = False) -> str:
        """Undo everything, from the last to the first, and end the window. Nothing is done where none is open.

        Another run may be at work in its window: who does not hold the lock leaves it, and why is returned.

        :param ended: the window has lasted longer than it was to, so that it is nobody's any more
        :raises WindowError: something could not be undone; all the rest is, and the journal holds what is left.
        """
        window = self.journal.read()
        if window is None:
            return ""
        if window["run"] != by and self.fence.number == 0 and not ended:
            return (
                f"the maintenance window of run {window['run']} is left open: this run does not hold the lock of changes. "
                f"Its own run closes it, or the host when its time is over"
            )
        wrong = []
        for step in reversed(window["steps"]):
            began = time.monotonic()
            try:
                with held(self.fence):
                    if self._is_open(window):
                        self.hands.undo(step, window["secrets"])
                    if not self._is_open(window):
                        return ""
                    reached(f"window:undid-{step['kind']}")
                    window = without_step(window, step)
                    self.journal.write(window)
            except WindowError as exc:
                wrong.append(f"{step['kind']} {step['name']}: {exc}")
                continue
            self._tell(step, UNDONE, "the maintenance window ends", time.monotonic() - began)
        if wrong:
            self._leave_to_the_host(window, wrong)
            raise WindowError(f"not everything was undone: {'; '.join(wrong)}. The host tries again by itself")
        with held(self.fence):
            if self._is_open(window):
                self.journal.end(window, by=by, at=this_moment().at)
        return ""

    def _is_open(self, window: Mapping[str, Any]) -> bool:
        """Return whether nobody has closed the window meanwhile: the host may work beside a run that has long been silent."""
        there = self.journal.read()
        return there is not None and there["run"] == window["run"]

    def _leave_to_the_host(self, window: Mapping[str, Any], wrong: list[str]) -> None:
        """Let the window be over from now on, so that the host's next look ends it."""
        try:
            with held(self.fence):
                if not self._is_open(window):
                    return
                ends = until(this_moment(), 0)["ends"]
                self.journal.write(
                    {**window, "phase": "closing", "ends": window["ends"] if is_over(window, this_moment()) else ends}
                )
        except WindowError as exc:
            wrong.append(str(exc))

    def _tell(self, step: Mapping[str, Any], words: Mapping[str, str], reason: str, seconds: float) -> None:
        name = ", ".join(one["name"] for one in step.get("services") or []) or step["name"]  # those that ran
        change = make_change(
            name, action=words[step["kind"]], section=SECTION, reason=reason, seconds=round(seconds, 2)
        )
        self.changes.append(change)
        self.say(f"{name}: {words[step['kind']]}")


def _same(window: Mapping[str, Any], wished: Mapping[str, Any]) -> dict[str, Any] | None:
    found = [one for one in window["steps"] if (one["kind"], one["name"]) == (wished["kind"], wished["name"])]
    return found[0] if found else None
