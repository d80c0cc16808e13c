# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the managers of a host how its services are. Private to this collection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._command import Command, CommandError
from ansible_collections.runbook.ops.plugins.module_utils._compose import ComposeError
from ansible_collections.runbook.ops.plugins.module_utils._compose_host import Docker
from ansible_collections.runbook.ops.plugins.module_utils._pm2 import App, Pm2Error, group
from ansible_collections.runbook.ops.plugins.module_utils._pm2_host import Pm2Host
from ansible_collections.runbook.ops.plugins.module_utils._restart import parse_units
from ansible_collections.runbook.ops.plugins.module_utils._service_state import (
    from_app,
    from_containers,
    from_units,
    unknown,
)

PROPERTIES = "Id,Names,LoadState,ActiveState,MainPID,NRestarts,ActiveEnterTimestampMonotonic"
Services = list[dict[str, Any]]
States = list[dict[str, Any]]


class Managers:
    """The managers of this host: each is asked once for all of its services."""

    def __init__(self, module: Any, *, boot: float) -> None:
        self.module, self.boot = module, boot

    def systemd(self, services: Services) -> States:
        names = {name for one in services for name in one.get("watch_units") or [] if name}
        names |= {one.get("unit") or f"{one['name']}.service" for one in services}
        systemctl = Command(self.module, "systemctl")
        units = parse_units(systemctl("show", "-p", PROPERTIES, "--", *sorted(names)))
        return [from_units(one, units, boot=self.boot) for one in services]

    def pm2(self, services: Services) -> States:
        found: dict[Any, dict[str, App]] = {}
        for user in {one.get("user") for one in services}:
            found[user] = group(Pm2Host(self.module, user, None).processes() or [])
        names = {one["name"]: one.get("app") or one["name"] for one in services}
        return [
            from_app(one, found[one.get("user")].get(names[one["name"]], App(names[one["name"]]))) for one in services
        ]

    def compose(self, services: Services) -> States:
        docker = Docker(self.module)
        found = {project: docker.containers(project) for project in {one["project"] for one in services}}
        return [from_containers(one, found[one["project"]]) for one in services]


def ask(manager: Callable[[Services], States], services: Services) -> States:
    """Return the states of ``services``; where one of them makes the manager fail, each by itself."""
    try:
        return manager(services)
    except (CommandError, ComposeError, Pm2Error) as exc:
        if len(services) == 1:
            return [unknown(services[0], str(exc))]
        return [state for one in services for state in ask(manager, [one])]
