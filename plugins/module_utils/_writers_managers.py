# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How systemd, PM2 and Docker stop and start what writes to a database. Private to this collection.

Each has ``instances`` (of services: what of each runs), ``stop`` and ``start`` (of several at once), and ``ill`` (of one: what is
wrong, or None). A service here is its description with the ``instances`` that ran.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._command import Command, CommandError
from ansible_collections.runbook.ops.plugins.module_utils._compose import Container, trouble
from ansible_collections.runbook.ops.plugins.module_utils._compose_host import Docker, Project
from ansible_collections.runbook.ops.plugins.module_utils._compose_plan import Seen, Wish, plan
from ansible_collections.runbook.ops.plugins.module_utils._pm2 import App, group
from ansible_collections.runbook.ops.plugins.module_utils._pm2_host import Pm2Host
from ansible_collections.runbook.ops.plugins.module_utils._pm2_plan import Step as Pm2Step
from ansible_collections.runbook.ops.plugins.module_utils._pm2_plan import Wish as Pm2Wish
from ansible_collections.runbook.ops.plugins.module_utils._pm2_plan import plan as pm2_plan
from ansible_collections.runbook.ops.plugins.module_utils._pm2_watch import look
from ansible_collections.runbook.ops.plugins.module_utils._restart import parse_units

ALIVE = ("active", "reloading", "activating", "deactivating")
LIMIT_SECONDS = 180.0  # for all that are stopped or started at once; each has a limit of its own besides
Services = Sequence[dict[str, Any]]


class GivenUpError(Exception):
    """A service that its manager has given up: waiting does not help."""


class Systemd:
    """Units of systemd."""

    def __init__(self, module: Any) -> None:
        self._systemctl = Command(module, "systemctl", within=["timeout", f"{LIMIT_SECONDS:g}"])

    def instances(self, services: Services) -> list[list[str]]:
        states = self._states([_unit(one) for one in services])
        return [[_unit(one)] if states.get(_unit(one)) in ALIVE else [] for one in services]

    def stop(self, services: Services) -> None:
        self._systemctl("stop", "--", *(unit for one in services for unit in one["instances"]))

    def start(self, services: Services) -> None:
        units = [unit for one in services for unit in one["instances"]]
        # One that ended too often is not started otherwise.
        self._systemctl("reset-failed", "--", *units, accept=(0, 1))
        self._systemctl("start", "--", *units)

    def ill(self, one: dict[str, Any]) -> str | None:
        state = self._states([_unit(one)]).get(_unit(one))
        if state == "failed":
            raise GivenUpError(f"the unit of {one['name']} has failed: journalctl -n 50 -u {_unit(one)}")
        return None if state in ("active", "reloading") else f"has the unit {_unit(one)}, which is {state}"

    def _states(self, units: Sequence[str]) -> dict[str, str]:
        """Return the state of each unit, by the name that it was asked for."""
        blocks = parse_units(self._systemctl("show", "-p", "Id,Names,ActiveState", "--", *units))
        return {
            name: block.get("ActiveState", "")
            for block in blocks
            for name in [block.get("Id", ""), *block.get("Names", "").split()]
        }


class Pm2:
    """Applications of PM2, of one account or several."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._hosts: dict[str | None, Pm2Host] = {}

    def _host(self, user: str | None) -> Pm2Host:
        if user not in self._hosts:
            self._hosts[user] = Pm2Host(self._module, user, None)
        return self._hosts[user]

    def instances(self, services: Services) -> list[list[str]]:
        found = {user: group(self._host(user).processes() or []) for user in {one.get("user") for one in services}}
        apps = [found[one.get("user")].get(_app(one), App(_app(one))) for one in services]
        return [[str(number) for number in app.ids if number not in app.down_ids] for app in apps]

    def stop(self, services: Services) -> None:
        self._bring(services, "stopped")

    def start(self, services: Services) -> None:
        self._bring(services, "started")

    def _bring(self, services: Services, state: str) -> None:
        for user in {one.get("user"): None for one in services}:
            host = self._host(user)
            wishes = [Pm2Wish(_app(one), state, host.user) for one in services if one.get("user") == user]
            for step in _joined([step for wish in wishes for step in pm2_plan(look(host, wish), wish)]):
                host.command(step.directory, limit_seconds=LIMIT_SECONDS)(*step.arguments, stdin=step.stdin)

    def ill(self, one: dict[str, Any]) -> str | None:
        app = group(self._host(one.get("user")).processes() or []).get(_app(one), App(_app(one)))
        if app.errored_ids:
            raise GivenUpError(f"PM2 has given {one['name']} up: read the end of {app.error_log}")
        return None if app.status == "online" else f"is {app.status}"


def _app(one: dict[str, Any]) -> str:
    return str(one.get("app") or one["name"])


def _joined(steps: Sequence[Pm2Step]) -> list[Pm2Step]:
    """Return the calls of PM2 with those in one that only name other applications: each starts Node anew."""
    joined: list[Pm2Step] = []
    for step in steps:
        last = joined[-1] if joined else None
        if last and step.verb in ("start", "stop") and last.verb == step.verb and not (last.stdin or step.stdin):
            joined[-1] = Pm2Step((*last.arguments, *step.arguments[1:]), last.because)
        elif step not in joined:  # what brings back one application brings back all
            joined.append(step)
    return joined


class Compose:
    """Containers of Compose. They are stopped and started as they are; what is gone, Compose makes anew."""

    def __init__(self, module: Any) -> None:
        self._docker = Docker(module)

    def _containers(self, one: dict[str, Any]) -> list[Container]:
        return self._docker.containers(one["project"], one.get("compose_service") or one["name"])

    def instances(self, services: Services) -> list[list[str]]:
        alive = ("running", "restarting", "paused")
        return [[each.name for each in self._containers(one) if each.status in alive] for one in services]

    def stop(self, services: Services) -> None:
        self._docker("stop", *(name for one in services for name in one["instances"]), limit=LIMIT_SECONDS)

    def start(self, services: Services) -> None:
        try:
            self._docker("start", *(name for one in services for name in one["instances"]), limit=LIMIT_SECONDS)
        except CommandError:
            for one in services:
                self._up(one)

    def _up(self, one: dict[str, Any]) -> None:
        service = one.get("compose_service") or one["name"]
        file = one.get("compose_file") or "docker-compose.yml"
        project = Project(self._docker, directory=one["path"], file=file, project=one["project"], service=service)
        found = tuple(project.containers())
        for step in plan(Seen(project.definition(), found), Wish(service, "started", len(one["instances"]))):
            project.act(step, LIMIT_SECONDS)

    def ill(self, one: dict[str, Any]) -> str | None:
        found = self._containers(one)
        asked = bool(
            (one.get("health") or {}).get("url")
        )  # that tells sooner than the next round of Docker's own check
        wrong = {
            each.name: why
            for each in found
            if (why := trouble(each, restarts_before=each.restarts)) and not (asked and each.health == "starting")
        }
        # One that an older deployment has left behind is no reason to doubt those that serve.
        well = [each for each in found if each.status == "running" and each.name not in wrong]
        if len(well) >= len(one["instances"]):
            return None
        if wrong:
            return ", ".join(f"has the container {name}, which is {why}" for name, why in wrong.items())
        return f"has {len(well)} containers that run"


def _unit(one: dict[str, Any]) -> str:
    return str(one.get("unit") or f"{one['name']}.service")


FACTORIES: dict[str, Callable[[Any], Any]] = {"systemd": Systemd, "pm2": Pm2, "compose": Compose}
