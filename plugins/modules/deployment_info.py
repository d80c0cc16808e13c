#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at what is deployed, what is staged and what can be gone back to."""

from __future__ import annotations

DOCUMENTATION = r"""
module: deployment_info
short_description: Look at what is deployed, what is staged, and what can be gone back to
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Tells for each service which release gets the requests, what runs in its slots, which releases there are, and what a deploy that was cut off
    has left. Asks the managers and reads the state of the deployments.
extends_documentation_fragment:
  - runbook.ops.attributes
  - runbook.ops.attributes.info
options:
  services:
    description: Services, as the role P(runbook.ops.system#role) describes them. Those that are not deployed on a host are left out.
    type: list
    elements: dict
    required: true
  events:
    description: How many lines of the ledger to return, the newest ones.
    type: int
    default: 10
  directory:
    description: Where the state of all deployments is kept.
    type: path
    default: /var/lib/runbook-ops/deploy
  secrets:
    description: Values in O(services) that nobody may see, such as a token. They are taken out of logs and results.
    type: list
    elements: str
    default: []
seealso:
  - module: runbook.ops.deployment
"""

EXAMPLES = r"""
- name: Look at what is deployed
  runbook.ops.deployment_info:
    services: "{{ system_description['services'] }}"
  register: __deployments
"""

RETURN = r"""
deployments:
  description:
    - For each service C(service), C(live) with C(slot) and C(release), C(slots) with what runs in each, C(last_good), C(staged), C(journal),
      C(releases) with C(id), C(commit), C(ref), C(version), C(built_at) and C(good), the newest first, and C(events).
  returned: success
  type: list
  elements: dict
lines:
  description: The same for people.
  returned: success
  type: list
  elements: str
checks:
  description: How each is.
  returned: success
  type: list
  elements: dict
"""

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import Fence
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import DeployPaths, StateError
from ansible_collections.runbook.ops.plugins.module_utils._deployment import Deployment
from ansible_collections.runbook.ops.plugins.module_utils._deployment_parts import Task
from ansible_collections.runbook.ops.plugins.module_utils._deployment_plan import Wish
from ansible_collections.runbook.ops.plugins.module_utils._deployment_report import (
    SECTION,
    lines,
    snapshot,
    state_check,
)
from ansible_collections.runbook.ops.plugins.module_utils._deployment_terms import TroubleError
from ansible_collections.runbook.ops.plugins.module_utils._deployment_ways import (
    SECRETS,
    deployed,
    parts_of,
    releases_of,
    shown,
)
from ansible_collections.runbook.ops.plugins.module_utils._release_ledger import events

ARGUMENTS: dict[str, Any] = {
    "services": {"type": "list", "elements": "dict", "required": True},
    "events": {"type": "int", "default": 10},
    "directory": {"type": "path", "default": "/var/lib/runbook-ops/deploy"},
    **SECRETS,
}


def look(
    service: Mapping[str, Any], paths: DeployPaths, module: Any, *, last: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return how ``service`` is deployed, and the check of it.

    :raises TroubleError: it cannot be told.
    :raises StateError: what is written about it cannot be read.
    """
    parts = parts_of(Task(service, {}, paths, Fence("", 0, ""), "", hotfix=False, module=module))
    seen = shown(parts, Deployment(parts, Wish("recovered", None), run="").observe())
    releases = releases_of(parts, paths)
    told = events(paths)
    found = {**snapshot(service["name"], seen), "releases": releases, "events": told[-last:] if last > 0 else []}
    return found, state_check(service["name"], seen, seen.entry)


def run(services: list[dict[str, Any]], directory: str, module: Any, *, last: int) -> dict[str, Any]:
    deployments, checks = [], []
    for service in deployed(services):
        try:
            found, check = look(service, DeployPaths(service["name"], directory), module, last=last)
        except (TroubleError, StateError) as exc:
            checks.append(unknown(service["name"], str(exc)))
            continue
        deployments.append(found)
        checks.append(check)
    told = [line for found in deployments for line in lines(found)]
    return {"changed": False, "deployments": deployments, "lines": told, "checks": checks}


def unknown(name: str, why: str) -> dict[str, Any]:
    """Return the check of a service that cannot be looked at."""
    return make_check(
        f"deployment:{name}",
        name=f"deployment of {name}",
        section=SECTION,
        status="unknown",
        detail=why,
        remedy="see why its manager or its state cannot be asked",
    )


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    module.exit_json(**run(params["services"], params["directory"], module, last=params["events"]))


if __name__ == "__main__":
    main()
