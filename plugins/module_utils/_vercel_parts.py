# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deployment is made of at Vercel. Private to this collection.

A release is a deployment there, by its identifier. Each stands by itself for as long as Vercel keeps it, so the slot of a release is its own,
nothing is started or stopped, and what is switched is where the domains lead. Vercel alone knows that: nothing here writes it down.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _vercel_gate as gate
from ansible_collections.runbook.ops.plugins.module_utils import _watch
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import held
from ansible_collections.runbook.ops.plugins.module_utils._deploy_journal import Journal
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import StateError, read_json, write_json
from ansible_collections.runbook.ops.plugins.module_utils._deployment_plan import NEW_SLOT, Live, came_back
from ansible_collections.runbook.ops.plugins.module_utils._deployment_terms import StrandedError, TroubleError
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._release_ledger import events, good, note
from ansible_collections.runbook.ops.plugins.module_utils._vercel import (
    Deployment,
    RefusedError,
    UnknownError,
    VercelError,
)
from ansible_collections.runbook.ops.plugins.module_utils._vercel_api import Vercel, by_module
from ansible_collections.runbook.ops.plugins.module_utils._vercel_change import follow_checks
from ansible_collections.runbook.ops.plugins.module_utils._vercel_order import DoubtError, lead_to, settled
from ansible_collections.runbook.ops.plugins.module_utils._vercel_watch import LOOKED_AT, Waiting


