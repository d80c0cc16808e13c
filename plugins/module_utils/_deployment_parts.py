# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deployment is made of on a real host: slots, gate, switch, watch, ledger. Private to this collection."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils import _gate, _live, _watch
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import PROVEN_SECONDS, Fence, held, renew
from ansible_collections.runbook.ops.plugins.module_utils._command import CommandError
from ansible_collections.runbook.ops.plugins.module_utils._deploy_journal import Journal
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import (
    DeployPaths,
    StateError,
    read_json,
    write_json,
)
from ansible_collections.runbook.ops.plugins.module_utils._deployment_adopt import adopted_release
from ansible_collections.runbook.ops.plugins.module_utils._deployment_environment import environment_of
from ansible_collections.runbook.ops.plugins.module_utils._deployment_outage import Outage
from ansible_collections.runbook.ops.plugins.module_utils._deployment_plan import BASE, Live, came_back
from ansible_collections.runbook.ops.plugins.module_utils._deployment_save import save
from ansible_collections.runbook.ops.plugins.module_utils._deployment_terms import StrandedError, TroubleError
from ansible_collections.runbook.ops.plugins.module_utils._pm2 import Pm2Error
from ansible_collections.runbook.ops.plugins.module_utils._release import Release, ReleaseError, listed, load
from ansible_collections.runbook.ops.plugins.module_utils._release import save as save_release
from ansible_collections.runbook.ops.plugins.module_utils._release_ledger import events, good, last_good, note
from ansible_collections.runbook.ops.plugins.module_utils._slot import ADOPTED, Slot, SlotError, SlotSeen, slots_of
from ansible_collections.runbook.ops.plugins.module_utils._units import human_size

TROUBLES = (SlotError, _gate.GateError, _live.SwitchError, ReleaseError, Pm2Error, CommandError, ValueError)


class Task(NamedTuple):
    """What the parts have to know."""

    service: Mapping[str, Any]  # as the role system describes it
    deployment: Mapping[str, Any]  # system_description['deployment']
    paths: DeployPaths
    fence: Fence
    run: str
    hotfix: bool
    module: Any  # the AnsibleModule


