# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Slots of a service of Compose: each is a project of its own with one container and one port. Private to this collection.

What a person brought up in the project itself is the slot ``base``. It is stopped and started as it is, never made anew.
"""

from __future__ import annotations

import json
import math
import posixpath
import re
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ansible_collections.runbook.ops.plugins.module_utils._command import Command, CommandError
from ansible_collections.runbook.ops.plugins.module_utils._compose import LABEL, ComposeError
from ansible_collections.runbook.ops.plugins.module_utils._compose_host import Docker
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import StateError, read_json, write_json
from ansible_collections.runbook.ops.plugins.module_utils._docker import DockerError, ask, memory_bytes, parse
from ansible_collections.runbook.ops.plugins.module_utils._listeners import Holder, listeners
from ansible_collections.runbook.ops.plugins.module_utils._redact import Redactor, secrets_in
from ansible_collections.runbook.ops.plugins.module_utils._slot import (
    ADOPTED,
    SlotError,
    SlotSeen,
    Standing,
)
from ansible_collections.runbook.ops.plugins.module_utils._slot_compose_containers import addresses, inner_port, seen
from ansible_collections.runbook.ops.plugins.module_utils._slot_compose_file import (
    FRONT,
    compose_name,
    document,
    front_name,
    plain,
    standing,
)
from ansible_collections.runbook.ops.plugins.module_utils._slot_steps import wait_for_port

if TYPE_CHECKING:
    from ansible_collections.runbook.ops.plugins.module_utils._release import Release

CALL_SECONDS = 120
BASE = "base"
ALIVE = ("running", "restarting", "paused")
PROXY = re.compile(r"-container-ip\0([0-9a-fA-F.:]+)\0")


class ComposeSlot:
    """One service of one project: a project of its own, or for the slot base the one that a person brought up."""

    def __init__(
        self,
        module: Any,
        docker: Any,
        *,
        name: str,
        label: str,
        compose_service: str,
        port: int,
        directory: Path,
        front: str | None = None,
        defined: Callable[[], Standing] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """:param directory: of this slot's own state
        :param front: name in the Compose file of what shares requests among the containers
        :param defined: returns how the Compose file runs it now
        """
        self.name, self.label, self.port = name, label, port
        self.secrets: tuple[str, ...] = ()
        self._module, self._docker, self._service, self._file = (
            module,
            docker,
            compose_service,
            directory / "compose.json",
        )
        self._policies = directory / "restart.json"
        self._front = (front if name == BASE else f"{label}{FRONT}") if front else None
        self._defined = defined
        self.others: tuple[ComposeSlot, ...] = ()
        self._clock, self._sleep = clock, sleep

    def look(self) -> SlotSeen:
        found = self._containers()
        return seen(found, port=self.port, memory_bytes=sum(map(_memory, found)))

    def start(self, release: Release, environment: Mapping[str, str]) -> None:
        if self.name == BASE:
            self._start_base(release)
            return
        if not release.image:
            raise SlotError(f"release {release.id} has no image: Compose runs one of kind image")
        content = document(
            release.process,
            label=self.label,
            slot=self.name,
            release=release.id,
            image=release.image,
            port=self.port,
            environment=environment,
            replicas=self._scaled(release.id),
        )
        wait_for_port(self, clock=self._clock, sleep=self._sleep)
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_json(self._file, content)
        except (OSError, StateError) as exc:
            raise SlotError(str(exc)) from exc
        arguments = ("up", "--detach", "--no-build", "--pull", "never")
        self._act("compose", "--project-name", self.label, "--file", str(self._file), *arguments)

    def stop(self, *, seconds: float) -> None:
        found = self._containers()
        alive = [one["Id"] for one in found if one["State"]["Status"] in ALIVE]
        if alive:
            if self.name == BASE:
                self._keep_down(found)
            limit = max(1, math.ceil(seconds))
            self._act("stop", "--time", str(limit), *alive, limit=limit + CALL_SECONDS)

    def remove(self) -> None:
        found = [one["Id"] for one in self._containers()]
        if found:
            self._act("rm", "--force", *found)  # what they wrote to a volume of their image's own, users may miss
        for network in self._networks():
            self._act("network", "rm", network)
        with suppress(FileNotFoundError):
            self._file.unlink()

    def _scaled(self, release: str) -> int:
        """Return how many containers run in the other slot, or of this release here: what was scaled for the load stays so."""
        if not self._front:
            return 1
        slots = (*self.others, self) if self.look().release == release else self.others
        return max((slot.running() for slot in slots), default=1)

    def running(self) -> int:
        """Return how many containers of the release run here, without what shares requests among them."""
        return sum(one["State"]["Status"] == "running" for one in self._instances(self._containers()))

    def standing(self) -> Standing | None:
        found = self._instances(self._containers())
        if not found:
            return None
        image = str(found[0]["Image"])
        if self.name != BASE or self._defined is None:
            return Standing({}, {}, None, image)
        try:
            said = self._defined()
        except SlotError:  # then it is a way back for as long as its containers are there
            return Standing({}, {}, None, image)
        now = dict(str(one).partition("=")[::2] for one in found[0]["Config"].get("Env") or [])
        return Standing(
            said.process, {key: now.get(key, value) for key, value in said.environment.items()}, None, image
        )

    def strangers(self) -> list[str]:
        found = listeners(self._module, self.port)
        if not found:
            return []
        mine = addresses(self._containers())
        return [self._named(one) for one in found if _proxied(one) is None or _proxied(one) not in mine]

    def instances(self) -> list[tuple[str, str, int]]:
        found = self._instances(self._containers()) if self._front else []
        places = [(one["Name"].lstrip("/"), sorted(addresses([one])), inner_port(one)) for one in found]
        # Where one cannot be asked, its own health check has to tell: then none is.
        if not all(hosts and port for _name, hosts, port in places):
            return []
        return [(name, hosts[0], port) for name, hosts, port in places if port]

    def taken_by_other(self, *, seconds: float) -> str | None:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=seconds).close()
        except ConnectionRefusedError:
            return f"nobody listens on port {self.port}"
        except OSError as exc:
            return f"port {self.port} takes no connection: {exc}"
        # Docker hands the port to one container: what is seen of it on the host is a proxy, or nothing at all.
        others = self.strangers()
        return f"connections to port {self.port} go to {', '.join(others)}" if others else None

    def log(self, lines: int = 10) -> list[str]:
        found = self._instances(self._containers())
        if not found or lines < 1:
            return []
        ill = [one for one in found if one["State"]["Status"] != "running"]
        last = max(ill or found, key=lambda one: one["State"].get("StartedAt") or "")
        within = ["sh", "-c", 'exec timeout 20 "$@" 2>&1', "sh"]  # an application writes to both
        try:
            text = Command(self._module, "docker", within=within)("logs", "--tail", str(lines), last["Id"])
        except CommandError:
            return []
        return [line for line in Redactor(self.secrets)(text).splitlines() if line.strip()][-lines:]

    # What follows asks Docker.

    def _containers(self) -> list[dict[str, Any]]:
        wanted = [f"{LABEL}project={self.label}", f"{LABEL}oneoff=False"]
        names = (self._service if self.name == BASE else self.label, self._front)
        found = []
        try:
            for one in ask(f"/containers/json?all=1&filters={quote(json.dumps({'label': wanted}))}"):
                with suppress(_GoneError):
                    if one["Labels"].get(f"{LABEL}service") in names:
                        found.append(_inspected(one["Id"]))
        except DockerError as exc:
            raise SlotError(str(exc)) from exc
        variables = [str(one).partition("=") for each in found for one in each["Config"].get("Env") or []]
        self.secrets = tuple({secret for key, _sign, value in variables for secret in secrets_in(key, value)})
        return sorted(found, key=lambda one: one["Name"])

    def _instances(self, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return those of the containers that run the release, without what shares requests among them."""
        return [
            one
            for one in found
            if not self._front or (one["Config"].get("Labels") or {}).get(f"{LABEL}service") != self._front
        ]

    def _networks(self) -> list[str]:
        """Return the networks that were made for this slot alone."""
        if self.name == BASE or not self._front:
            return []
        wanted = quote(json.dumps({"label": [f"{LABEL}project={self.label}"]}))
        try:
            return [str(one["Id"]) for one in ask(f"/networks?filters={wanted}")]
        except DockerError as exc:
            raise SlotError(str(exc)) from exc

    def _start_base(self, release: Release) -> None:
        if release.kind != ADOPTED:
            raise SlotError(
                f"{release.id} cannot run in slot base: that holds what was brought up before the first deployment"
            )
        found = self._containers()
        if not found:
            raise SlotError(
                f"the containers of {self._service} in project {self.label} are gone: roll back to a release instead"
            )
        first = self._instances(found)  # then what leads to them
        down = [
            one["Id"] for one in sorted(found, key=lambda one: one not in first) if one["State"]["Status"] != "running"
        ]
        if down:
            wait_for_port(self, clock=self._clock, sleep=self._sleep)
            self._act("start", *down)
        for identity, policy in self._kept_down().items():
            if identity in {one["Id"] for one in found}:
                self._act("update", "--restart", policy, identity)
        with suppress(FileNotFoundError):
            self._policies.unlink()

    def _keep_down(self, found: list[dict[str, Any]]) -> None:
        """Have Docker not start again at a boot what is stopped: it would take the port of what serves then."""
        policies = self._kept_down()
        for one in found:
            policy = one["HostConfig"].get("RestartPolicy") or {}
            if policy.get("Name") in ("always", "on-failure"):
                most = policy.get("MaximumRetryCount")
                policies[one["Id"]] = policy["Name"] + (f":{most}" if most else "")
        if policies:
            try:
                self._policies.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                write_json(self._policies, policies)  # what a person wished, for the way back
            except (OSError, StateError) as exc:
                raise SlotError(str(exc)) from exc
            there = {one["Id"] for one in found}
            self._act("update", "--restart", "unless-stopped", *[one for one in policies if one in there])

    def _kept_down(self) -> dict[str, str]:
        try:
            return dict(read_json(self._policies) or {})
        except StateError:
            return {}

    def _named(self, holder: Holder) -> str:
        address = _proxied(holder)
        if address is None:
            return str(holder)
        with suppress(DockerError):
            for one in ask("/containers/json"):
                networks = ((one.get("NetworkSettings") or {}).get("Networks") or {}).values()
                if address in [network.get("IPAddress") for network in networks]:
                    return f"container {one['Names'][0].lstrip('/')}"
        return str(holder)

    def _act(self, *arguments: str, limit: float = CALL_SECONDS) -> None:
        try:
            self._docker(*arguments, limit=limit)
        except (ComposeError, CommandError) as exc:
            raise SlotError(Redactor(self.secrets)(str(exc))) from exc


