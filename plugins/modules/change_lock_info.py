#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say who changes a host, and what was begun there and has not ended."""

from __future__ import annotations

DOCUMENTATION = r"""
module: change_lock_info
short_description: Say who changes a host, and what was begun there and has not ended
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Reads the lock of a host's changes, and the journals of deploys and of the maintenance window. Nobody is kept from anything by it.
extends_documentation_fragment:
  - runbook.ops.attributes.info
options:
  directory:
    description: Directory of the lock.
    type: path
    default: /var/lib/runbook-ops/change
seealso:
  - module: runbook.ops.change_lock
"""

EXAMPLES = r"""
- name: See who changes this host
  runbook.ops.change_lock_info:
  register: __change_status
"""

RETURN = r"""
locks:
  description: The lock, where a run holds it.
  returned: always
  type: list
  elements: dict
  sample: [{owner: 5f2b8c9d0e1a, playbook: deploy, user: ada, controller: laptop, left_seconds: 640.0, taken_at: '2026-11-23T04:00:00Z'}]
number:
  description: How often the lock has changed hands.
  returned: always
  type: int
  sample: 12
unfinished:
  description: Journals of changes that were begun on this host and have not ended.
  returned: always
  type: list
  elements: dict
  sample: [{kind: deploy, name: api, path: /var/lib/runbook-ops/deploy/api/journal.json, phase: switching, run: 0a1b2c3d4e5f}]
checks:
  description: One check for the lock, and one for each journal.
  returned: always
  type: list
  elements: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._change_lease import brief
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import DIRECTORY, LockError, look, now
from ansible_collections.runbook.ops.plugins.module_utils._change_seen import journal_check, journals, lock_check


def run(directory: str) -> dict[str, Any]:
    """Return who holds the lock, and what has not ended."""
    state, moment = look(directory), now()
    holder, unfinished = brief(state, moment), journals(directory)
    return {
        "changed": False,
        "locks": [holder] if holder else [],
        "number": state["number"],
        "unfinished": unfinished,
        "checks": [lock_check(state, moment), *(journal_check(one, state) for one in unfinished)],
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={"directory": {"type": "path", "default": DIRECTORY}}, supports_check_mode=True
    )
    try:
        module.exit_json(**run(module.params["directory"]))
    except LockError as exc:
        module.fail_json(msg=str(exc))


if __name__ == "__main__":
    main()
