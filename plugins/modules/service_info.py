#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say how the services of a host are, whoever manages them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service_info
short_description: Say how services are, whoever manages them
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Returns the state of each service of this host in one shape, whether systemd, PM2 or Compose manages it.
  - Each manager is asked once for all of its services. One that cannot be asked leaves its services V(unknown), with the
    reason, and the others as they are.
  - It says what runs, not whether it works. M(runbook.ops.health) asks that.
extends_documentation_fragment:
  - runbook.ops.attributes.info
options:
  services:
    description:
      - The services, as M(runbook.ops.system_description) returns them.
      - Read are C(name), C(manager), C(unit), C(watch_units), C(user), C(project), C(compose_service), C(replicas) and
        C(optional). Services managed by C(vercel) are left out; M(runbook.ops.vercel_deployment_info) knows them.
    type: list
    elements: dict
    required: true
  stopping:
    description:
      - Name of a service that is about to be stopped, and that all of O(services) need.
      - RV(checks) then holds a warning of each that runs, and nothing else.
    type: str
seealso:
  - module: runbook.ops.pm2_info
  - module: runbook.ops.compose_service
  - module: runbook.ops.vercel_deployment_info
"""

EXAMPLES = r"""
- name: See how all services are
  runbook.ops.service_info:
    services: "{{ system_description['services'] | rejectattr('manager', 'equalto', 'vercel') }}"
  register: __services
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
    state:
      description:
        - V(running), V(stopped), or V(absent) where its manager does not know it.
        - V(impaired) where fewer run than there are or should be, or one of them is not well.
        - V(unknown) where its manager could not be asked.
      type: str
    running:
      description: Units, processes or containers that run.
      type: int
    replicas:
      description: Those that there are.
      type: int
    wanted:
      description: Those that there should be, V(null) where nobody says.
      type: int
    trouble:
      description: What is wrong, in a few words, V(null) where nothing is.
      type: str
    since:
      description: When the one was started that was started last.
      type: str
      sample: '2026-11-21T11:54:45Z'
    restarts:
      description: Restarts that its manager counted.
      type: int
    version:
      description: Its version for PM2, its image for Compose, V(null) where its manager does not know.
      type: str
    pids:
      description: Numbers of its main processes.
      type: list
      elements: int
    at:
      description: What it is called at its manager, of a service that is deployed to two slots the one that gets the requests.
      type: dict
      contains:
        app:
          description: Name of the application in PM2, V(null) where it is that of the service.
          type: str
        project:
          description: Name of the Compose project.
          type: str
        compose_service:
          description: Name in the Compose file.
          type: str
        path:
          description: Directory of the Compose file, or of the application.
          type: str
        compose_file:
          description: Name of the Compose file.
          type: str
        url:
          description: Where it is asked how it is.
          type: str
    idle:
      description: The same of the slots that get no requests. They may run, so that the way back takes a moment.
      type: list
      elements: dict
checks:
  description: A check of each service.
  returned: success
  type: list
  elements: dict
"""

import time
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._live_options import Read, every_slot
from ansible_collections.runbook.ops.plugins.module_utils._service_ask import Managers, Services, ask
from ansible_collections.runbook.ops.plugins.module_utils._service_state import about_to_stop, check

ARGUMENTS = {
    "services": {"type": "list", "elements": "dict", "required": True},
    "stopping": {"type": "str"},
}


AT = ("app", "project", "compose_service", "path", "compose_file")


def run(
    services: Services, stopping: str | None, *, managers: Any, now: float, read: Read | None = None
) -> dict[str, Any]:
    states: dict[str, Mapping[str, Any]] = {}
    slots = {one["name"]: every_slot(one, read) for one in services}
    services = [slots[one["name"]][0] for one in services]
    for name in ("systemd", "pm2", "compose"):
        mine = [one for one in services if one["manager"] == name]
        if mine:
            states.update({state["name"]: state for state in ask(getattr(managers, name), mine)})
    known = [one for one in services if one["name"] in states]
    checks = [check(one, states[one["name"]], now=now) for one in known]
    return {
        "changed": False,
        "services": [
            {**states[one["name"]], "at": _at(one), "idle": [_at(each) for each in slots[one["name"]][1:]]}
            for one in known
        ],
        "checks": about_to_stop(checks, needed=stopping) if stopping else checks,
    }


def _at(service: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a service is called at its manager, and where it is asked how it is."""
    return {**{key: service.get(key) for key in AT}, "url": (service.get("health") or {}).get("url")}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    boot = time.time() - time.clock_gettime(time.CLOCK_MONOTONIC)
    try:
        result = run(**module.params, managers=Managers(module, boot=boot), now=time.time())
    except ValueError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
