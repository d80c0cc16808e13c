# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at a host's services for what asks for a restart. It judges nothing. Private to this collection."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _proc
from ansible_collections.runbook.ops.plugins.module_utils._apt_host import Apt
from ansible_collections.runbook.ops.plugins.module_utils._command import Command, CommandError
from ansible_collections.runbook.ops.plugins.module_utils._live_options import service_at_live
from ansible_collections.runbook.ops.plugins.module_utils._pm2 import App, Pm2Error, group
from ansible_collections.runbook.ops.plugins.module_utils._pm2_checks import version_checks
from ansible_collections.runbook.ops.plugins.module_utils._pm2_host import Pm2Host, daemon_home
from ansible_collections.runbook.ops.plugins.module_utils._restart import (
    Findings,
    parse_units,
    replaced_files,
    run_files,
    stale,
    worker_start,
)

PROPERTIES = "Id,ActiveState,MainPID,ControlGroup,NeedDaemonReload"
# What the command line sets is marked as pending once a file that says otherwise is read: no restart changes that.
SQL = """\
SELECT json_build_object(
  'pending', (SELECT coalesce(json_agg(name ORDER BY name), '[]') FROM pg_settings
    WHERE pending_restart AND source NOT IN ('command line', 'environment variable')),
  'sessions', (SELECT coalesce(json_agg(json_build_object('name', application_name, 'pid', pid,
      'seconds', round(extract(epoch FROM clock_timestamp() - backend_start)))), '[]')
    FROM pg_stat_activity WHERE application_name <> '' AND pid <> pg_backend_pid()));
"""


