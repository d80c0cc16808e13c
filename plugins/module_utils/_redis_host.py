# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a Redis server keeps its files on this host, and how it is stopped and started. Private to this collection."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import quote

from ansible_collections.runbook.ops.plugins.module_utils._docker import DockerError, containers, parse
from ansible_collections.runbook.ops.plugins.module_utils._docker import ask as ask_docker
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import PipelineError, Stage, run_pipeline
from ansible_collections.runbook.ops.plugins.module_utils._redis import (
    RedisDownError,
    RedisRefusedError,
    Server,
    ask,
)
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import StoreError

LOGS = ("appendonlydir", "appendonly.aof")  # what a server that keeps a log has, as it is set by default
SETTINGS = ("dir", "dbfilename", "appendonly", "appendfilename", "appenddirname")
SAVING = ("appendonly", "save", "shutdown-on-sigterm")  # the last one since Redis 7
UNIT = re.compile(r"[A-Za-z0-9:_.@-]+\Z")
ANSWER_SECONDS = 10.0


class Layout(NamedTuple):
    """The files of one server, as this host sees them."""

    directory: str
    dump: str
    log: str | None  # file or directory of the append-only log; none where it is off
    log_name: str | None  # how the files of the log begin; none where the log is one file, as before Redis 7


def read_layout(server: Server | None, told: Mapping[str, Any], container: str | None) -> Layout:
    """Return where the files are.

    :param told: what of it is known although the server may be down: ``data_directory`` and ``append_only``
    :raises StoreError: the server does not tell, or what it tells of is not on this host.
    """
    settings = {"dir": told["data_directory"]} if told.get("data_directory") else _ask(server)
    directory = settings["dir"]
    append_only = told.get("append_only")
    if append_only is None and told.get("data_directory"):
        append_only = any(Path(directory, name).exists() for name in LOGS)
    if append_only is not None:
        settings["appendonly"] = "yes" if append_only else "no"
    if container and not told.get("data_directory"):
        directory = on_host(ask_docker(f"/containers/{quote(container)}/json"), directory)
    if not Path(directory).is_dir():
        raise StoreError(f"Redis keeps its files in {directory}, which is not on this host: set data_directory")
    dump = f"{directory}/{settings.get('dbfilename') or 'dump.rdb'}"
    if settings.get("appendonly") != "yes":
        return Layout(directory, dump, None, None)
    name, inner = settings.get("appendfilename") or "appendonly.aof", settings.get("appenddirname")
    if told.get("data_directory"):
        inner = (
            "appendonlydir" if Path(directory, "appendonlydir").is_dir() or not Path(directory, name).exists() else None
        )
    return Layout(directory, dump, f"{directory}/{inner or name}", name if inner else None)


def saves_when_stopped(server: Server) -> bool | None:
    """Return whether the server writes what it holds when it is stopped; None where it does not tell.

    :raises RedisDownError: it does not run.
    """
    try:
        answers = ask(server, [("CONFIG", "GET", name) for name in SAVING], timeout_seconds=ANSWER_SECONDS)
    except RedisRefusedError:
        return None
    told = {answer[0]: answer[1] for answer in answers if isinstance(answer, list) and len(answer) == 2}
    if "save" not in told:
        return None
    how = str(told.get("shutdown-on-sigterm") or "default").split()
    return told.get("appendonly") == "yes" or ("nosave" not in how and ("save" in how or bool(told["save"])))


def on_host(container: Mapping[str, Any], path: str) -> str:
    """Return where this host has what a container has at ``path``.

    :raises StoreError: it is in none of its volumes.
    """
    mounts = sorted(container.get("Mounts") or [], key=lambda one: len(one["Destination"]), reverse=True)
    for mount in mounts:
        inside, outside = PurePosixPath(mount["Destination"]), mount.get("Source")
        if outside and (inside == PurePosixPath(path) or inside in PurePosixPath(path).parents):
            return str(PurePosixPath(outside) / PurePosixPath(path).relative_to(inside))
    raise StoreError(f"Redis keeps its files in {path} of the container, which is in no volume: give it one first")


def _ask(server: Server | None) -> dict[str, str]:
    if server is None:
        raise StoreError("Redis is down and does not tell where its files are: start it, or set data_directory")
    try:
        answers = ask(server, [("CONFIG", "GET", name) for name in SETTINGS], timeout_seconds=ANSWER_SECONDS)
    except (RedisDownError, RedisRefusedError) as exc:
        raise StoreError(f"{server.place} does not tell where its files are ({exc}): set data_directory") from exc
    if not isinstance(answers[0], list):
        raise StoreError(f"{server.place} does not tell where its files are ({answers[0].text}): set data_directory")
    return {answer[0]: answer[1] for answer in answers if isinstance(answer, list) and len(answer) == 2}


class Service:
    """What runs the server: a unit of systemd, or a container."""

    def __init__(self, unit: str | None, container: str | None, timeout_seconds: float) -> None:
        """Remember it.

        :raises StoreError: there is neither, or both.
        """
        if bool(unit) == bool(container):
            raise StoreError("say what runs Redis: unit, or container, or project and service")
        if unit and not UNIT.match(unit):
            raise StoreError(f"{unit!r} is no name of a unit: correct unit")
        self.unit, self.container, self._timeout_seconds = unit, container, timeout_seconds

    @property
    def title(self) -> str:
        return self.unit or f"container {self.container}"

    def stop(self) -> None:
        """Stop it, if it runs; it saves what it holds as it is set to.

        :raises StoreError: it still runs.
        """
        self._run(
            ["systemctl", "stop", str(self.unit)] if self.unit else ["docker", "stop", "-t", "120", str(self.container)]
        )

    def start(self) -> None:
        """Start it.

        :raises StoreError: it does not start.
        """
        if self.unit:
            # Having failed too often is forgotten: this is a new start.
            run_pipeline([Stage(["systemctl", "reset-failed", self.unit], accept=(0, 1))], timeout_seconds=30)
        self._run(["systemctl", "start", self.unit] if self.unit else ["docker", "start", str(self.container)])

    def _run(self, argv: list[str]) -> None:
        try:
            run_pipeline([Stage(argv)], timeout_seconds=self._timeout_seconds)
        except PipelineError as exc:
            raise StoreError(f"{' '.join(argv)}: {exc}") from exc


def container_of(options: Mapping[str, Any]) -> str | None:
    """Return the name of the container that the options name, one that runs before one that does not; none where they name none.

    :raises StoreError: there is none.
    """
    name, service = options.get("container"), options.get("service")
    if not name and not service:
        return None
    try:
        if name:
            return parse(ask_docker(f"/containers/{quote(name)}/json")).name
        found = containers(project=options.get("project"), service=service)
    except DockerError as exc:
        raise StoreError(f"{exc}; see what there is: docker ps -a") from exc
    if not found:
        raise StoreError(
            f"there is no container of {options.get('project')}/{service}: see what there is, docker ps -a"
        )
    return min(found, key=lambda one: (one.status != "running", one.name)).name
