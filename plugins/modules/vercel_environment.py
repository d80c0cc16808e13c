#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set and remove environment variables of a project at Vercel."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vercel_environment
short_description: Set and remove environment variables of a project at Vercel
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Brings the named variables to their values, and leaves all others alone. Values are neither shown nor returned.
  - A deployment goes on with the values that it was built with. A check says so where something has changed.
extends_documentation_fragment:
  - runbook.ops.attributes
  - runbook.ops.vercel
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: The names, without the values.
  idempotent:
    support: full
options:
  variables:
    description: Values by name.
    type: dict
  absent:
    description: Names that there should be no variable of.
    type: list
    elements: str
  targets:
    description: Environments that are meant. A variable that stands for others as well is refused, for they would change along.
    type: list
    elements: str
    default: [production]
  sensitive:
    description: Whether nobody can read the values any more, once they are set.
    type: bool
    default: true
  replace:
    description: Whether values that nobody can read are written anew. Without it a variable that is there is taken for right.
    type: bool
    default: false
  redeployed:
    description: Whether a redeployment follows by itself. Without it a check says that one is needed.
    type: bool
    default: false
  reason:
    description: Why this is done, for the record.
    type: str
    default: asked for
notes:
  - Used are also C(GET) and C(POST /v10/projects/{project}/env), C(GET /v1/projects/{project}/env/{id}) and
    C(DELETE /v9/projects/{project}/env/{id}).
seealso:
  - module: runbook.ops.vercel_deployment
"""

EXAMPLES = r"""
- name: Rotate a key
  runbook.ops.vercel_environment:
    project: lifeplatform
    token: "{{ vault_vercel_token }}"
    variables:
      SENDGRID_API_KEY: "{{ vault_sendgrid_key }}"
    replace: true
    reason: quarterly rotation
  delegate_to: localhost
  become: false
"""

RETURN = r"""
variables:
  description: Names of the variables of these environments afterwards.
  returned: success
  type: list
  elements: str
unread:
  description: Names of those whose value nobody can read, and which were taken for right.
  returned: success
  type: list
  elements: str
checks:
  description: Whether a deployment is needed to make use of it.
  returned: success
  type: list
  elements: dict
changes:
  description: A record of each change, made or predicted.
  returned: success
  type: list
  elements: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._vercel import VercelError
from ansible_collections.runbook.ops.plugins.module_utils._vercel_api import ARGUMENTS, Vercel, by_module
from ansible_collections.runbook.ops.plugins.module_utils._vercel_variables import run

OWN: dict[str, Any] = {
    "variables": {"type": "dict", "no_log": True},
    "absent": {"type": "list", "elements": "str"},
    "targets": {"type": "list", "elements": "str", "default": ["production"]},
    "sensitive": {"type": "bool", "default": True},
    "replace": {"type": "bool", "default": False},
    "redeployed": {"type": "bool", "default": False},
    "reason": {"type": "str", "default": "asked for"},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={**ARGUMENTS, **OWN}, supports_check_mode=True, required_one_of=[("variables", "absent")]
    )
    params = module.params
    try:
        vercel = Vercel(
            by_module(module, params["timeout_seconds"]),
            **{key: params[key] for key in ("project", "team", "token", "api")},
        )
        result = run(vercel, params, check_mode=module.check_mode)
    except VercelError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