class VercelParts:
    """The parts of one project."""

    beside = True
    ends = False  # what is left stands as before
    root = False
    outage_seconds: float | None = None

    def __init__(
        self, task: Any, wanted: str | None = None, *, vercel: Any = None, waiting: Waiting | None = None
    ) -> None:
        """Prepare to ask; ``wanted`` is the release that is wished.

        :raises TroubleError: the description does not say where, or how.
        """
        self._task, self._wanted = task, wanted
        self.service = str(task.service["name"])
        place: dict[str, Any] = task.service.get("vercel") or {}
        self._bypass = place.get("bypass")
        if not place.get("token"):
            raise TroubleError(f"{self.service} has no vercel.token: put a token of the API into the vault")
        if not task.service["deploy"].get("url"):
            raise TroubleError(f"{self.service} has no deploy.url: describe what users ask for")
        self._waiting = waiting or gate.real_waiting()
        self.journal = Journal(task.paths, self._commit)
        with _troubles():
            reach: dict[str, Any] = {key: place.get(key) for key in ("project", "team", "token", "api")}
            self._vercel = vercel or Vercel(by_module(task.module), **reach)
        self._latest: list[Deployment] = []
        self._live: Deployment | None = None

    # What there is

    def look(self) -> tuple[Live | None, str | None, dict[str, str | None], dict[str, int]]:
        found = self._look()
        entry = self.journal.read()
        named = [entry.release, entry.back_release] if entry else []
        slots: dict[str, str | None] = {}
        for name in (found.id if found else None, self._wanted, *named, self.last_good(found.id if found else None)):
            if name and name not in slots and self._stands(name):
                slots[name] = name
        ports = {NEW_SLOT: -1, **{name: number for number, name in enumerate(slots)}}
        if found is None:
            return None, None, slots, ports
        told = [*named, self._wanted, *(event["release"] for event in self._events() if event["event"] == "live")]
        known = found.id in told
        return (Live(found.id, found.id) if known else None), (None if known else found.id), slots, ports

    def last_good(self, but: str | None) -> str | None:
        """Return the newest good release of another commit: what was only built once more is no way back."""
        if self._live is None and not self._latest:
            self._look()
        live = self._live
        for name in reversed(good(self._events())):
            one = None if name == but or (live and name == live.id) else self._find(name)
            if one and one.state == "READY" and not (live and live.commit and one.commit == live.commit):
                return name
        return None

    def came_back(self, live: str) -> str | None:
        return came_back(self._events(), live, run=self._task.run, now=time.time())

    def releases(self) -> list[dict[str, Any]]:
        """Return what there is to go back to, what is live, and what is staged, the newest first."""
        live, entry = self._look(), self.journal.read()
        told = good(self._events())
        shown = {live.id if live else None, entry.release if entry else None, *told}
        newest = {one.id for one in self._latest}
        older = [one for one in map(self._find, (name for name in reversed(told) if name not in newest)) if one]
        return [
            {
                "id": one.id,
                "commit": one.commit,
                "ref": one.version or one.branch,
                "version": one.url,
                "built_at": one.ready_at or one.created_at,
                "good": one.id in told,
            }
            for one in (*self._latest, *older)
            if one.state == "READY" and (one.candidate or one.id in shown)
        ]

    # What is done

    def adopt(self) -> Live:
        """Take what serves, which somebody has pushed or promoted elsewhere, for a release of ours."""
        one = self._look()
        if one is None:
            raise TroubleError(f"nothing of {self._vercel.project} is in production: deploy a release")
        self.note("live", one.id, slot=one.id, reason="it was in production before")
        try:
            self.gate(one.id, one.id, standing=True)
            self.note("good", one.id, slot=one.id, reason="it is healthy")
        except TroubleError as exc:
            self._task.module.warn(f"what is in production is not healthy, so there is no way back to it: {exc}")
        return Live(one.id, one.id)

    def settle(self) -> Live | None:
        with _troubles():
            one = settled(self._vercel, self._waiting)
        return Live(one.id, one.id) if one else None

    def start(self, slot: str, release: str, *, fresh: bool) -> None:
        del slot, fresh
        raise TroubleError(f"{release} does not stand at Vercel any more: deploy its commit anew")

    def gate(self, slot: str, release: str, *, standing: bool) -> list[dict[str, Any]]:
        del slot  # each release has its own
        with _troubles():
            one = self._whole(release)
            return gate.pass_gate(self._task.service, one, self._bypass, standing=standing, waiting=self._waiting)

    def before(self) -> None:
        with _troubles():
            window = _watch.measure_before(self._watch_wishes())
            with self._commit():
                write_json(self._before, window._asdict())

    def switch(self, slot: str, release: str) -> list[dict[str, Any]]:
        """Lead the domains to ``release``: forward by a promotion, back by a rollback."""
        del slot
        with _troubles():
            one, entry = self._whole(release), self.journal.read()
            returns = entry and (entry.kind == "rollback" or entry.release != release)
            back = (entry.reason or "it did worse than before") if entry and returns else None
            lost = lead_to(self._vercel, one, back=back, commit=self._commit, waiting=self._waiting)
            if lost:
                self._task.module.warn(lost)
            reached("vercel:switched")
            gate.prove(self._task.service, one, self._waiting)
            return follow_checks(self._vercel)

    def watch(self, slot: str, switched_at: float) -> tuple[str | None, list[dict[str, Any]]]:
        del slot
        with _troubles():
            before = _watch.Window(**(read_json(self._before) or {}))
            wishes = self._watch_wishes(late=time.time() - switched_at)
            verdict = _watch.watch(wishes, before)
        return (None if verdict.good else verdict.why), _watch.verdict_checks(self.service, verdict)

    def drain(self, slot: str) -> None:
        """Do nothing: Vercel ends what is on its way where it began."""

    def stop(self, slot: str) -> None:
        """Do nothing: a deployment that the domains do not lead to gets no request of a user."""

    def save(self) -> None:
        """Do nothing: no host has to bring anything back."""

    def give_back(self, *, check_mode: bool) -> list[str]:
        """Do nothing: there is no proxy of ours before Vercel."""
        del check_mode
        return []

    def note(self, event: str, release: str, **more: Any) -> None:
        note(self._task.paths, self._task.fence, event, release, **{"run": self._task.run, **more})

    # How

    @property
    def _before(self) -> Any:
        return self._task.paths.directory / "before.json"

    def _commit(self) -> Any:
        return held(self._task.fence)

    def _events(self) -> list[dict[str, Any]]:
        return events(self._task.paths)

    def _look(self) -> Deployment | None:
        with _troubles():
            self._live, self._latest = self._vercel.look(LOOKED_AT)
        return self._live

    def _find(self, name: str) -> Deployment | None:
        """Return a deployment; None for one that is not there. Where Vercel does not say, that is no answer.

        :raises TroubleError: nobody can tell.
        """
        found = next((one for one in self._latest if one.id == name), None)
        with _troubles():
            try:
                return found or self._vercel.deployment(name)
            except (UnknownError, RefusedError):
                return None

    def _stands(self, name: str) -> bool:
        found = self._find(name)
        return found is not None and found.state == "READY"

    def _whole(self, name: str) -> Deployment:
        one = self._find(name)
        if one is None or one.state != "READY":
            raise VercelError(f"{name} is not ready at Vercel, or not there any more: deploy its commit anew")
        return one

    def _watch_wishes(self, *, late: float = 0.0) -> _watch.WatchWishes:
        """Return what is watched; ``late`` seconds after the switch less is enough."""
        limits = self._task.deployment
        short, whole = limits["hotfix_watch_seconds"], limits["watch_seconds"]
        seconds = short if self._task.hotfix else min(short, whole) if late > whole else whole
        requests = gate.requests_of(self._task.service, gate.production_address(self._task.service), {})
        return _watch.WatchWishes(
            requests=tuple({**one, "timeout_seconds": _watch.REQUEST_SECONDS} for one in requests),
            seconds=seconds,
            least_requests=limits["watch_requests"],
            error_percent=limits["rollback_error_percent"],
            slowdown_percent=limits["rollback_slowdown_percent"],
        )


@contextmanager
def _troubles() -> Iterator[None]:
    """Have whatever Vercel, the state or the description is wrong with be the one error that a deployment knows."""
    try:
        yield
    except DoubtError as exc:
        raise StrandedError(str(exc), **exc.details) from exc
    except VercelError as exc:
        raise TroubleError(str(exc), **exc.details) from exc
    except (StateError, ValueError) as exc:
        raise TroubleError(str(exc)) from exc
