#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: say how many instances of a service a host and its databases can carry."""

from __future__ import annotations

DOCUMENTATION = r"""
module: scale_info
short_description: Say how many instances of a service a host and its databases can carry
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Looks at the memory that is available on this host, at what the running instances use, and at the connections that the databases have left.
  - An instance counts as large as C(limits.memory) and C(limits.connections) of the service say, or as the running ones are on average.
  - A database that does not tell carries nothing more; fewer instances than run fit always.
extends_documentation_fragment:
  - runbook.ops.attributes.info
options:
  service:
    description:
      - The service, as M(runbook.ops.system_description) returns it, of the manager C(pm2) or C(compose). It is asked as by
        M(runbook.ops.service_info).
    type: dict
    required: true
  number:
    description: How many instances there are to be.
    type: int
    required: true
  probes:
    description: Probes of the databases that it needs, as the filter P(runbook.ops.health_probes#filter) makes them. Only those of PostgreSQL count.
    type: list
    elements: dict
    default: []
  secrets:
    description: Secrets by name. A probe names the one it needs.
    type: dict
    default: {}
  keep_percent:
    description: Percentage of the memory and of the connections that is to stay free.
    type: float
    default: 10
seealso:
  - module: runbook.ops.service_info
"""

EXAMPLES = r"""
- name: See whether five workers fit
  runbook.ops.scale_info:
    service: "{{ system_description['services'] | selectattr('name', 'equalto', 'worker') | first }}"
    number: 5
    probes: "{{ system_description | runbook.ops.health_probes(['databases']) }}"
    secrets: "{{ system_description | runbook.ops.health_secrets }}"
  register: __room
"""

RETURN = r"""
fits:
  description: Whether so many fit.
  returned: success
  type: bool
running:
  description: How many run.
  returned: success
  type: int
most:
  description: How many fit; null where nothing told.
  returned: success
  type: int
why:
  description: What they do not fit into, in one line; empty where they fit.
  returned: success
  type: str
checks:
  description: A check of the memory, and one of each database.
  returned: success
  type: list
  elements: dict
"""

import time
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError, read_options
from ansible_collections.runbook.ops.plugins.module_utils._proc import processes, with_descendants
from ansible_collections.runbook.ops.plugins.module_utils._scale import Database, Instances, Memory, bounds, judge
from ansible_collections.runbook.ops.plugins.module_utils._service_ask import Managers, ask
from ansible_collections.runbook.ops.plugins.module_utils.probes import memory, postgresql

ARGUMENTS: dict[str, Any] = {
    "service": {"type": "dict", "required": True},
    "number": {"type": "int", "required": True},
    "probes": {"type": "list", "elements": "dict", "default": []},
    "secrets": {"type": "dict", "default": {}, "no_log": True},
    "keep_percent": {"type": "float", "default": 10},
}


def database(spec: Mapping[str, Any], secrets: Mapping[str, str]) -> Database:
    """Return what a database says of its connections."""
    options = read_options(spec, postgresql.OPTIONS, where=str(spec.get("name") or spec.get("database")))
    options["password"] = secrets.get(options["password"]) if options["password"] else None
    name = str(options["database"])
    try:
        said = postgresql.measure(options)
    except ProbeError as exc:
        return Database(name, None, said=str(exc))
    if said["error"]:
        return Database(name, None, said=f"it takes no connection: {said['error']}")
    return Database(name, int(said["connections"]), int(said["most"]))


def run(params: Mapping[str, Any], managers: Any) -> dict[str, Any]:
    service = params["service"]
    state = ask(getattr(managers, service["manager"]), [service])[0]
    there = processes()
    used = sum(there[pid].memory_bytes for pid in with_descendants(state["pids"], there))
    limits = service.get("limits") or {}
    instances = Instances(state["running"], used, limits.get("memory_bytes"), limits.get("connections"))
    databases = [database(one, params["secrets"]) for one in params["probes"] if one.get("probe") == "postgresql"]
    room = Memory(**memory.measure({}))
    found = bounds(instances, room, databases, keep_percent=params["keep_percent"])
    return {
        "changed": False,
        "running": state["running"],
        **judge(service["name"], state["running"], params["number"], found),
    }


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    if module.params["service"].get("manager") not in ("pm2", "compose"):
        module.fail_json(msg="service is of another manager: only what PM2 or Compose runs has a number of instances")
    boot = time.time() - time.clock_gettime(time.CLOCK_MONOTONIC)
    try:
        result = run(module.params, Managers(module, boot=boot))
    except (ProbeError, ValueError) as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
