# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Docker says of the containers of a Compose service, and what its Compose file says. Private to this collection."""

from __future__ import annotations

import calendar
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

SECTION = "Services"
LABEL = "com.docker.compose."
KEPT_UP = ("always", "unless-stopped")  # restart policies under which Docker starts it again, however it ended


class ComposeError(Exception):
    """What is wished cannot be done, or was not reached; the message is one line that says what to do."""

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.details = details


@dataclass(frozen=True)
class Container:
    """One container of a service. Nothing of its environment."""

    name: str
    service: str
    number: int = 1
    status: str = "running"  # created | running | paused | restarting | removing | exited | dead
    health: str | None = None  # starting | healthy | unhealthy; None where it has no health check
    failing: int = 0  # health checks that failed in a row
    exit_code: int = 0
    out_of_memory: bool = False
    restarts: int = 0
    started_at: float | None = None  # seconds since 1970
    image: str = ""
    pid: int = 0
    restart_policy: str = "no"

    @property
    def serves(self) -> bool:
        """Whether it runs and does not say that it is ill."""
        return self.status == "running" and self.health in (None, "healthy")


@dataclass(frozen=True)
class Definition:
    """What the Compose file says of one service."""

    replicas: int = 1
    container_name: str | None = None
    ports: tuple[str, ...] = ()  # those of the host that only one container can have


def parse_containers(documents: Iterable[Mapping[str, Any]]) -> list[Container]:
    """Return the containers in what ``docker inspect`` printed, by service and number."""
    found = [_container(document) for document in documents]
    return sorted(found, key=lambda one: (one.service, one.number, one.name))


def _container(document: Mapping[str, Any]) -> Container:
    state, config = document.get("State") or {}, document.get("Config") or {}
    labels = config.get("Labels") or {}
    health = state.get("Health") or {}
    policy = (document.get("HostConfig") or {}).get("RestartPolicy") or {}
    return Container(
        name=str(document.get("Name", "")).lstrip("/"),
        service=labels.get(f"{LABEL}service", ""),
        number=int(labels.get(f"{LABEL}container-number") or 1),
        status=str(state.get("Status", "")),
        health=None if health.get("Status") in (None, "", "none") else str(health["Status"]),
        failing=int(health.get("FailingStreak") or 0),
        exit_code=int(state.get("ExitCode") or 0),
        out_of_memory=bool(state.get("OOMKilled")),
        restarts=int(document.get("RestartCount") or 0),
        started_at=read_time(state.get("StartedAt")),
        image=str(config.get("Image", "")),
        pid=int(state.get("Pid") or 0),
        restart_policy=str(policy.get("Name") or "no"),
    )


def read_time(text: Any) -> float | None:
    """Return Docker's time, ``2026-11-21T11:54:45.135702459Z``, in seconds since 1970; None for year 1, its "never"."""
    if not isinstance(text, str) or text.startswith("0001-"):
        return None
    whole, _dot, fraction = text.rstrip("Z").partition(".")
    try:
        seconds = calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S"))
    except ValueError:
        return None
    return seconds + float(f"0.{fraction}" if fraction.isdigit() else 0)


def parse_definition(text: str, service: str, *, path: str) -> Definition:
    """Return what the resolved Compose file ``text`` says of ``service``.

    :param path: the Compose file, for messages
    :raises ComposeError: it knows no such service.
    """
    try:
        services = json.loads(text).get("services") or {}
    except (ValueError, AttributeError) as exc:
        raise ComposeError(f"docker compose config printed no JSON for {path}: it must be of version 2") from exc
    if service not in services:
        known = ", ".join(sorted(services)) or "none"
        raise ComposeError(f"{path} has no service {service!r}; it has {known}: correct name, or compose_service")
    found = services[service] or {}
    deploy = found.get("deploy") or {}
    replicas = deploy.get("replicas", found.get("scale", 1))
    return Definition(
        replicas=1 if replicas is None else int(replicas),
        container_name=found.get("container_name"),
        ports=tuple(str(port["published"]) for port in found.get("ports") or [] if is_one_port(port)),
    )


def is_one_port(port: Any) -> bool:
    """Return whether ``port`` takes one certain port of the host: neither a free one nor one of a range."""
    published = str(port.get("published") or "0") if isinstance(port, Mapping) else "0"
    return published.isdigit() and published != "0"


def is_settled(containers: Iterable[Container], *, wanted: int, now: float, stable_seconds: float) -> bool:
    """Return whether ``wanted`` containers serve for ``stable_seconds``; False while they may become so.

    :raises ComposeError: one has ended, and Docker does not start it again.
    """
    found = list(containers)
    for one in found:
        if one.status in ("exited", "dead") and one.restart_policy not in KEPT_UP:
            raise ComposeError(f"{one.name} has ended: {ended(one)}; read docker logs --tail 50 {one.name}")
    steady = [one for one in found if one.serves and _is_steady(one, now, stable_seconds)]
    return len(found) == wanted == len(steady)


def _is_steady(one: Container, now: float, stable_seconds: float) -> bool:
    return one.health == "healthy" or (one.started_at is not None and now - one.started_at >= stable_seconds)


def ended(one: Container) -> str:
    """Return how a container ended, in a few words."""
    return f"exit code {one.exit_code}" + (", out of memory" if one.out_of_memory else "")


def trouble(one: Container, *, restarts_before: int = 0) -> str | None:
    """Return what keeps a container from serving, in a few words; None where nothing does."""
    crashes = one.restarts - restarts_before
    how = "" if one.status == "running" else f", {ended(one)}"
    if crashes > 0:
        return f"in a crash loop: restarted {crashes} times by itself{how}"
    if one.status != "running":
        return f"{one.status}{how}"
    if one.health == "unhealthy":
        return f"unhealthy: its health check failed {one.failing} times"
    return "not healthy yet" if one.health == "starting" else None


def gave_up(containers: Iterable[Container], *, wanted: int, before: Mapping[str, int], waited: float) -> ComposeError:
    """Return the error for a service that did not settle in time.

    :param before: how often each container had restarted before the act
    """
    found = {one.name: trouble(one, restarts_before=before.get(one.name, 0)) for one in containers}
    ill = {name: what for name, what in found.items() if what}
    said = "; ".join(f"{name} is {what}" for name, what in list(ill.items())[:3]) or f"there are {len(found)}"
    where = f"; read docker logs --tail 50 {next(iter(ill))}" if ill else ""
    return ComposeError(
        f"{len(found) - len(ill)} of {wanted} containers serve after {waited:g} s: {said}{where}, "
        "or raise wait_timeout_seconds"
    )
