# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Docker and its Compose on this host: what they say, and the door to their CLI. Private to this collection."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._command import Command, CommandError
from ansible_collections.runbook.ops.plugins.module_utils._compose import (
    LABEL,
    ComposeError,
    Container,
    Definition,
    gave_up,
    is_settled,
    parse_containers,
    parse_definition,
)
from ansible_collections.runbook.ops.plugins.module_utils._compose_plan import Step

LOOK_SECONDS = 20
POLL_SECONDS = 0.5
PORT_TAKEN = re.compile(r":(\d+)(?:: bind: address already in use| failed: port is already allocated)")


class Docker:
    """The Docker of this host. Every call has a limit: a client whose daemon hangs waits for ever."""

    def __init__(self, module: Any, *, within: Sequence[str] = ()) -> None:
        """Look for the program.

        :param within: what goes before each call
        :raises ComposeError: it is not installed.
        """
        self._module, self._within = module, within
        self._program = module.get_bin_path("docker", opt_dirs=["/usr/local/bin", "/usr/bin"])
        if self._program is None:
            raise ComposeError("docker is not installed on this host: install it, or correct the service's manager")

    def __call__(self, *arguments: str, limit: float = LOOK_SECONDS, accept: tuple[int, ...] = (0,)) -> str:
        """Return what ``docker`` printed.

        :raises ComposeError: the daemon does not answer, or there is no Compose of version 2.
        :raises CommandError: anything else went wrong.
        """
        docker = Command(self._module, self._program, within=[*self._within, "timeout", f"{limit:g}"])
        try:
            return docker(*arguments, accept=accept)
        except CommandError as exc:
            raise explain(exc, " ".join(arguments[:2]), limit) from exc

    def containers(self, project: str, service: str | None = None) -> list[Container]:
        """Return the containers of a project, of one service only where that is named; not those of ``compose run``."""
        labels = {"project": project, "oneoff": "False", **({"service": service} if service else {})}
        filters = [part for key, value in labels.items() for part in ("--filter", f"label={LABEL}{key}={value}")]
        identities = self("ps", "--all", "--quiet", "--no-trunc", *filters).split()
        # One that has gone since is left out: docker prints the others and ends with 1.
        return parse_containers(json.loads(self("inspect", *identities, accept=(0, 1)))) if identities else []


class Project:
    """One service of one Compose project."""

    def __init__(self, docker: Docker, *, directory: str, file: str, project: str | None, service: str) -> None:
        self.docker, self.service = docker, service
        self.file = posixpath.join(directory, file)
        self.project = project or posixpath.basename(directory.rstrip("/"))

    def definition(self) -> Definition:
        """Return what the Compose file says of the service.

        :raises ComposeError: it has no such service, or cannot be read.
        """
        try:
            text = self._compose("--profile", "*", "config", "--format", "json")
        except CommandError as exc:
            raise ComposeError(f"Compose cannot read {self.file}: {str(exc).partition(': ')[2]}") from exc
        return parse_definition(text, self.service, path=self.file)

    def containers(self) -> list[Container]:
        return self.docker.containers(self.project, self.service)

    def act(self, step: Step, limit: float) -> None:
        if step.compose:
            self._compose(*step.arguments, limit=limit)
        else:
            self.docker(*step.arguments, limit=limit)

    def _compose(self, *arguments: str, limit: float = LOOK_SECONDS) -> str:
        return self.docker("compose", "--project-name", self.project, "--file", self.file, *arguments, limit=limit)


def explain(exc: CommandError, what: str, limit: float) -> Exception:
    """Return the error in words that say what to do, where we know them."""
    said = f"{exc} {exc.details.get('stderr', '')}"
    if exc.details.get("rc") == 124:  # what `timeout` ends with
        return ComposeError(
            f"docker {what} did not end within {limit:g} s: look at the daemon, systemctl status docker"
        )
    if "Cannot connect to the Docker daemon" in said or "error during connect" in said:
        return ComposeError("Docker does not answer on this host: systemctl start docker, or read journalctl -u docker")
    if "permission denied while trying to connect" in said:
        return ComposeError("this account may not talk to Docker: set become, or run as root")
    taken = PORT_TAKEN.search(said)
    if taken:
        port = taken[1]
        return ComposeError(f"port {port} of the host is taken already: see by whom with ss -ltnp 'sport = :{port}'")
    if "is not a docker command" in said or "unknown flag: --project-name" in said or "unknown shorthand flag" in said:
        return ComposeError(
            "Docker has no Compose of version 2 on this host: install it as its plugin (docker compose)"
        )
    return exc


def settle(
    look: Callable[[], Iterable[Container]],
    *,
    wanted: int,
    before: dict[str, int],
    stable_seconds: float,
    wait_timeout_seconds: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> list[Container]:
    """Wait until ``wanted`` containers serve and keep on doing so, and return them.

    :param before: how often each had restarted before the act
    :raises ComposeError: one ended for good, or they did not settle in time.
    """
    start = clock()
    while True:
        found = list(look())
        if is_settled(found, wanted=wanted, now=clock(), stable_seconds=stable_seconds):
            return found
        if clock() - start >= wait_timeout_seconds:
            raise gave_up(found, wanted=wanted, before=before, waited=wait_timeout_seconds)
        sleep(POLL_SECONDS)
