# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Slots of a service that PM2 runs: two applications of one account, each with its name and its port. Private to this collection."""

from __future__ import annotations

import json
import os
import pwd
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.runbook.ops.plugins.module_utils._command import Command, CommandError
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import StateError, read_json, write_json
from ansible_collections.runbook.ops.plugins.module_utils._listeners import Holder, listeners, taken_by
from ansible_collections.runbook.ops.plugins.module_utils._pm2 import UP, Pm2Error
from ansible_collections.runbook.ops.plugins.module_utils._pm2_host import GOD, PLACES, Pm2Host
from ansible_collections.runbook.ops.plugins.module_utils._proc import processes, with_descendants
from ansible_collections.runbook.ops.plugins.module_utils._redact import Redactor, secrets_in
from ansible_collections.runbook.ops.plugins.module_utils._slot import RELEASE_VARIABLE, SlotError, SlotSeen, Standing
from ansible_collections.runbook.ops.plugins.module_utils._slot_pm2_definition import (
    ECOSYSTEMS,
    digest,
    document,
    of_description,
    of_ecosystem,
    of_processes,
    own_variables,
    seen,
)
from ansible_collections.runbook.ops.plugins.module_utils._slot_steps import (
    FREE_SECONDS,
    end_of,
    size_of,
    wait_for_end,
    wait_for_port,
)

if TYPE_CHECKING:
    from ansible_collections.runbook.ops.plugins.module_utils._release import Release

CALL_SECONDS = 120  # the longest call of PM2's own program
# Prints what an ecosystem file exports. The file is the release's: it is run as the account that will run the release.
READ = "const m = require(process.argv[1]); process.stdout.write('\\n' + JSON.stringify(m.default || m))"


