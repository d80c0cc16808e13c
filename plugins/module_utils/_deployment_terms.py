# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deployment is made of, what it says of itself, and how it fails. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from ansible_collections.runbook.ops.plugins.module_utils._deploy_journal import Journal
from ansible_collections.runbook.ops.plugins.module_utils._deployment_plan import Live


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


def as_seconds(done: Iterable[Done]) -> Mapping[str, float]:
    """Return how long each step took, by its name."""
    found: dict[str, float] = {}
    for one in done:
        found[one.step] = round(found.get(one.step, 0.0) + one.seconds, 3)
    return found
