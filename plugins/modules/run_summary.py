#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: run_summary
short_description: Sum up what a run has observed and changed on a host
version_added: 0.1.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Collects the checks and changes from all results of the host that were registered under a name that begins with
    C(__), in the order in which they were registered. Results of loops are looked into.
  - Of checks with the same identity the later one counts, so that a check after a repair replaces the one before it.
  - Takes secrets out of all texts, those of the system's description and what looks like one.
  - Runs on the controller. The host is not connected to.
extends_documentation_fragment:
  - runbook.ops.attributes.info
options:
  fail_on:
    description: Status of a check from which on this task fails, and names the checks.
    type: str
    choices: [critical, warning, never]
    default: never
  failed_task:
    description: The task that failed, as C(ansible_failed_task) holds it in a rescue.
    type: dict
    default: {}
  failed_result:
    description: Its result, as C(ansible_failed_result) holds it.
    type: dict
    default: {}
notes:
  - A name that is registered twice holds the second result only. Roles that are used twice in a play register only
    what the later use found.
seealso:
  - module: runbook.ops.run_record
"""

EXAMPLES = r"""
- name: Sum up what was seen and done
  runbook.ops.run_summary:
  register: __record_summary
"""

RETURN = r"""
checks:
  description: What was observed.
  returned: always
  type: list
  elements: dict
changes:
  description: What was changed, or in check mode would be.
  returned: always
  type: list
  elements: dict
status:
  description: The worst status among the checks.
  returned: always
  type: str
  sample: ok
counts:
  description: Number of checks by status, and of changes.
  returned: always
  type: dict
  sample: {ok: 14, unknown: 0, warning: 1, critical: 0, changes: 2}
failure:
  description: The task that failed and what it said; C(null) where none did.
  returned: always
  type: dict
  sample: {task: change | Vacuum, message: could not connect}
"""
