#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say which services have a reason to be restarted or reloaded."""

from __future__ import annotations

DOCUMENTATION = r"""
module: restart_info
short_description: Say which services have a reason to be restarted or reloaded
version_added: 0.1.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Looks at each service and returns whether it needs a restart, a reload or nothing, with every reason.
  - "A restart is needed where a process runs a program or library below C(/usr), C(/lib), C(/bin), C(/sbin) or C(/opt)
    that was replaced or removed since, where a setting of PostgreSQL waits for one, where the unit file changed, and
    where the memory of all its processes is at its limit or has grown too much."
  - A reload is needed where a service with C(on_change=reload) has configuration or certificates that are newer than
    its workers. Where C(on_change) is C(restart), newer configuration needs a restart.
  - Of a service that does not run nothing is asked. Services managed by C(compose) and C(vercel) are not looked at.
extends_documentation_fragment:
  - runbook.ops.attributes.info
options:
  services:
    description:
      - The services, as M(runbook.ops.system_description) returns them.
      - Read are C(name), C(manager), C(unit), C(watch_units), C(user), C(after), C(on_change), C(config),
        C(limits.memory_bytes) and C(health.database).
    type: list
    elements: dict
    required: true
  every_service:
    description: Whether each service that runs has a reason, namely that it was asked for.
    type: bool
    default: false
  databases:
    description:
      - The databases of PostgreSQL on this host. The one that a service names in C(health.database) is asked for
        settings that wait for a restart, and for backups that run.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the database.
        type: str
        required: true
      port:
        description: Number in the name of the server's socket.
        type: int
        default: 5432
      superuser:
        description: Account on the host, and role of the same name, that logs in over the socket.
        type: str
        default: postgres
  certificates:
    description: Names of the certificates that services with C(on_change=reload) have loaded.
    type: list
    elements: str
    default: []
  certificate_directory:
    description: Absolute directory that holds a directory for each of O(certificates).
    type: path
    default: /etc/letsencrypt/live
  pm2_home:
    description: Absolute directory of PM2's own files. C(.pm2) in the home of each service's user without it.
    type: path
  baseline:
    description:
      - Memory that services used at an earlier time, in bytes, by name.
      - Growth is judged only for services in it.
    type: dict
    default: {}
  growth_percent:
    description: By how many percent memory may have grown over O(baseline). Growth is not judged without it.
    type: float
  busy_programs:
    description:
      - Programs during which a database must not be restarted. They are found among the host's processes, and by their
        application name among the sessions of O(databases).
    type: list
    elements: str
    default: [pg_dump, pg_dumpall, pg_restore, pg_basebackup, pg_upgrade]
notes:
  - needrestart is not needed. Like it, this module reads C(/proc/<pid>/maps), but it knows PM2 and PostgreSQL as well
    and tells reload from restart.
  - PostgreSQL knows that a setting waits for a restart only after its configuration was reloaded.
  - That the PM2 daemon is older than the installed PM2 is a check only, for C(pm2 update) restarts all applications of
    the account.
  - Run as root. In a container, looking into the processes of other accounts needs C(CAP_SYS_PTRACE).
seealso:
  - module: runbook.ops.pm2_info
  - module: runbook.ops.system_description
"""

EXAMPLES = r"""
- name: See what asks for a restart
  runbook.ops.restart_info:
    services: "{{ system_description['services'] }}"
    databases:
      - name: owlivion_sync
    certificates: "{{ system_description['certificates'] | map(attribute='name') }}"
  register: __restarts
"""

RETURN = r"""
services:
  description: The services, in the order given.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the service.
      type: str
    manager:
      description: What manages it.
      type: str
    running:
      description: Whether it has processes.
      type: bool
    action:
      description: What it needs, V(none), V(reload) or V(restart).
      type: str
    reasons:
      description: Why, one line each.
      type: list
      elements: str
    detail:
      description: Name and reasons in one line.
      type: str
    pids:
      description: Numbers of its processes.
      type: list
      elements: int
    memory_bytes:
      description: Resident memory of all its processes; what they share is counted for each.
      type: int
    needed_by:
      description: Services that run and name it in C(after).
      type: list
      elements: str
busy:
  description: The programs of O(busy_programs) that run, on this host or as sessions of the databases.
  returned: success
  type: list
  elements: dict
  sample:
    - {name: pg_dump, pid: 4711, seconds: 312, detail: pg_dump (pid 4711) runs for 312 s}
checks:
  description: A check of each service, and one of each PM2 daemon's version.
  returned: success
  type: list
  elements: dict
"""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils import _proc
from ansible_collections.runbook.ops.plugins.module_utils._command import Command, CommandError
from ansible_collections.runbook.ops.plugins.module_utils._pm2 import App, Pm2Error, group, version_checks
from ansible_collections.runbook.ops.plugins.module_utils._pm2_host import Pm2Host
from ansible_collections.runbook.ops.plugins.module_utils._restart import (
    Findings,
    check,
    decide,
    needed_by,
    parse_units,
    replaced_files,
    worker_start,
)

