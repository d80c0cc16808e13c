# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Docker engine of this host says, asked over its socket. It judges and changes nothing. Private to this collection.

The API answers in a few milliseconds, the client in fifty, and a client whose engine hangs waits for ever.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

SOCKET = "/var/run/docker.sock"
LABEL = "com.docker.compose."


class DockerError(ValueError):
    """Docker does not tell; its text is one line that says why."""


@dataclass(frozen=True)
class Container:
    """One container as it was when it was looked at."""

    identity: str
    name: str
    service: str | None  # of Compose
    status: str  # created, running, paused, restarting, removing, exited or dead
    health: str | None  # starting, healthy, unhealthy, or None where it has no health check
    health_said: str  # last line of the last health check that failed
    restarts: int  # by Docker, since it was created
    started_at: str  # ISO 8601, UTC
    exit_code: int
    out_of_memory: bool
    image: str
    addresses: tuple[str, ...]  # in its networks
    is_log_bounded: bool = True  # what it prints cannot fill the disk, as far as Docker keeps it


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask(path: str, *, timeout_seconds: float = 5.0) -> Any:
    """Return what the engine answers to ``GET path``.

    :raises DockerError: it is not installed, does not run, does not let us in, or refuses.
    """
    connection = _Connection(SOCKET, timeout_seconds)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
    except FileNotFoundError:
        raise DockerError(f"Docker does not run: there is no {SOCKET}") from None
    except (OSError, http.client.HTTPException) as exc:
        raise DockerError(f"Docker does not answer at {SOCKET}: {getattr(exc, 'strerror', None) or exc}") from exc
    finally:
        connection.close()
    try:
        content = json.loads(body)
    except ValueError:
        raise DockerError(f"Docker answered {answer.status} without JSON") from None
    if answer.status != 200:
        raise DockerError(f"Docker refused ({answer.status}): {content.get('message', 'without a reason')}")
    return content


def containers(
    *, project: str | None = None, service: str | None = None, timeout_seconds: float = 5.0
) -> list[Container]:
    """Return all containers, or those of a Compose project or service, running or not.

    :raises DockerError: Docker does not tell.
    """
    labels = [f"{LABEL}{key}={value}" for key, value in (("project", project), ("service", service)) if value]
    labels += [f"{LABEL}oneoff=False"] if labels else []
    listed = ask(
        f"/containers/json?all=1&filters={quote(json.dumps({'label': labels}))}", timeout_seconds=timeout_seconds
    )
    found = []
    for one in listed:
        try:
            found.append(parse(ask(f"/containers/{one['Id']}/json", timeout_seconds=timeout_seconds)))
        except DockerError as exc:
            if "404" not in str(exc):  # it has gone since
                raise
    return found


def parse(said: dict[str, Any]) -> Container:
    """Return the container that the engine's inspection tells of."""
    state, config = said["State"], said["Config"]
    health = state.get("Health") or {}
    log = [entry.get("Output") or "" for entry in health.get("Log") or [] if entry.get("ExitCode")]
    networks = (said.get("NetworkSettings") or {}).get("Networks") or {}
    return Container(
        identity=said["Id"],
        name=said["Name"].lstrip("/"),
        service=(config.get("Labels") or {}).get(f"{LABEL}service"),
        status=state["Status"],
        health=health.get("Status"),
        health_said=(log[-1].strip().splitlines() or [""])[-1] if log else "",
        restarts=said.get("RestartCount") or 0,
        started_at=state.get("StartedAt") or "",
        exit_code=state.get("ExitCode") or 0,
        out_of_memory=bool(state.get("OOMKilled")),
        image=config.get("Image") or "",
        addresses=tuple(network["IPAddress"] for network in networks.values() if network.get("IPAddress")),
        is_log_bounded=_is_bounded((said.get("HostConfig") or {}).get("LogConfig") or {}),
    )


def _is_bounded(log: Mapping[str, Any]) -> bool:
    """Return whether what a container prints is kept up to a size only. Of the drivers that keep it as a file, json-file does not by itself."""
    return log.get("Type") != "json-file" or (log.get("Config") or {}).get("max-size", "-1") != "-1"


def find(*, project: str | None = None, service: str | None = None, container: str | None = None) -> Container:
    """Return the running container of that name, or the first of the Compose service.

    :raises DockerError: there is none that runs, or Docker does not tell.
    """
    if container:
        found = [parse(ask(f"/containers/{quote(container)}/json"))]
    else:
        found = sorted(containers(project=project, service=service), key=lambda one: one.name)
    running = [one for one in found if one.status == "running"]
    if not running:
        wanted = container or f"{project}/{service}"
        raise DockerError(f"{wanted} does not run" if found else f"there is no container of {wanted}")
    return running[0]


def container_name(*, project: str | None = None, service: str | None = None, container: str | None = None) -> str:
    """Return the name of the running container: see :func:`find`."""
    return find(project=project, service=service, container=container).name


def container_address(*, project: str | None = None, service: str | None = None, container: str | None = None) -> str:
    """Return the address of the running container in its first network: see :func:`find`.

    :raises DockerError: it has none: it shares the network of the host, or of another container.
    """
    one = find(project=project, service=service, container=container)
    if not one.addresses:
        raise DockerError(f"{one.name} has no address of its own: name host and port instead")
    return one.addresses[0]


def memory_bytes(container: Container, *, timeout_seconds: float = 5.0) -> int | None:
    """Return the memory that ``container`` uses, without cache that can be given back; None where the kernel does not tell."""
    said = ask(f"/containers/{container.identity}/stats?stream=false&one-shot=true", timeout_seconds=timeout_seconds)
    memory = said.get("memory_stats") or {}
    used, details = memory.get("usage"), memory.get("stats") or {}
    if used is None:
        return None
    return max(0, used - details.get("inactive_file", details.get("total_inactive_file", 0)))
