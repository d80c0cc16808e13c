# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate: a new release in its slot gets no request of a user before it has shown that it is right. Private to this collection."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._gate_ask import (
    HERE,
    is_version,
    requests_of,
    told_version,
    version_wanted,
    wrong_answer,
)
from ansible_collections.runbook.ops.plugins.module_utils._slot import ADOPTED, SlotError, SlotSeen
from ansible_collections.runbook.ops.plugins.module_utils._units import human_size

if TYPE_CHECKING:
    from ansible_collections.runbook.ops.plugins.module_utils._release import Release
    from ansible_collections.runbook.ops.plugins.module_utils._slot import Slot

SECTION = "Deployment"
POLL_SECONDS = 0.25
LOG_TURNS = 4
LOG_LINES = 40
TELLING = re.compile(r"(?i)^\W*(?:\S+ ){0,3}\w*(?:error|exception|fatal)\b")  # not the lines of a stack below it
ACCEPT_SECONDS = 2.0  # until a connection is taken by a process
LEAST_GROWTH_BYTES = 64 * 1024 * 1024
GROWTH_PERCENT = 50
LONG_UP_SECONDS = 60  # restarts of one that has run for so long are over
SAME_WRONG_VERSION = 3  # answers in a row


class GateError(Exception):
    """A release did not pass; the message is one line that says why. ``details`` has the end of its log and the seconds."""

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.details = details


class GateWishes(NamedTuple):
    """What a release has to show."""

    health: Mapping[str, Any] | None = None  # of the description: url, status, json, timeout_seconds
    version: Mapping[str, Any] | None = None  # of deploy: url, json, is
    smoke: Sequence[Mapping[str, Any]] = ()  # of deploy: request, status, json
    url: str | None = None  # of deploy: whose host is asked for
    start_timeout_seconds: float = 60
    stable_seconds: float = 5
    answers: int = 3  # in a row
    memory_bytes: int | None = None  # limit of all its processes together


def wishes_of(service: Mapping[str, Any]) -> GateWishes:
    """Return what the description asks of a release of ``service``."""
    deploy, limits = service["deploy"], service.get("limits") or {}
    health = service.get("health")
    return GateWishes(
        health=health if health and health.get("url") else None,
        version=deploy.get("version"),
        smoke=deploy.get("smoke") or (),
        url=deploy.get("url"),
        start_timeout_seconds=deploy["start_timeout_seconds"],
        stable_seconds=deploy["stable_seconds"],
        memory_bytes=limits.get("memory_bytes"),
    )


class _RefusedError(Exception):
    """It will not pass, however long one waits."""


class _Gate:
    """One passage: what was seen so far."""

    def __init__(self, slot: Slot, release: Release, wishes: GateWishes, now: float) -> None:
        self.slot, self.release, self.wishes = slot, release, wishes
        self.began, self.deadline = now, now + wishes.start_timeout_seconds
        self.requests = requests_of(wishes, slot.port)
        self.wanted = version_wanted(wishes.version, release)
        self.restarts: int | None = None
        self.version: str | None = None
        self.wrong_versions = 0
        self.memory: list[int] = []  # since its first right answer
        self.seen = SlotSeen()

    def look(self, wall: float) -> str | None:
        """Return what keeps it from answering yet, None where nothing does.

        :param wall: the time in seconds since 1970
        :raises _RefusedError: it has ended, is restarted, or is not what was started.
        """
        try:
            seen = self.seen = self.slot.look()
        except SlotError as exc:
            return str(exc)
        if self.restarts is None:
            long_up = seen.started_at is not None and wall - seen.started_at >= LONG_UP_SECONDS
            self.restarts = seen.restarts if long_up else 0
        if seen.status in ("absent", "stopped"):
            code = f", exit code {seen.exit_code}" if seen.exit_code is not None else ""
            raise _RefusedError(f"it has ended{code}")
        if seen.restarts > self.restarts or seen.status == "broken":
            raise _RefusedError(seen.trouble or f"it ended and was restarted {seen.restarts - self.restarts} times")
        if seen.release not in (self.release.id, ADOPTED if self.release.kind == ADOPTED else self.release.id):
            raise _RefusedError(f"the slot runs {seen.release}, not {self.release.id}")
        if seen.listening:
            if seen.status == "starting" and not self.slot.instances():  # then nobody but its manager knows all of them
                return "not all of it has started yet, says its manager"
            return seen.trouble if seen.status == "ill" else None
        strangers = self.slot.strangers()
        if strangers:
            raise _RefusedError(f"port {self.slot.port} is taken by {', '.join(strangers)}")
        return f"nobody listens on port {self.slot.port}"

    def ask(self, now: float) -> str | None:
        """Return what is wrong with its answers, None where all are right.

        :raises _RefusedError: it is another version.
        """
        left = max(1.0, self.deadline - now)
        other = self.slot.taken_by_other(seconds=min(ACCEPT_SECONDS, left))
        if other:
            return other
        for request in self.requests:
            wrong = wrong_answer(request, most_seconds=left)
            if wrong:
                return wrong
        return self._ask_version(left, HERE, self.slot.port) or self._ask_each(left)

    def _ask_each(self, left: float) -> str | None:
        """Ask each of several instances by itself: what answered on the port was one of them."""
        for name, host, port in self.slot.instances():
            for request in requests_of(self.wishes, port, host):
                wrong = wrong_answer(request, most_seconds=left)
                if wrong:
                    return f"{name}: {wrong}"
            wrong = self._ask_version(left, host, port)
            if wrong:
                return f"{name}: {wrong}"
        return None

    def _ask_version(self, left: float, host: str, port: int) -> str | None:
        version = self.wishes.version
        if not version or self.wanted is None:
            return None
        found, wrong = told_version(version, port, host, most_seconds=left)
        if found is None:
            return wrong
        self.version = found
        if is_version(found, self.wanted, version.get("is") or "commit"):
            self.wrong_versions = 0
            return None
        self.wrong_versions += 1
        said = f"it says to be version {found[:60]}, wanted is {self.wanted}"
        if self.wrong_versions >= SAME_WRONG_VERSION:
            raise _RefusedError(said)
        return said

    def weigh(self) -> None:
        """Look at its memory.

        :raises _RefusedError: it uses more than it may, or grows too fast.
        """
        self.memory.append(self.seen.memory_bytes)
        limit, now = self.wishes.memory_bytes, self.memory[-1]
        if limit and now > limit:
            raise _RefusedError(f"it uses {human_size(now)} of memory, its limit is {human_size(limit)}")

    def runs_away(self) -> str | None:
        """Return how its memory grows, where that will not end well; None where it does not."""
        first, last = min(self.memory[:2], default=0), self.memory[-1] if self.memory else 0
        grown = last - first
        if first and grown > LEAST_GROWTH_BYTES and grown * 100 > first * GROWTH_PERCENT:
            return f"its memory grew from {human_size(first)} to {human_size(last)} while nobody used it"
        return None


