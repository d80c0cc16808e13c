# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The services that write to a database, stopped and started as quickly as their managers can. Private to this collection.

Each manager is called once for all of its services. Whatever can be looked up is looked up before the first one is stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._command import CommandError
from ansible_collections.runbook.ops.plugins.module_utils._compose import ComposeError
from ansible_collections.runbook.ops.plugins.module_utils._http import HttpError, ask
from ansible_collections.runbook.ops.plugins.module_utils._live_options import every_slot
from ansible_collections.runbook.ops.plugins.module_utils._pm2 import Pm2Error
from ansible_collections.runbook.ops.plugins.module_utils._writers_managers import FACTORIES, GivenUpError
from ansible_collections.runbook.ops.plugins.module_utils.probes.http import wrong_body

# What of a service's description is needed to start it again: a journal holds that, and nothing that is secret.
KEPT = (
    *("name", "manager", "user", "app", "unit", "path", "project", "compose_file", "compose_service", "replicas"),
    *("after", "health"),
)
POLL_SECONDS = 0.05
STEADY_SECONDS = 1.0  # for which what was started must not end again
Service = dict[str, Any]


class WritersError(Exception):
    """A service that could not be stopped, or does not work; the message is one line that says what to do."""


class Writers:
    """The writers of one host."""

    def __init__(
        self, module: Any, *, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._module, self._clock, self._sleep = module, clock, sleep
        self._managers: dict[str, Any] = {}

    def look(self, services: Iterable[Mapping[str, Any]], left: Sequence[Service] = ()) -> list[Service]:
        """Return those that run, each with its ``instances``, in the order in which they are started.

        :param left: those that a killed run had stopped, or was about to: they are among them whether they run or not
        :raises WritersError: a manager does not tell.
        """
        known = {one["name"]: one for one in left}
        try:
            slots = [each for one in services for each in every_slot(one)]
        except ValueError as exc:
            raise WritersError(str(exc)) from exc
        wanted = [{key: one.get(key) for key in KEPT} for one in slots]
        wanted = [*wanted, *(one for name, one in known.items() if name not in {each["name"] for each in wanted})]
        found = []
        for manager, mine in _grouped(wanted):
            for one, instances in zip(mine, self._do(manager, "instances", mine)):
                ran = instances or known.get(one["name"], {}).get("instances") or []
                if ran:
                    found.append({**one, "instances": ran})
        names = [one["name"] for one in wanted]
        return sorted(found, key=lambda one: names.index(one["name"]))

    def stop(self, writers: Sequence[Service]) -> None:
        """Stop all of them, those that are started last first.

        :raises WritersError: one could not be stopped.
        """
        for manager, mine in _grouped(list(reversed(writers))):
            self._do(manager, "stop", mine)

    def start(self, writers: Sequence[Service], wait_seconds: float) -> None:
        """Start all of them, each after those that it comes after, and wait until each works.

        :raises WritersError: one does not.
        """
        deadline = self._clock() + wait_seconds
        waves = in_waves(writers)
        for wave in waves:
            for manager, mine in _grouped(wave):
                self._do(manager, "start", mine)
            self._wait(wave, deadline, wait_seconds)

    def confirm(self, writers: Sequence[Service]) -> None:
        """See that all of them still work a moment later: what a manager has just started, it takes for running.

        :raises WritersError: one does not.
        """
        self._sleep(STEADY_SECONDS)
        self._wait(writers, self._clock() + STEADY_SECONDS, 2 * STEADY_SECONDS)

    def start_all(self, writers: Sequence[Service]) -> list[str]:
        """Start all of them, whatever becomes of the one before; return what is wrong."""
        wrong = []
        for wave in in_waves(writers):
            for manager, mine in _grouped(wave):
                try:
                    self._do(manager, "start", mine)
                except WritersError as exc:
                    wrong.append(str(exc))
        return wrong

    def _wait(self, writers: Sequence[Service], deadline: float, waited: float) -> None:
        left = list(writers)
        while left:
            ill = {one["name"]: why for one in left if (why := self._ill(one, deadline))}
            left = [one for one in left if one["name"] in ill]
            if left and self._clock() >= deadline:
                words = "; ".join(f"{name} {why}" for name, why in ill.items())
                raise WritersError(f"not healthy after {waited:g} s: {words}")
            if left:
                self._sleep(POLL_SECONDS)

    def _ill(self, one: Service, deadline: float) -> str | None:
        """Return what is wrong with a writer; None where it works."""
        why: str | None = self._do(one["manager"], "ill", one)
        health = one.get("health") or {}
        if why or not health.get("url"):
            return why
        try:
            limit = max(0.5, min(float(health.get("timeout_seconds") or 10), deadline - self._clock()))
            answer = ask(health["url"], timeout_seconds=limit)
        except HttpError as exc:
            return f"does not answer at {health['url']}: {exc}"
        except ValueError as exc:
            raise WritersError(f"the health of {one['name']} cannot be asked: {exc}") from exc
        if answer.status != (health.get("status") or 200):
            return f"answers with {answer.status} at {health['url']}"
        wrong = wrong_body(answer.body, health.get("json") or None, None, truncated=answer.truncated)
        return f"answers wrongly at {health['url']}: {wrong}" if wrong else None

    def _do(self, manager: str, verb: str, argument: Any) -> Any:
        try:
            if manager not in self._managers:
                if manager not in FACTORIES:
                    raise WritersError(f"services of {manager} cannot be stopped from here: leave them out")
                self._managers[manager] = FACTORIES[manager](self._module)
            return getattr(self._managers[manager], verb)(argument)
        except GivenUpError as exc:
            raise WritersError(f"not healthy: {exc}") from exc
        except (CommandError, ComposeError, Pm2Error) as exc:
            raise WritersError(str(exc)) from exc


def in_waves(writers: Sequence[Service]) -> list[list[Service]]:
    """Return ``writers`` in groups, each of which comes after those before it."""
    waves: list[list[Service]] = []
    left = list(writers)
    while left:
        names = {one["name"] for one in left}
        # A circle cannot be waited for: then all at once.
        wave = [one for one in left if not names & (set(one.get("after") or ()) - {one["name"]})] or left
        waves.append(wave)
        left = [one for one in left if one not in wave]
    return waves


def _grouped(services: Sequence[Service]) -> list[tuple[str, list[Service]]]:
    groups: dict[str, list[Service]] = {}
    for one in services:
        groups.setdefault(one["manager"], []).append(one)
    return list(groups.items())
