# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one deployment is about, and how far it has come. Private to this collection."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._deploy_journal import Entry
from ansible_collections.runbook.ops.plugins.module_utils._deployment_plan import Live, Wish
from ansible_collections.runbook.ops.plugins.module_utils._deployment_terms import Done, Parts, PassedError


class Course:
    """What is wished, by what it is done, and what was done and seen so far."""

    def __init__(self, parts: Parts, wish: Wish, *, run: str, now: Callable[[], float]) -> None:
        self.parts, self.wish, self.run, self.now = parts, wish, run, now
        self.done: list[Done] = []
        self.checks: list[dict[str, Any]] = []
        self.notes: list[str] = []  # what was found and ended
        self.parked = False  # what is promoted stood staged on purpose
        self.came_back: str | None = None  # the release of what was cut off did not stay

    def write(self, entry: Entry, phase: str, **more: Any) -> Entry:
        return self.parts.journal.write(entry, phase, **more)

    @contextmanager
    def timed(self, step: str, release: str, slot: str | None) -> Any:
        began = time.monotonic()
        yield
        self.done.append(Done(step, release, slot, round(time.monotonic() - began, 3)))

    def passed(self, entry: Entry) -> Live | None:
        """Return what somebody else has led the requests to since; None where it is what the journal says."""
        live = None if self.wish.ends else self.parts.settle()
        due = (entry.release, entry.back_release) if entry.phase in ("switching", "returning") else (entry.release,)
        return live if live and live.release not in due else None

    def leave(self, entry: Entry, live: Live) -> PassedError:
        """Leave the requests where somebody else has led them: what was begun is over, and nothing is known to be good by it."""
        returned = live.release == entry.back_release
        told = f"{live.release} serves, which somebody else led the requests to: that was left alone"
        if entry.kind == "deploy" and entry.phase == "returning":
            self.parts.note("bad", entry.release, slot=entry.slot, reason=entry.reason)
        elif entry.kind == "deploy" and returned and entry.phase != "good":
            self.parts.note("rolled_back", entry.release, slot=entry.slot, reason=told)
        elif entry.kind == "rollback" and entry.phase == "switched" and not returned and entry.back_release:
            self.parts.note("bad", entry.back_release, slot=entry.back_slot, reason=entry.reason)
        self.parts.journal.clear()
        told = f"{told}; {entry.release} does not serve, and was not marked good"
        return PassedError(told, "rolled_back" if returned else "not_rolled_back")
