#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say what of a project at Vercel is in production."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vercel_deployment_info
short_description: Say what of a project at Vercel is in production
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Returns the deployment that the project's domains lead to, and the newest ones with what became of them.
extends_documentation_fragment:
  - runbook.ops.attributes.info
  - runbook.ops.vercel
options:
  service:
    description: Name of the service that it is, for the check. O(project) without it.
    type: str
seealso:
  - module: runbook.ops.vercel_deployment
  - module: runbook.ops.service_info
"""

EXAMPLES = r"""
- name: See what is in production
  runbook.ops.vercel_deployment_info:
    project: lifeplatform
    token: "{{ vault_vercel_token }}"
  delegate_to: localhost
  become: false
  register: __production
"""

RETURN = r"""
live:
  description: What is in production, V(null) where nothing is.
  returned: success
  type: dict
  contains: &deployment
    id:
      description: Identifier of the deployment.
      type: str
    url:
      description: Its own host name.
      type: str
    state:
      description: Vercel's word for its state, such as V(READY), V(BUILDING) or V(ERROR).
      type: str
    commit:
      description: The Git commit it was built from, V(null) where Vercel does not know.
      type: str
    branch:
      description: The Git branch, V(null) where Vercel does not know.
      type: str
    created_at:
      description: When it was asked for.
      type: str
    ready_at:
      description: When it was ready.
      type: str
    assigned:
      description: Whether the domains were led to it.
      type: bool
    error:
      description: Why it failed, V(null) where it did not.
      type: str
    version:
      description: What was asked for when this collection built it, such as a tag; V(null) otherwise.
      type: str
latest:
  description: The newest deployments for production, newest first.
  returned: success
  type: list
  elements: dict
  contains: *deployment
services:
  description: The state of the service, as RV(runbook.ops.service_info#module:services).
  returned: success
  type: list
  elements: dict
checks:
  description: A check of the service.
  returned: success
  type: list
  elements: dict
"""

import time
from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._service_state import check
from ansible_collections.runbook.ops.plugins.module_utils._vercel import VercelError, state_of
from ansible_collections.runbook.ops.plugins.module_utils._vercel_api import ARGUMENTS, Vercel, by_module


def run(vercel: Vercel, service: str | None, *, now: float) -> dict[str, Any]:
    live, latest = vercel.look()
    state = state_of(service or vercel.project, live, latest)
    return {
        "changed": False,
        "live": asdict(live) if live else None,
        "latest": [asdict(one) for one in latest],
        "services": [state],
        "checks": [check({}, state, now=now)],
    }


def main() -> None:
    module = AnsibleModule(argument_spec={**ARGUMENTS, "service": {"type": "str"}}, supports_check_mode=True)
    try:
        place = {key: module.params[key] for key in ("project", "team", "token", "api")}
        result = run(
            Vercel(by_module(module, module.params["timeout_seconds"]), **place),
            module.params["service"],
            now=time.time(),
        )
    except VercelError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
