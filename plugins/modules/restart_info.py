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
    that was replaced or removed since, or that O(updates) will replace, where a setting of PostgreSQL waits for one, where the unit file changed, and
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
  updates:
    description:
      - Packages that are about to be updated. Who runs a file of one has a reason, as if it were installed already.
      - Those that are installed in that version by now do not count.
    type: list
    elements: dict
    default: []
    version_added: 0.2.0
    suboptions:
      name:
        description: Name of the package.
        type: str
        required: true
      available:
        description: The version that will be installed.
        type: str
        required: true
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
  - That the PM2 daemon is older than the installed PM2, or runs a library that was replaced, is a check only, for C(pm2 update)
    restarts all applications of the account.
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

import time
from collections.abc import Callable, Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._apt_install import AptError
from ansible_collections.runbook.ops.plugins.module_utils._command import CommandError
from ansible_collections.runbook.ops.plugins.module_utils._proc import processes
from ansible_collections.runbook.ops.plugins.module_utils._restart import Findings, check, decide, needed_by
from ansible_collections.runbook.ops.plugins.module_utils._restart_host import Look, busy, find

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
    "updates": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"name": {"type": "str", "required": True}, "available": {"type": "str", "required": True}},
    },
    "baseline": {"type": "dict", "default": {}},
    "growth_percent": {"type": "float"},
    "busy_programs": {"type": "list", "elements": "str", "default": BUSY},
}


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
    try:
        look = Look(module, module.params, processes())
    except (AptError, CommandError) as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**run(look, now=time.time()))


if __name__ == "__main__":
    main()
