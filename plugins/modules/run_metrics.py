#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: tell node_exporter what a run found."""

from __future__ import annotations

DOCUMENTATION = r"""
module: run_metrics
short_description: Tell node_exporter what a run of a playbook found
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Writes the checks of a run that have a number into a file of the textfile collector, one for each system and playbook, which the next run
    replaces. So dashboards draw what reviews find, such as the users of a day.
  - Is no change of the system, and no reason for a run to fail. What is in the way is said in RV(reason).
extends_documentation_fragment:
  - runbook.ops.attributes
attributes:
  check_mode:
    support: full
    details: [Nothing is written.]
  diff_mode:
    support: none
  idempotent:
    support: N/A
options:
  directory:
    description: Directory from which node_exporter reads.
    type: path
    required: true
  system:
    description: Name of the system.
    type: str
    required: true
  playbook:
    description: Name of the playbook.
    type: str
    required: true
  checks:
    description: What was observed.
    type: list
    elements: dict
    required: true
seealso:
  - module: runbook.ops.run_record
  - module: runbook.ops.monitor
"""

EXAMPLES = r"""
- name: Tell what this run found
  runbook.ops.run_metrics:
    directory: /var/lib/prometheus/node-exporter
    system: shop
    playbook: user_metrics
    checks: "{{ __record_summary['checks'] }}"
"""

RETURN = r"""
path:
  description: The file that was written; null where none was.
  returned: success
  type: str
reason:
  description: Why none was written; null where one was.
  returned: success
  type: str
"""

import os
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._run_metrics import file_of, is_number, run_metrics
from ansible_collections.runbook.ops.plugins.module_utils._small_file import replace_file

ARGUMENTS: dict[str, Any] = {
    "directory": {"type": "path", "required": True},
    "system": {"type": "str", "required": True},
    "playbook": {"type": "str", "required": True},
    "checks": {"type": "list", "elements": "dict", "required": True},
}


def run(
    directory: str, system: str, playbook: str, checks: list[dict[str, Any]], *, check_mode: bool
) -> dict[str, Any]:
    path = Path(directory) / file_of(system, playbook)
    told: dict[str, Any] = {"changed": False, "path": None}
    if check_mode:
        return {**told, "reason": "check mode"}
    try:
        # What an earlier run has told must not stay as if this one had found it.
        if not any(is_number(check.get("value")) for check in checks) and not path.exists():
            return {**told, "reason": "no check has a number"}
        text = run_metrics(checks, system=system, playbook=playbook, at=time.time())
        aside = f".{path.name}.{os.getpid()}.partial"  # two runs at once write one each
        replace_file(path, text.encode(errors="replace"), mode=0o644, aside=aside)
    except OSError as exc:
        return {**told, "reason": f"{exc.filename or path}: {exc.strerror or exc}"}
    return {**told, "path": str(path), "reason": None}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    module.exit_json(**run(**module.params, check_mode=module.check_mode))


if __name__ == "__main__":
    main()