def pass_gate(
    slot: Slot,
    release: Release,
    wishes: GateWishes,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[dict[str, Any]]:
    """Wait until ``release`` has shown in ``slot`` that it is right, and return the checks; changes nothing.

    Right is: its own process takes the connections, all answers are right several times in a row, and it goes on so for
    ``stable_seconds`` without a restart.

    :raises GateError: it did not in time, or shows at once that it never will.
    """
    gate = _Gate(slot, release, wishes, clock())
    try:
        right_at = _wait(gate, clock, sleep)
    except _RefusedError as exc:
        raise _failure(gate, str(exc), clock() - gate.began, sleep) from None
    return _checks(gate, right_at - gate.began)


def _wait(gate: _Gate, clock: Callable[[], float], sleep: Callable[[float], None]) -> float:
    """Return when the first of the right answers was given.

    :raises _RefusedError: it did not pass.
    """
    right_at, in_row = None, 0
    while True:
        wrong = gate.look(time.time()) or gate.ask(clock())
        now = clock()
        if wrong is None:
            right_at, in_row = now if right_at is None else right_at, in_row + 1
            gate.weigh()
            if in_row >= gate.wishes.answers and now - right_at >= gate.wishes.stable_seconds:
                away = gate.runs_away()
                if away:
                    raise _RefusedError(away)
                return right_at
        else:
            right_at, in_row, gate.memory = None, 0, []
            if now >= gate.deadline:
                raise _RefusedError(f"not right within {gate.wishes.start_timeout_seconds:g} s: {wrong}")
        sleep(POLL_SECONDS)


def _failure(gate: _Gate, why: str, seconds: float, sleep: Callable[[float], None]) -> GateError:
    log: list[str] = []
    for _turn in range(LOG_TURNS):  # what it said last may still be on its way
        try:
            log = gate.slot.log(LOG_LINES)
        except SlotError:
            break
        if log:
            break
        sleep(POLL_SECONDS)
    telling = next((line for line in reversed(log) if TELLING.search(line)), log[-1] if log else "")
    ends = f"; its log says: {telling.strip()[:200]}" if telling else ""
    return GateError(
        f"{gate.release.id} did not pass the gate in slot {gate.slot.name}: {why}{ends}",
        log=log,
        why=why,
        seconds=round(seconds, 2),
    )


def _checks(gate: _Gate, answered: float) -> list[dict[str, Any]]:
    """Return what was shown, as observations."""
    service, slot, seen, wishes = gate.release.service, gate.slot, gate.seen, gate.wishes
    count = len(gate.requests)

    def check(what: str, value: Any, detail: str, status: str = "ok", **more: Any) -> dict[str, Any]:
        name = f"{service}: {what} of the new release"
        return make_check(
            f"gate:{service}:{what}", name=name, section=SECTION, status=status, value=value, detail=detail, **more
        )

    pids = ", ".join(map(str, seen.pids))
    stable = f"right after {answered:.1f} s, {count} requests each time, and stable for {wishes.stable_seconds:g} s"
    found = [
        check("process", slot.name, f"{slot.label} takes the connections to port {slot.port}, pid {pids}"),
        check("answers", round(answered, 2), stable, unit="s", limit=wishes.start_timeout_seconds),
        check("memory", seen.memory_bytes, human_size(seen.memory_bytes), unit="B", limit=wishes.memory_bytes),
    ]
    if wishes.version and gate.wanted is not None:
        found.append(check("version", gate.version, f"it says {gate.version}", limit=gate.wanted))
    elif wishes.version:
        remedy = "Describe with version.is what its release knows"
        found.append(check("version", None, "nobody knows what it should say", "unknown", remedy=remedy))
    return found