class Look:
    """One look at the host: everything that several services need is read once."""

    def __init__(self, module: Any, params: Mapping[str, Any], processes: dict[int, _proc.Process]) -> None:
        """Look up the files that updates are about to replace.

        :raises AptError: this host has no apt.
        :raises CommandError: dpkg does not tell.
        """
        self.module, self.params, self.processes = module, params, processes
        self.databases = {database["name"]: database for database in params["databases"]}
        self.sessions: list[dict[str, Any]] = []
        self.versions: dict[str, dict[str, Any]] = {}
        self.due = due_files(Apt(module), params["updates"]) if params["updates"] else set()
        self._pm2: dict[str, dict[str, App]] = {}

    def units(self, service: Mapping[str, Any]) -> list[dict[str, str]]:
        """Return the properties of the units of ``service`` that are loaded."""
        unit = service.get("unit") or f"{service['name']}.service"
        names = [unit, *(name for name in service.get("watch_units") or [] if name != unit)]
        return parse_units(Command(self.module, "systemctl")("show", "-p", PROPERTIES, "--", *names))

    def app(self, service: Mapping[str, Any]) -> App:
        """Return what PM2 says of ``service``.

        :raises Pm2Error: PM2 cannot be asked.
        """
        user = service.get("user") or ""
        if user not in self._pm2:
            host = Pm2Host(self.module, user or None, self.params["pm2_home"])
            found = host.processes()
            self._pm2[user] = group(found or [])
            if found is not None:
                versions = host.daemon_version(), host.installed_version()
                files = self._of_daemon(host.pm2_home)
                reasons = stale(replaced_files(files), files & self.due)
                checks = version_checks(*versions, user=host.user, reasons=reasons)
                self.versions.update({one["id"]: one for one in checks})
        name = service_at_live(service).get("app") or service["name"]
        return self._pm2[user].get(name, App(name))

    def _of_daemon(self, home: str) -> set[str]:
        """Return the programs and libraries that the daemon of PM2 in ``home`` runs."""
        mine = [one.pid for one in self.processes.values() if daemon_home(one.title) == home]
        return set().union(*(run_files(_proc.maps(pid) or "") for pid in mine))

    def pending(self, database: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the settings that wait for a restart, and remember the sessions.

        :raises CommandError: the database cannot be asked.
        """
        psql = Command(self.module, "psql", user=database["superuser"], environment={"PGCONNECT_TIMEOUT": "5"})
        options = ["-X", "-qAtw", "-v", "ON_ERROR_STOP=1", "-p", str(database["port"]), "-d", database["name"]]
        answer = json.loads(psql(*options, stdin=SQL))
        self.sessions += answer["sessions"]
        return tuple(answer["pending"])


def due_files(apt: Any, updates: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the files of the packages in ``updates`` that are not installed in their new version yet, as the kernel names them.

    :raises CommandError: dpkg does not tell.
    """
    there = apt.versions()
    due = [one["name"] for one in updates if one["available"] not in there.get(one["name"], ())]
    listed = apt.query("--listfiles", *due).splitlines() if due else []
    # A package may call /usr/lib /lib; the rest of what is listed says what is diverted.
    return {str(Path(line).resolve()) for line in listed if line.startswith("/")}


def find(service: Mapping[str, Any], look: Look) -> Findings:
    """Return what is to be seen of ``service``."""
    units: list[dict[str, str]] = []
    main: list[int] = []
    pids: set[int] = set()
    pending: tuple[str, ...] = ()
    problem = None
    try:
        if service["manager"] == "systemd":
            units = [unit for unit in look.units(service) if unit.get("ActiveState") in ("active", "reloading")]
            main = [int(unit.get("MainPID") or 0) for unit in units]
            pids = {pid for unit in units for pid in _proc.in_cgroup(unit.get("ControlGroup", ""), look.processes)}
        elif service["manager"] == "pm2":
            main = list(look.app(service).pids)
        pids |= set(_proc.with_descendants(main, look.processes))
        database = look.databases.get((service.get("health") or {}).get("database"))
        if database and pids:
            pending = look.pending(database)
    except (CommandError, Pm2Error) as exc:
        problem = str(exc)
    maps = [_proc.maps(pid) for pid in pids]
    files = set().union(*(run_files(text) for text in maps if text))
    changed = _proc.newest_change(config_paths(service, look.params))
    return Findings(
        running=bool(pids),
        pids=tuple(sorted(pids)),
        memory_bytes=sum(look.processes[pid].memory_bytes for pid in pids),
        replaced=tuple(sorted(replaced_files(files))),
        outdated=tuple(sorted(files & look.due)),
        unreadable=sum(text is None for text in maps),
        unit_changed=any(unit.get("NeedDaemonReload") == "yes" for unit in units),
        pending_settings=pending,
        problem=problem,
        loaded_at=loaded_at(service, main, look.processes),
        config_changed_at=changed[0] if changed else None,
        config_changed=changed[1] if changed else None,
    )


def config_paths(service: Mapping[str, Any], params: Mapping[str, Any]) -> list[str]:
    """Return what is read by ``service`` when it starts or reloads."""
    paths = list(service.get("config") or [])
    if paths and service.get("on_change") == "reload":
        directory = params["certificate_directory"]
        paths += [str(Path(directory, name, "fullchain.pem")) for name in params["certificates"]]
    return paths


def loaded_at(service: Mapping[str, Any], main: list[int], processes: dict[int, _proc.Process]) -> float | None:
    """Return by when the configuration in use was loaded at the latest, or None where nothing runs."""
    alive = [processes[pid] for pid in main if pid in processes]
    if not alive:
        return None
    own_start = min(process.started_at for process in alive)
    if service.get("on_change") != "reload":
        return own_start + _proc.TICK_SECONDS
    masters = {process.pid for process in alive}
    children = [(one.title, one.started_at) for one in processes.values() if one.parent in masters]
    return worker_start(children, own_start) + _proc.TICK_SECONDS


def busy(look: Look, now: float) -> list[dict[str, Any]]:
    """Return the programs during which a database must not be restarted; sessions where no process is seen here."""
    names = look.params["busy_programs"]
    here = [
        {"name": process.name, "pid": process.pid, "seconds": round(now - process.started_at)}
        for process in look.processes.values()
        if process.name in {name[:15] for name in names}
    ]
    seen = {one["name"] for one in here}
    found = here + [one for one in look.sessions if one["name"] in names and one["name"] not in seen]
    return [{**one, "detail": f"{one['name']} (pid {one['pid']}) runs for {one['seconds']} s"} for one in found]