class HostParts:
    """The parts of one service on this host."""

    ends = True  # what is left is stopped
    root = True  # only root may

    def __init__(self, task: Task) -> None:
        """:raises TroubleError: its manager has no slots here."""
        self._task = task
        self._deploy = task.service["deploy"]
        self.beside = self._deploy["strategy"] != "in_place" and bool(self._deploy["proxy"])
        self.journal = Journal(task.paths, self._commit)
        self.service = str(task.service["name"])
        self.outage_seconds: float | None = None
        with _troubles():
            self.slots: dict[str, Slot] = slots_of(task.service, task.paths, task.module)
            self._gate = _gate.wishes_of(task.service)
            self._proxy = _live.wishes_of(task.service, task.module) if self.beside else None

    # What there is

    def look(self) -> tuple[Live | None, str | None, dict[str, str | None], dict[str, int]]:
        live = self.live()
        seen = self.seen()
        ports = {name: slot.port for name, slot in self.slots.items()}
        running = [name for name in sorted(seen, key=lambda name: name != BASE) if seen[name] is not None]
        adoptable = None
        if live is None and running:
            try:
                adoptable = self._served_from(running)
            except TroubleError:  # adopt() refuses it
                adoptable = running[0]
        return live, adoptable, seen, ports

    def live(self) -> Live | None:
        with _troubles():
            found = _live.read_live(self._task.paths)
        return Live(found.slot, found.release or "") if found else None

    def seen(self) -> dict[str, str | None]:
        """Return the release that runs in each slot; "" for something unknown, None for nothing."""
        with _troubles():
            return {name: self._runs(slot.look()) for name, slot in self.slots.items()}

    def last_good(self, but: str | None) -> str | None:
        return last_good([event for event in self._events() if self._whole(event["release"])], but=but)

    def came_back(self, live: str) -> str | None:
        return came_back(self._events(), live, run=self._task.run, now=time.time())

    def release(self, name: str) -> Release:
        found = load(self._task.paths, name)
        if found is None:
            raise TroubleError(f"there is no whole release {name} of {self._task.service['name']} here: deploy it anew")
        return found

    # What is done

    def adopt(self) -> Live:
        """Take what a person has started for the first release: a way back leads to it."""
        seen = self.seen()
        running = [name for name in sorted(seen, key=lambda name: name != BASE) if seen[name] is not None]
        slot = self.slots[self._served_from(running)]
        with _troubles():
            release, environment = adopted_release(self._task.service, slot, self._task.module)
            with self._commit():
                write_json(self._task.paths.environment(release.id), environment)
            with self._commit():
                save_release(self._task.paths, release)
            self.note("live", release.id, slot=slot.name, reason="it ran before the first deployment")
            try:
                self.gate(slot.name, release.id, standing=True)
                self.note("good", release.id, slot=slot.name, reason="it is healthy")
            except TroubleError as exc:
                self._task.module.warn(f"what runs is not healthy, so there is no way back to it: {exc}")
            _live.adopt(self._task.paths, self._task.fence, slot, release.id)
        return Live(slot.name, release.id)

    def settle(self) -> Live | None:
        with _troubles():
            _live.settle(self._task.paths, self._task.fence, self._proxy)
        return self.live()

    def start(self, slot: str, release: str, *, fresh: bool) -> None:
        wanted, place = self.release(release), self.slots[slot]
        live = self.live()
        with _troubles():
            environment = environment_of(self._task.service, wanted, self._source(live), self._task.paths, fresh=fresh)
            with self._commit():
                write_json(self._task.paths.environment(release), environment)
            for other in self.slots.values():
                if other.port == place.port and other.name != slot and self._runs(other.look()) is not None:
                    self._let_finish(other)
                    self._end(other)
            if self._runs(place.look()) not in (None, release):
                self._let_finish(place)
            with self._commit():
                place.start(wanted, environment)

    def gate(self, slot: str, release: str, *, standing: bool) -> list[dict[str, Any]]:
        wishes = self._gate._replace(stable_seconds=0) if standing else self._gate
        with _troubles():
            return _gate.pass_gate(self.slots[slot], self.release(release), wishes)

    def before(self) -> None:
        if self.beside:
            with _troubles():
                window = _watch.measure_before(self._watch_wishes())
                with self._commit():
                    write_json(self._before, window._asdict())

    def switch(self, slot: str, release: str) -> list[dict[str, Any]]:
        paths, fence, wanted, proxy = self._task.paths, self._task.fence, self.release(release), self._proxy
        if proxy is None:
            return self._swap(slot, release)
        if wanted.kind == ADOPTED:  # it may be from before anybody asked for a version
            proxy = proxy._replace(version=None)
        with _troubles():
            report = _live.switch(paths, fence, self.slots[slot], wanted, proxy)
        return list(report.checks)

    def watch(self, slot: str, switched_at: float) -> tuple[str | None, list[dict[str, Any]]]:
        place = self.slots[slot]
        with _troubles():
            first = place.look()
            if not self.beside:
                return self._look_on(place, first), []
            before = _watch.Window(**(read_json(self._before) or {}))
            wishes = self._watch_wishes(late=time.time() - switched_at)
            verdict = _watch.watch(wishes, before, look=lambda: self._ill(place, first))
            checks = _watch.verdict_checks(self._task.service["name"], verdict, wishes.shared)
        return (None if verdict.good else verdict.why), checks

    def drain(self, slot: str) -> None:
        if self.beside and self._runs(self.slots[slot].look()) is not None:
            with _troubles():
                _live.drain(self._task.paths, self.slots[slot], self._proxy, seconds=self._deploy["drain_seconds"])

    def stop(self, slot: str) -> None:
        with _troubles():
            self._end(self.slots[slot])

    def note(self, event: str, release: str, **more: Any) -> None:
        note(self._task.paths, self._task.fence, event, release, **{"run": self._task.run, **more})

    def save(self) -> None:
        with _troubles(), self._commit():
            save(self._task.service, self._task.module)

    def give_back(self, *, check_mode: bool) -> list[str]:
        """Have nginx lead to what is live by its own files, without us; return what was done, or would be."""
        if self._proxy is None:
            return []
        with _troubles():
            seconds = self._deploy["drain_seconds"]
            return _live.forget(self._task.paths, self._task.fence, self._proxy, seconds=seconds, check_mode=check_mode)

    # How

    @property
    def _before(self) -> Any:
        return self._task.paths.directory / "before.json"

    def _commit(self) -> Any:
        return held(self._task.fence)

    def _events(self) -> list[dict[str, Any]]:
        return events(self._task.paths)

    def _served_from(self, running: list[str]) -> str:
        """Return which of the slots, in which a person has started something, serves."""
        ports = {self.slots[name].port for name in running}
        if self._proxy is None or len(ports) == 1:
            return running[0]
        with _troubles():
            led = _live.led_to(self._proxy, ports)
        if len(led) != 1:
            told = " and ".join(f"{self.slots[name].label} (port {self.slots[name].port})" for name in running)
            named = "both" if led else "none of them"
            raise TroubleError(f"{told} run, and nginx sends requests to {named}: stop the one that is not to serve")
        return next(name for name in running if self.slots[name].port in led)

    def _whole(self, release: str) -> bool:
        return load(self._task.paths, release) is not None

    def _watch_wishes(self, *, late: float = 0.0) -> Any:
        """Return what is watched; ``late`` seconds after the switch the time before has long gone by, and less is enough."""
        hotfix = self._task.hotfix or late > self._task.deployment["watch_seconds"]
        return _watch.wishes_of(self._task.service, self._task.deployment, hotfix=hotfix)

    def _runs(self, seen: SlotSeen) -> str | None:
        if seen.status in ("absent", "stopped"):
            return None
        if seen.status == "broken":  # whatever it is, it does not stand
            return ""
        if seen.release == ADOPTED:
            return next((one.id for one in reversed(listed(self._task.paths)) if one.kind == ADOPTED), "")
        return seen.release or ""

    def _source(self, live: Live | None) -> Slot | None:
        """Return the slot from which a new release takes the variables that nothing else gives it."""
        return self.slots[live.slot] if live and live.slot in self.slots else None

    def _let_finish(self, slot: Slot) -> None:
        """Leave what was on its way in ``slot`` at the last switch the time that is described, where that is not over yet."""
        found = _live.read_live(self._task.paths) if self.beside else None
        if found and found.slot != slot.name:
            over = time.time() - datetime.fromisoformat(found.since).timestamp()
            limit = self._deploy["drain_seconds"]
            _live.drain(self._task.paths, slot, self._proxy, seconds=max(0.0, min(limit, limit - over)))

    def _end(self, slot: Slot) -> None:
        limit = self._deploy["drain_seconds"]
        if self._task.fence.number:  # within a step nothing is renewed, and an application may take all of this time
            renew(self._task.fence, lease_seconds=limit + PROVEN_SECONDS)
        with self._commit():
            slot.stop(seconds=limit)
        if slot.name != BASE:  # what a person brought up is kept, to be started by a person
            with self._commit():
                slot.remove()

    def _ill(self, slot: Slot, first: SlotSeen) -> str | None:
        """Return what is wrong with what runs in ``slot`` now."""
        now, others = slot.look(), [other for other in self.slots.values() if other is not slot]
        if now.status == "ill" and any(other.look().status == "ill" for other in others):
            return None  # so is the other release: a host that has no time for health checks blames none
        if now.status not in (
            "running",
            "starting",
        ):  # a health check of Docker's begins late: the gate has asked itself
            return f"{slot.label} is {now.status}" + (f" ({now.trouble})" if now.trouble else "")
        if now.restarts > first.restarts:
            return f"{slot.label} was restarted by its manager"
        limit = (self._task.service.get("limits") or {}).get("memory_bytes")
        if limit and now.memory_bytes > limit and not any(one.look().memory_bytes > limit for one in others):
            return f"{slot.label} uses {human_size(now.memory_bytes)} of memory, its limit is {human_size(limit)}"
        return None

    def _look_on(self, slot: Slot, first: SlotSeen) -> str | None:
        """Watch without a proxy: whether it runs on."""
        deployment = self._task.deployment
        end = time.monotonic() + deployment["hotfix_watch_seconds" if self._task.hotfix else "watch_seconds"]
        while time.monotonic() < end:
            wrong = self._ill(slot, first)
            if wrong:
                return wrong
            time.sleep(1)
        return None

    def _swap(self, slot: str, release: str) -> list[dict[str, Any]]:
        """Stop what serves and start the new release in its place, and measure how long nothing answered."""
        live, place, wanted = self.live(), self.slots[slot], self.release(release)
        with Outage(self._task.service, place.port) as outage:
            try:
                if live and live.slot != slot and live.slot in self.slots:
                    self._end_in_place(live.slot)
                self.start(slot, release, fresh=release not in good(self._events()))
                checks = self.gate(slot, release, standing=False)
                with _troubles():
                    _live.adopt(self._task.paths, self._task.fence, place, wanted.id)
            except TroubleError as exc:
                self._put_back(live, exc)
                raise
        self.outage_seconds = outage.seconds()
        return [*checks, outage.check()]

    def _end_in_place(self, slot: str) -> None:
        with _troubles():
            self._end(self.slots[slot])

    def _put_back(self, live: Live | None, why: TroubleError) -> None:
        if live is None:
            return
        try:
            self.start(live.slot, live.release, fresh=False)
            self.gate(live.slot, live.release, standing=False)
        except TroubleError as exc:
            raise StrandedError(f"{why}; and {live.release} cannot be started again: {exc}", **why.details) from why


@contextmanager
def _troubles() -> Iterator[None]:
    """Have whatever a part complains of be the one error that a deployment knows."""
    try:
        yield
    except TROUBLES as exc:
        raise TroubleError(str(exc), **getattr(exc, "details", {})) from exc
    except StateError as exc:
        raise TroubleError(str(exc)) from exc
