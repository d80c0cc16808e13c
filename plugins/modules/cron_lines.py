#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: comment out the lines of cron that something else takes the place of."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cron_lines
short_description: Comment out lines of cron that something else takes the place of
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Looks through C(/etc/crontab), C(/etc/cron.d) and the crontabs of all users for lines that run one of O(programs). Each is commented
    out, so that the line itself stays as its own copy. Every other byte, and owner and mode of the file, stay.
  - Scripts in C(/etc/cron.hourly), C(/etc/cron.daily), C(/etc/cron.weekly) and C(/etc/cron.monthly) are reported, not touched.
extends_documentation_fragment:
  - runbook.ops.attributes.full
options:
  state:
    description:
      - V(absent) means that no line runs one of O(programs). A line that this module commented out for one that is no longer among them
        is put back.
      - V(present) means that every line that this module commented out is as it was.
    type: str
    choices: [absent, present]
    required: true
  system:
    description: Name of the system whose calendar does it instead. What another one commented out stays so.
    type: str
    required: true
  programs:
    description: Programs or whole commands, as they stand in a crontab. A line that runs something else as well is only reported.
    type: list
    elements: str
    default: []
  replace:
    description: With V(false), O(state=absent) only puts back what was commented out for a program that is no longer among O(programs).
    type: bool
    default: true
seealso:
  - module: runbook.ops.schedule
"""

EXAMPLES = r"""
- name: See which lines would go
  runbook.ops.cron_lines:
    system: owlivion
    state: absent
    programs: [/scripts/rotate-logs.sh]
  check_mode: true
  diff: true

- name: Put them back
  runbook.ops.cron_lines:
    system: owlivion
    state: present
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be, in order.
  returned: success
  type: list
  elements: str
  sample: [write /var/spool/cron/crontabs/root]
lines:
  description: Lines that are commented out now, or in check mode would be, by the path of the crontab, without the secrets in them.
  returned: success
  type: dict
  sample: {/var/spool/cron/crontabs/root: [0 2 * * * /scripts/rotate-logs.sh]}
checks:
  description: Lines and scripts that run one of O(programs) before anything is changed.
  returned: success
  type: list
  elements: dict
changes:
  description: What changed, or in check mode would.
  returned: success
  type: list
  elements: dict
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils import _cron_lines as cron
from ansible_collections.runbook.ops.plugins.module_utils._engine_file import retired, runs_one
from ansible_collections.runbook.ops.plugins.module_utils._engine_host import EngineHost
from ansible_collections.runbook.ops.plugins.module_utils._redact import Redactor
from ansible_collections.runbook.ops.plugins.module_utils._schedule import mark_of

ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "choices": ["absent", "present"], "required": True},
    "system": {"type": "str", "required": True},
    "programs": {"type": "list", "elements": "str", "default": []},
    "replace": {"type": "bool", "default": True},
}
PARTS = ("etc/cron.hourly/*", "etc/cron.daily/*", "etc/cron.weekly/*", "etc/cron.monthly/*")


def scripts_of(root: Path, programs: list[str]) -> list[str]:
    """Return the scripts that run one of ``programs``, or are one."""
    found = []
    for path in sorted(path for pattern in PARTS for path in root.glob(pattern) if path.is_file()):
        text = path.read_bytes().decode("utf-8", "surrogateescape")
        name = str(path.relative_to(root))
        if f"/{name}" in programs or any(runs_one(line, programs) for line in text.splitlines()):
            found.append(name)
    return found


def run(
    state: str, system: str, programs: list[str], replace: bool, *, host: EngineHost, check_mode: bool
) -> dict[str, Any]:
    before, mark, tell = host.crontabs(), mark_of(system), Redactor()
    edits = cron.plan(before, state, programs, mark, replace=replace)
    after = cron.predict(before, edits)

    if edits and not check_mode:
        for edit in edits:
            host.write_crontab(edit.path, edit.text)
        after = host.crontabs()

    return {
        "changed": bool(edits),
        "actions": [f"write /{edit.path}" for edit in edits],
        "lines": {f"/{path}": [*map(tell, lines)] for path, text in after.items() if (lines := retired(text, mark))},
        "checks": cron.judge(before, scripts_of(host.root, programs), programs) if state == "absent" else [],
        "changes": cron.changes(before, edits, mark),
        "diff": cron.diff(before, after, edits),
    }


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        host = EngineHost(lambda _name: lambda *_arguments: "")  # crontabs need no program
        result = run(**module.params, host=host, check_mode=module.check_mode)
    except OSError as exc:
        module.fail_json(msg=f"{exc.filename or 'a crontab'}: {exc.strerror or exc}: run again, it goes on from here")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