BUSY = ["pg_dump", "pg_dumpall", "pg_restore", "pg_basebackup", "pg_upgrade"]
ARGUMENTS = {
    "services": {"type": "list", "elements": "dict", "required": True},
    "every_service": {"type": "bool", "default": False},
    "databases": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "port": {"type": "int", "default": 5432},
            "superuser": {"type": "str", "default": "postgres"},
        },
    },
    "certificates": {"type": "list", "elements": "str", "default": []},
    "certificate_directory": {"type": "path", "default": "/etc/letsencrypt/live"},
    "pm2_home": {"type": "path"},
    "baseline": {"type": "dict", "default": {}},
    "growth_percent": {"type": "float"},
    "busy_programs": {"type": "list", "elements": "str", "default": BUSY},
}
PROPERTIES = "Id,ActiveState,MainPID,ControlGroup,NeedDaemonReload"
# What the command line sets is marked as pending once a file that says otherwise is read again, and no restart changes that.
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
        self.module, self.params, self.processes = module, params, processes
        self.databases = {database["name"]: database for database in params["databases"]}
        self.sessions: list[dict[str, Any]] = []
        self.versions: dict[str, dict[str, Any]] = {}
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
                checks = version_checks(host.daemon_version(), host.installed_version(), user=host.user)
                self.versions.update({one["id"]: one for one in checks})
        return self._pm2[user].get(service["name"], App(service["name"]))

    def pending(self, database: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the settings that wait for a restart, and remember the sessions.

        :raises CommandError: the database cannot be asked.
        """
        psql = Command(self.module, "psql", user=database["superuser"], environment={"PGCONNECT_TIMEOUT": "5"})
        options = ["-X", "-qAtw", "-v", "ON_ERROR_STOP=1", "-p", str(database["port"]), "-d", database["name"]]
        answer = json.loads(psql(*options, stdin=SQL))
        self.sessions += answer["sessions"]
        return tuple(answer["pending"])


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
    changed = _proc.newest_change(config_paths(service, look.params))
    return Findings(
        running=bool(pids),
        pids=tuple(sorted(pids)),
        memory_bytes=sum(look.processes[pid].memory_bytes for pid in pids),
        replaced=tuple(sorted(set().union(*(replaced_files(text) for text in maps if text)))),
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
    """Return since when the configuration in use is loaded, or None where nothing runs."""
    alive = [processes[pid] for pid in main if pid in processes]
    if not alive:
        return None
    own_start = min(process.started_at for process in alive)
    if service.get("on_change") != "reload":
        return own_start
    masters = {process.pid for process in alive}
    children = [(one.title, one.started_at) for one in processes.values() if one.parent in masters]
    return worker_start(children, own_start)


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


def run(look: Look, *, now: float, find: Callable[[Mapping[str, Any], Look], Findings] = find) -> dict[str, Any]:
    services = look.params["services"]
    findings = [find(service, look) for service in services]
    decisions = [
        decide(
            service,
            seen,
            baseline_bytes=look.params["baseline"].get(service["name"]),
            growth_percent=look.params["growth_percent"],
            asked_for=look.params["every_service"],
        )
        for service, seen in zip(services, findings)
    ]
    return {
        "changed": False,
        "services": [{**one, "needed_by": needed_by(one["name"], decisions, services)} for one in decisions],
        "busy": busy(look, now),
        "checks": [
            *(check(decision, seen) for decision, seen in zip(decisions, findings) if seen.running or seen.problem),
            *look.versions.values(),
        ],
    }


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    module.exit_json(**run(Look(module, module.params, _proc.processes()), now=time.time()))


if __name__ == "__main__":
    main()
