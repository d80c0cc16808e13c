#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read which dependencies of services are outdated or vulnerable, without touching where they live."""

from __future__ import annotations

DOCUMENTATION = r"""
module: dependencies_info
short_description: Read which dependencies of services are outdated or vulnerable
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Asks npm or pnpm, whichever the lock file belongs to, about what is live of each service, C(outdated) and C(audit).
  - They work on a copy of C(package.json), the lock file and C(.npmrc), as the account that the directory belongs to. Nothing is installed,
    no script is run, and nothing is written where the service lives.
  - A registry that does not answer, or does not know of audits, makes a check unknown and fails nothing.
  - Services without a C(package.json) are left out.
extends_documentation_fragment:
  - runbook.ops.attributes.info
options:
  services:
    description:
      - The services, as M(runbook.ops.system_description) returns them.
      - Read are C(name), C(path) and C(source.subdirectory). Where a release is live, it is looked at instead of C(path).
    type: list
    elements: dict
    required: true
  level:
    description: How severe a vulnerability must be to be counted.
    type: str
    choices: [info, low, moderate, high, critical]
    default: high
  outdated:
    description: Limits for the number of outdated dependencies of a service.
    type: dict
    default: {}
    suboptions: &limits
      warning:
        description: Warn at so many. Without it never.
        type: float
      critical:
        description: Critical at so many. Without it never.
        type: float
  vulnerable:
    description: Limits for the number of vulnerable dependencies of a service.
    type: dict
    default: {warning: 1}
    suboptions: *limits
  timeout_seconds:
    description: How many seconds one question may take.
    type: float
    default: 120
  deploy_directory:
    description: Where the state of deploys lies.
    type: path
    default: /var/lib/runbook-ops/deploy
notes:
  - An update is a new release. Nothing here makes one.
seealso:
  - module: runbook.ops.release
"""

EXAMPLES = r"""
- name: See which dependencies are outdated or vulnerable
  runbook.ops.dependencies_info:
    services: "{{ system_description['services'] }}"
  register: __dependencies
"""

RETURN = r"""
projects:
  description: What was looked at, one for each directory.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the service.
      type: str
    directory:
      description: What is live of it.
      type: str
    manager:
      description: C(npm), C(pnpm) or C(yarn), by its lock file. Null without one.
      type: str
    outdated:
      description: What has a newer version, with C(name), C(current), C(wanted), C(latest) and C(major). Null where it is not known.
      type: list
      elements: dict
    vulnerable:
      description: What is vulnerable, the worst first, with C(name), C(severity), C(direct), C(title) and C(fix). Null where it is not known.
      type: list
      elements: dict
checks:
  description: Two of each project.
  returned: success
  type: list
  elements: dict
"""

from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._dependencies import SEVERITIES, judge
from ansible_collections.runbook.ops.plugins.module_utils._dependencies_host import Project, ask, find

LIMITS = {"warning": {"type": "float"}, "critical": {"type": "float"}}
FOREVER = 86_400  # seconds
ARGUMENTS: dict[str, Any] = {
    "services": {"type": "list", "elements": "dict", "required": True},
    "level": {"type": "str", "choices": list(SEVERITIES), "default": "high"},
    "outdated": {"type": "dict", "default": {}, "options": LIMITS},
    "vulnerable": {"type": "dict", "default": {"warning": 1}, "options": LIMITS},
    "timeout_seconds": {"type": "float", "default": 120},
    "deploy_directory": {"type": "path", "default": "/var/lib/runbook-ops/deploy"},
}


def run(params: dict[str, Any], *, asked: Callable[[Project], tuple[Any, Any]]) -> dict[str, Any]:
    """Return what is outdated and vulnerable; services of one directory are one project."""
    projects: dict[str, dict[str, Any]] = {}
    checks = []
    for service in params["services"]:
        project = find(service, params["deploy_directory"])
        if project is None or str(project.directory) in projects:
            continue
        outdated, vulnerable = asked(project)
        limits = {key: params[key] for key in ("outdated", "vulnerable")}
        checks += judge(service["name"], outdated=outdated, vulnerable=vulnerable, level=params["level"], limits=limits)
        projects[str(project.directory)] = {
            "name": service["name"],
            "directory": str(project.directory),
            "manager": project.manager,
            "outdated": None if isinstance(outdated, str) else outdated,
            "vulnerable": None if isinstance(vulnerable, str) else vulnerable,
        }
    return {"changed": False, "projects": list(projects.values()), "checks": checks}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    wait = module.params["timeout_seconds"]
    if not 0 < wait < FOREVER:
        module.fail_json(msg=f"timeout_seconds is {wait:g}: say more than 0, and less than a day")
    module.exit_json(**run(module.params, asked=lambda project: ask(module, project, timeout_seconds=wait)))


if __name__ == "__main__":
    main()