class _GoneError(Exception):
    """A container has gone since it was listed."""


def _proxied(holder: Holder) -> str | None:
    """Return the address of the container that Docker's proxy for a port leads to; None where it is no such proxy."""
    with suppress(OSError):
        text = Path("/proc", str(holder.pid), "cmdline").read_bytes().decode(errors="replace")
        met = PROXY.search(text) if text.partition("\0")[0].endswith("docker-proxy") else None
        return met[1] if met else None
    return None


def _inspected(identity: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = ask(f"/containers/{identity}/json")
    except DockerError as exc:
        if "404" in str(exc):
            raise _GoneError from exc
        raise
    return found


def _memory(container: Mapping[str, Any]) -> int:
    if container["State"]["Status"] != "running":
        return 0
    try:
        return memory_bytes(parse(dict(container))) or 0
    except DockerError:
        return 0


def compose_slots(service: Mapping[str, Any], paths: Any, module: Any) -> dict[str, Any]:
    """Return the slots of a service of Compose. Base and blue have the same port: one of them runs at a time."""
    docker, project = _docker(module), _project(service)
    if not service.get("port"):
        raise SlotError(f"{service['name']} has no port: describe the one of the host that leads to it")

    def slot(name: str, label: str, port: int) -> ComposeSlot:
        return ComposeSlot(
            module,
            docker,
            name=name,
            label=label,
            compose_service=compose_name(service),
            port=port,
            directory=paths.slot(name),
            front=front_name(service),
            defined=lambda: compose_standing(service, module),
        )

    found = {BASE: slot(BASE, project, service["port"]), "blue": slot("blue", _label(service, "blue"), service["port"])}
    if service.get("standby_port"):
        found["green"] = slot("green", _label(service, "green"), service["standby_port"])
    for one in found.values():
        one.others = tuple(other for other in found.values() if other is not one)
    return found


def compose_standing(service: Mapping[str, Any], module: Any, directory: str | None = None) -> Standing:
    """Return how the Compose file runs ``service``: what a release keeps.

    :param directory: of a release, whose own file counts where it has one; without it, what is there now
    """
    text, file = _config(service, module, directory)
    return standing(text, service, path=file, identity=lambda image: _identity(module, image))


def compose_build(service: Mapping[str, Any], module: Any, directory: str) -> Mapping[str, Any] | None:
    """Return how the Compose file of a release builds the image of ``service``; None where it does not say."""
    text, _file = _config(service, module, directory)
    found = (json.loads(text).get("services") or {}).get(compose_name(service)) or {}
    build: Mapping[str, Any] | None = found.get("build")
    return plain(build) if build else None


def _config(service: Mapping[str, Any], module: Any, directory: str | None) -> tuple[str, str]:
    """Return the Compose file with all that it refers to, and where it is. Relative paths in it are below the service's, as are its variables."""
    name = service.get("compose_file") or "docker-compose.yml"
    file = posixpath.join(service["path"], name)
    own = posixpath.join(directory, name) if directory else file
    file = own if Path(own).is_file() else file
    place = ("--project-name", _project(service), "--project-directory", service["path"], "--file", file)
    try:
        return str(_docker(module)("compose", *place, "--profile", "*", "config", "--format", "json")), file
    except (ComposeError, CommandError) as exc:
        raise SlotError(f"Compose cannot read {file}: {Redactor()(str(exc)).partition(': ')[2]}") from exc


def _identity(module: Any, image: str) -> str:
    """Return the image that ``image`` stands for on this host.

    :raises SlotError: it is not here.
    """
    try:
        return str(_docker(module)("image", "inspect", "--format", "{{.Id}}", image)).strip()
    except (ComposeError, CommandError) as exc:
        raise SlotError(f"image {image} is not on this host: docker pull {image}") from exc


def _docker(module: Any) -> Any:
    """Return the door to Docker. A call ends with this process: what is killed must not start anything beside the next run.

    `timeout`, which is told to end, has all that it started end too: Compose is a child of docker.
    """
    setpriv = module.get_bin_path("setpriv")
    try:
        return Docker(module, within=[setpriv, "--pdeathsig", "TERM"] if setpriv else [])
    except ComposeError as exc:
        raise SlotError(str(exc)) from exc


def _project(service: Mapping[str, Any]) -> str:
    return str(service.get("project") or posixpath.basename(service["path"].rstrip("/")))


def _label(service: Mapping[str, Any], slot: str) -> str:
    """Return the name of a slot's project: lower case letters, digits, - and _ are what Compose takes."""
    return re.sub(r"[^a-z0-9_-]", "-", f"{_project(service)}-{compose_name(service)}-{slot}".lower()).lstrip("-_")
