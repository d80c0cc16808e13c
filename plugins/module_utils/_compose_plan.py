# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What brings a Compose service to a state, and nothing else with it. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ansible_collections.runbook.ops.plugins.module_utils._compose import ComposeError, Container, Definition

EVENTS = {"restarted": "restart", "reloaded": "reload", "recreated": "recreate"}  # they change something each time


@dataclass(frozen=True)
class Wish:
    """What is wanted of one service."""

    service: str
    state: str  # started | stopped | restarted | reloaded | recreated
    replicas: int | None = None


@dataclass(frozen=True)
class Seen:
    """What was found: the containers there are, and what the Compose file says."""

    definition: Definition
    containers: tuple[Container, ...] = ()

    @property
    def running(self) -> int:
        return sum(one.status == "running" for one in self.containers)


@dataclass(frozen=True)
class Step:
    """One call: of ``docker compose`` for the project, or of ``docker`` for a container."""

    action: str  # start | stop | restart | reload | recreate | scale | unpause
    arguments: tuple[str, ...]
    because: str
    compose: bool = True
    settle: bool = False  # whether what follows must wait until all containers serve

    @property
    def command(self) -> str:
        return f"docker {'compose ' if self.compose else ''}{' '.join(self.arguments)}"


def refuse(name: str, replicas: int | None = None) -> None:
    """Raise where Compose would take ``name`` for something else than the name of one service.

    :raises ComposeError: it would, or there can be no such number.
    """
    if replicas is not None and replicas < 0:
        raise ComposeError(f"replicas is {replicas}: write how many containers there shall be, 0 or more")
    if not name or name.startswith("-"):
        raise ComposeError(f"{name!r} cannot be the name of a service in a Compose file")


def wanted_number(seen: Seen, wish: Wish) -> int:
    """Return how many containers there shall be: without a wish as many as there are, else what the file says."""
    return len(seen.containers) or seen.definition.replicas if wish.replicas is None else wish.replicas


def plan(seen: Seen, wish: Wish) -> list[Step]:
    """Return the calls, in order, that bring the service to the wished state.

    :raises ComposeError: there cannot be so many containers.
    """
    alive = [one for one in seen.containers if one.status in ("running", "restarting", "paused")]
    if wish.state == "stopped":
        return [Step("stop", ("stop", wish.service), "it is to be stopped")] if alive else []
    wanted = wanted_number(seen, wish)
    _refuse_number(seen, wish, wanted)
    if wish.state == "recreated":
        return [_up(wish, wanted, "recreate", "it is to be recreated", "--force-recreate")]
    steps = []
    if any(one.status == "paused" for one in alive):
        steps.append(Step("unpause", ("unpause", wish.service), "it is paused"))
    if wish.state in EVENTS and seen.containers:
        return [*steps, *_again(seen, wish), *_scale(seen, wish, wanted)]
    return [*steps, *(_scale(seen, wish, wanted) or _start(seen, wish, wanted))]


def _again(seen: Seen, wish: Wish) -> list[Step]:
    """Return what stops and starts the containers there are, all at once or one after the other."""
    because = f"it is to be {wish.state}"
    if wish.state == "restarted" or seen.running < len(seen.containers):  # what does not serve needs no turn
        # Without --no-deps Compose restarts those too that depend on it with `restart: true`.
        return [Step("restart", ("restart", "--no-deps", wish.service), because)]
    return [
        Step("reload", ("restart", one.name), because, compose=False, settle=position < len(seen.containers))
        for position, one in enumerate(seen.containers, 1)
    ]


def _scale(seen: Seen, wish: Wish, wanted: int) -> list[Step]:
    found = len(seen.containers)
    if not found or found == wanted:
        return []
    return [_up(wish, wanted, "scale", f"{found} containers, wanted are {wanted}")]


def _start(seen: Seen, wish: Wish, wanted: int) -> list[Step]:
    down = [one for one in seen.containers if one.status not in ("running", "restarting", "paused")]
    if seen.containers and not down:
        return []
    because = f"{len(down)} of {len(seen.containers)} containers do not run" if down else "it has no container"
    return [_up(wish, wanted, "start", because)]


def _up(wish: Wish, wanted: int, action: str, because: str, recreate: str = "--no-recreate") -> Step:
    """Return the call that leaves ``wanted`` containers running, and touches no other service and no registry.

    Not ``docker compose start``: that waits for other services, and cannot make what is missing. The number is always said,
    for Compose would go back to that of the file.
    """
    arguments = ("up", "--detach", "--no-deps", recreate, "--no-build", "--pull", "never")
    return Step(action, (*arguments, "--scale", f"{wish.service}={wanted}", wish.service), because)


def _refuse_number(seen: Seen, wish: Wish, wanted: int) -> None:
    fixed = seen.definition
    if wanted < 2 or wanted == len(seen.containers):
        return
    if fixed.container_name:
        raise ComposeError(
            f"{wish.service} cannot have {wanted} containers: the Compose file names its container "
            f"{fixed.container_name!r}, and there can be only one of a name; take container_name out of it"
        )
    if fixed.ports:
        raise ComposeError(
            f"{wish.service} cannot have {wanted} containers: the Compose file publishes port {', '.join(fixed.ports)} "
            "of the host, which only one can have; publish a range of ports, or put a proxy before them"
        )


def predict(seen: Seen, steps: Iterable[Step], wish: Wish) -> tuple[int, int]:
    """Return how many containers there will be, and how many of them run, once ``steps`` have run."""
    total, running = len(seen.containers), seen.running
    for step in steps:
        if step.action == "stop":
            running = 0
        else:
            total = wanted_number(seen, wish)
            running = total
    return total, running


def way_back(seen: Seen, steps: Iterable[Step], wish: Wish) -> Step | None:
    """Return the call that undoes a scaling up, None where nothing else can be undone without a gap.

    Compose removes the newest containers: those that served before go on.
    """
    before = len(seen.containers)
    grown = [step.action for step in steps] == ["scale"] and wanted_number(seen, wish) > before
    return _up(wish, before, "scale", "what was added does not serve") if grown else None
