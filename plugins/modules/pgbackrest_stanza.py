#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: give a cluster of PostgreSQL a stanza in the repository of pgBackRest."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pgbackrest_stanza
short_description: Give a PostgreSQL cluster its place in the repository of pgBackRest, and prove that it archives
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Makes the stanza where the repository has none, and lets pgBackRest check that a segment of WAL that the server closes arrives there.
  - A stanza is never deleted by it, since all backups would go with it.
extends_documentation_fragment:
  - runbook.ops.attributes
  - runbook.ops.pgbackrest
attributes:
  check_mode:
    support: full
    details: [The archive is not checked, since that closes a segment of WAL.]
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  state:
    description: The stanza is there.
    type: str
    choices: [present]
    default: present
  verify:
    description: Close a segment of WAL and wait until it is in the archive.
    type: bool
    default: true
  archive_timeout_seconds:
    description: Seconds that this may take.
    type: int
    default: 60
seealso:
  - module: runbook.ops.pgbackrest_backup
"""

EXAMPLES = r"""
- name: Make the stanza, and see the archive work
  runbook.ops.pgbackrest_stanza:
    stanza: main
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: [stanza-create main]
stanza:
  description: C(name), C(exists) and how many C(backups) it has.
  returned: success
  type: dict
changes:
  description: What changed, or in check mode would.
  returned: success
  type: list
  elements: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest import PgBackRestError
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest_host import ARGUMENTS, PgBackRest

OPTIONS: dict[str, Any] = {
    **ARGUMENTS,
    "state": {"type": "str", "choices": ["present"], "default": "present"},
    "verify": {"type": "bool", "default": True},
    "archive_timeout_seconds": {"type": "int", "default": 60},
}


def run(program: PgBackRest, params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    before = program.info()
    server = program.server()
    if server and before.system_identifier and server["system_identifier"] != before.system_identifier:
        raise PgBackRestError(
            f"the stanza {program.stanza} holds backups of another cluster (system {before.system_identifier}): give this one a "
            "stanza of another name; its old backups stay"
        )
    steps = [] if before.exists else ["stanza-create"]
    after = before.exists or bool(steps)
    seconds = str(params["archive_timeout_seconds"])
    if not check_mode:
        for step in steps:
            program(step)
        if params["verify"]:
            program("check", f"--archive-timeout={seconds}", timeout_seconds=params["archive_timeout_seconds"] + 60)
        after = program.info().exists if steps else after
    return {
        "changed": bool(steps),
        "actions": [f"{step} {program.stanza}" for step in steps],
        "stanza": {"name": program.stanza, "exists": after, "backups": len(before.backups)},
        "changes": [
            make_change(f"stanza {program.stanza}", action="made", section="Backups", reason="the repository had none")
            for _step in steps
        ],
        "diff": {"before": {"exists": before.exists}, "after": {"exists": after}},
    }


def main() -> None:
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    try:
        result = run(PgBackRest(module.params), module.params, check_mode=module.check_mode)
    except PgBackRestError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