class Pm2Slot:
    """One application of PM2."""

    def __init__(
        self,
        host: Any,
        module: Any,
        *,
        name: str,
        label: str,
        port: int,
        directory: Path,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """:param directory: of this slot's own state"""
        self.name, self.label, self.port = name, label, port
        self.secrets: tuple[str, ...] = ()
        self._host, self._module, self._directory = host, module, directory
        self._clock, self._sleep = clock, sleep

    def look(self) -> SlotSeen:
        mine = self._processes()
        return seen(mine, listening=self._listening(mine) if mine else (), now=self._clock())

    def start(self, release: Release, environment: Mapping[str, str]) -> None:
        if release.path is None:
            raise SlotError(f"release {release.id} has no directory: PM2 runs one of git, or an artefact")
        variables = {**environment, "PORT": str(self.port), RELEASE_VARIABLE: release.id}
        wanted = document(release.process, path=release.path, label=self.label, environment=variables)
        mark, mine = digest(wanted), self._processes()
        if mine and self._record().get("digest") == mark and all(_up(one) and _runs(one, release) for one in mine):
            return
        if mine:
            self._pm2("delete", self.label)
            self._wait_for_end(mine, FREE_SECONDS)
        wait_for_port(self, clock=self._clock, sleep=self._sleep)
        if self._host.processes() is None and self._host.dump():
            self._pm2("resurrect")  # or the other applications of this account would stay away
            self._pm2("delete", self.label, accept=(0, 1))
        offsets = {path: size_of(path) for path in self._log_paths(release.process)}
        directory = wanted["apps"][0]["cwd"]
        if not Path(directory).is_dir():
            raise SlotError(f"{directory} is not there: the release {release.id} is not whole, build it again")
        self._write({})
        self._pm2("start", "-", stdin=json.dumps(wanted), directory=directory)
        self._write({"digest": mark, "release": release.id, "logs": offsets})

    def stop(self, *, seconds: float) -> None:
        mine = [process for process in self._processes() if _up(process) or process.get("pid")]
        if not mine:
            return
        self._pm2("stop", self.label, limit=max(seconds, 1) + 30)
        self._wait_for_end(mine, seconds)

    def remove(self) -> None:
        mine = self._processes()
        if mine:
            self._pm2("delete", self.label)
            self._wait_for_end(mine, FREE_SECONDS)
        with suppress(FileNotFoundError):
            (self._directory / "started.json").unlink()

    def standing(self) -> Standing | None:
        return of_processes(self._processes())

    def strangers(self) -> list[str]:
        found = listeners(self._module, self.port)
        if not found:
            return []
        mine = self._processes()
        own = _family(mine, found)
        return [self._named(one) for one in found if one.pid not in own and not self._shared(one, mine)]

    def instances(self) -> list[tuple[str, str, int]]:
        return []  # those of a cluster share the port: none can be asked by itself

    def taken_by_other(self, *, seconds: float) -> str | None:
        try:
            found = taken_by(self._module, self.port, seconds=seconds, passes_on=self._is_daemon)
        except OSError as exc:
            return str(exc)
        if found is None:
            return f"nobody listens on port {self.port}"
        own = _family(self._processes(), found)
        others = [one for one in found if one.pid not in own]
        return f"connections to port {self.port} go to {', '.join(map(self._named, others))}" if others else None

    def log(self, lines: int = 10) -> list[str]:
        mine = self._processes()
        envs = [process.get("pm2_env") or {} for process in mine]
        paths = [env.get(key) for key in ("pm_err_log_path", "pm_out_log_path") for env in envs[:1]]
        since = self._record().get("logs") or {}
        owner = pwd.getpwnam(self._host.user).pw_uid
        texts = [end_of(path, since.get(path, 0), uid=owner) for path in paths if isinstance(path, str)]
        text = next((text for text in texts if text.strip()), "")
        found = [line for line in Redactor(self.secrets)(text).splitlines() if line.strip()]
        return found[-lines:] if lines else []

    # What follows asks PM2, and the kernel.

    def _processes(self) -> list[dict[str, Any]]:
        try:
            found = [process for process in self._host.processes() or [] if process.get("name") == self.label]
        except (Pm2Error, CommandError) as exc:
            raise SlotError(str(exc)) from exc
        for process in found[:1]:
            variables = own_variables((process.get("pm2_env") or {}).get("env"), self.label)
            self.secrets = tuple({secret for key, value in variables.items() for secret in secrets_in(key, value)})
        return found

    def _listening(self, mine: list[dict[str, Any]]) -> list[int]:
        found = listeners(self._module, self.port)
        if any(self._shared(one, mine) for one in found):
            return _pids(mine)
        own = _family(mine, found)
        return [one.pid for one in found if one.pid in own]

    def _shared(self, holder: Holder, mine: list[dict[str, Any]]) -> bool:
        """Return whether PM2's daemon listens for the instances of this slot: in a cluster it hands connections to them."""
        envs = [process.get("pm2_env") or {} for process in mine if _up(process)]
        port = {str((env.get("env") or {}).get("PORT", self.port)) for env in envs}
        is_cluster = any(env.get("exec_mode") == "cluster_mode" for env in envs)
        return is_cluster and port == {str(self.port)} and self._is_daemon(holder)

    def _is_daemon(self, holder: Holder) -> bool:
        with suppress(OSError):
            text = Path("/proc", str(holder.pid), "cmdline").read_bytes().decode(errors="replace")
            return f"{GOD}{self._host.pm2_home})" in text
        return False

    def _named(self, holder: Holder) -> str:
        return f"{holder}, for another application of its cluster" if self._is_daemon(holder) else str(holder)

    def _wait_for_end(self, mine: list[dict[str, Any]], seconds: float) -> None:
        wait_for_end(self.label, _pids(mine), seconds, clock=self._clock, sleep=self._sleep)

    def _pm2(
        self,
        *arguments: str,
        stdin: str | None = None,
        directory: str = "/",
        limit: float = CALL_SECONDS,
        accept: tuple[int, ...] = (0,),
    ) -> None:
        try:
            self._host.command(directory, limit_seconds=limit)(*arguments, stdin=stdin, accept=accept)
        except (Pm2Error, CommandError) as exc:
            raise SlotError(Redactor(self.secrets)(str(exc))) from exc

    def _record(self) -> dict[str, Any]:
        try:
            return read_json(self._directory / "started.json") or {}
        except StateError:
            return {}

    def _write(self, content: dict[str, Any]) -> None:
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_json(self._directory / "started.json", content)
        except (OSError, StateError) as exc:
            raise SlotError(str(exc)) from exc

    def _log_paths(self, process: Mapping[str, Any]) -> list[str]:
        logs = Path(self._host.pm2_home, "logs")
        return [
            str(process.get(key) or logs / f"{self.label}-{end}.log")
            for key, end in (("out_file", "out"), ("error_file", "error"))
        ]


def pm2_slots(service: Mapping[str, Any], paths: Any, module: Any) -> dict[str, Any]:
    """Return the slots of a service of PM2."""
    host = _host(service, module)
    places = [
        ("blue", service["name"], service.get("port")),
        ("green", service.get("standby_name"), service.get("standby_port")),
    ]
    found = {
        name: Pm2Slot(host, module, name=name, label=label, port=port, directory=paths.slot(name))
        for name, label, port in places
        if label and port
    }
    if "blue" not in found:
        raise SlotError(f"{service['name']} has no port: describe the one that it listens on")
    return found


def pm2_standing(service: Mapping[str, Any], directory: str | None, module: Any) -> Standing:
    """Return how PM2 is to run what lies in ``directory``: as its ecosystem file says, else as what runs now, else as described."""
    if directory is None:
        raise SlotError(f"{service['name']} is run by PM2, which needs a directory: an image is for compose")
    host = _host(service, module)
    for name in ECOSYSTEMS:
        path = Path(directory, name)
        if path.is_file():
            found = of_ecosystem(_exported(host, module, path), service, directory)
            if found:
                return found
    if service.get("entry_point"):
        described = of_description(service, directory)
        if described:
            return described
    try:
        now = [process for process in host.processes() or [] if process.get("name") == service["name"]]
    except (Pm2Error, CommandError) as exc:
        raise SlotError(str(exc)) from exc
    running = of_processes(now)
    if running is None:
        raise SlotError(
            f"nothing says how {service['name']} is run: describe its entry_point, or keep an ecosystem file in the repository"
        )
    return Standing(running.process, running.environment, directory)


def _exported(host: Any, module: Any, path: Path) -> Any:
    """Return what an ecosystem file exports.

    :raises SlotError: it cannot be read.
    """
    node = module.get_bin_path("node", opt_dirs=PLACES)
    if node is None:
        raise SlotError("Node is not installed on this host (no node on the PATH)")
    user = host.user if pwd.getpwnam(host.user).pw_uid != os.geteuid() else None
    clean = ["timeout", "20", "env", "--chdir", str(path.parent), "-i", f"PATH={os.path.dirname(node)}:/usr/bin:/bin"]  # noqa: PTH120
    try:
        text = Command(module, node, user=user, within=clean)("-e", READ, str(path))
        return json.loads(text.splitlines()[-1])
    except CommandError as exc:
        raise SlotError(f"{path} cannot be read: {Redactor()(str(exc))}") from exc
    except (ValueError, IndexError) as exc:
        raise SlotError(f"{path} exports nothing that PM2 could run: correct it in the repository") from exc


def _host(service: Mapping[str, Any], module: Any) -> Any:
    try:
        return Pm2Host(module, service.get("user"), service.get("pm2_home"))
    except Pm2Error as exc:
        raise SlotError(str(exc)) from exc


def _up(process: Mapping[str, Any]) -> bool:
    return str((process.get("pm2_env") or {}).get("status")) in UP


def _runs(process: Mapping[str, Any], release: Release) -> bool:
    """Return whether a process is of ``release``: after a boot PM2 may have brought back an older one."""
    return ((process.get("pm2_env") or {}).get("env") or {}).get(RELEASE_VARIABLE) == release.id


def _pids(mine: Iterable[Mapping[str, Any]]) -> list[int]:
    return [int(process["pid"]) for process in mine if process.get("pid")]


def _family(mine: Iterable[Mapping[str, Any]], wanted: Iterable[Holder]) -> set[int]:
    """Return the processes that PM2 has started, and where another one is ``wanted``, all that those have started: npm starts Node."""
    own = set(_pids(mine))
    return own if {one.pid for one in wanted} <= own else set(with_descendants(own, processes()))
