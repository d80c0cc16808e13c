#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: make a role of PostgreSQL that logs in, as a restored database needs it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_role
short_description: Make a role of PostgreSQL that logs in
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - A backup of a database holds no roles, for they belong to the server. On a new one they must be there before it is restored.
  - The password never reaches the server or its log. What the server keeps of it (SCRAM-SHA-256) is computed here.
  - Never takes a right away, and drops no role.
extends_documentation_fragment:
  - runbook.ops.attributes.full
  - runbook.ops.postgresql.connection
  - runbook.ops.postgresql.server
options:
  name:
    description: Name of the role.
    type: str
    required: true
  password:
    description: Its password. Without it, that of a role which is there stays, and a new one has none.
    type: str
  wait_seconds:
    description:
      - Seconds to wait for the server, where it has just been started. In a container the one is awaited that stays, the official
        image starts another one before on an empty volume.
    type: int
    default: 0
seealso:
  - module: runbook.ops.pg_restore
"""

EXAMPLES = r"""
- name: Make the owner of a database that will be restored
  runbook.ops.pg_role:
    name: shop
    password: "{{ vault_shop_password }}"
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be.
  returned: success
  type: list
  elements: str
changes:
  description: What changed, or in check mode would.
  returned: success
  type: list
  elements: dict
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change
from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError
from ansible_collections.runbook.ops.plugins.module_utils._pg_role import asking, await_server, plan
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import ARGUMENTS as SERVER
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import RULES, PgTarget

ARGUMENTS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "password": {"type": "str", "no_log": True},
    "wait_seconds": {"type": "int", "default": 0},
    **SERVER,
}


def run(name: str, password: str | None, *, target: PgTarget, check_mode: bool) -> dict[str, Any]:
    """Make sure of the role.

    :raises PgError: the server cannot be asked, or refuses.
    """
    found = target.json("postgres", asking(name))
    planned = plan(name, password, found, os.urandom(16))
    word = planned[0] if planned else ""
    if planned and not check_mode:
        target.sql("postgres", planned[1])
    change = make_change(f"role {name}", action=word, section="Database", reason="a database needs it")
    return {
        "changed": bool(planned),
        "actions": [f"{word}: {name}"] if planned else [],
        "changes": [change] if planned else [],
        "diff": {
            "before": f"{name}: {'there' if found else 'absent'}\n",
            "after": f"{name}: there{f' ({word})' if found and planned else ''}\n",
        },
    }


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True, **RULES)
    try:
        target = PgTarget.from_params(module.params)
        if module.params["wait_seconds"]:
            await_server(lambda sql: target.json("postgres", sql), module.params["wait_seconds"])
        result = run(module.params["name"], module.params["password"], target=target, check_mode=module.check_mode)
    except (PgError, ValueError) as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
