#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: let a host look at itself every few minutes."""

from __future__ import annotations

DOCUMENTATION = r"""
module: monitor
short_description: Let a host look at itself every few minutes
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Installs the health engine of M(runbook.ops.health) on the host, with a systemd timer that runs it. It tells by mail and
    webhook when something is wrong, reminds while it lasts, and tells when it is over.
  - The engine is one file that needs Python 3.9 and nothing else. It reads the configuration before either comes into use;
    what it refuses is not installed. After a change it runs once, and what fails there is put back.
  - Takes no package, no account and no port. What it knows stands in C(/var/lib/runbook-ops/monitor).
extends_documentation_fragment:
  - runbook.ops.attributes
  - runbook.ops.receivers
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: [Secrets are left out.]
  idempotent:
    support: full
options:
  state:
    description:
      - V(present) means installed as described here, with its timer enabled and running.
      - V(absent) means that nothing of it is left, its memory and messages not yet sent included. Lines of cron that
        O(replace_cron) commented out are put back.
    type: str
    choices: [present, absent]
    default: present
  system:
    description: Name of the system, for the messages.
    type: str
    required: true
  host:
    description: Name of the host, for the messages.
    type: str
    required: true
  probes:
    description: What to look at, as for M(runbook.ops.health).
    type: list
    elements: dict
    default: []
  secrets:
    description: Secrets by name that probes need, as for M(runbook.ops.health).
    type: dict
    default: {}
  timeout_seconds:
    description: Seconds for all probes together.
    type: float
    default: 30
  interval_seconds:
    description: Seconds between two looks. By the clock where that divides a minute, an hour or a day.
    type: int
    default: 300
  after:
    description: Bad looks in a row until an alert.
    type: int
    default: 2
  clear:
    description: Good looks in a row until the all-clear.
    type: int
    default: 3
  remind_seconds:
    description: Seconds between reminders while it lasts. V(0) means none.
    type: int
    default: 14400
  alive_url:
    description: URL that is asked after each whole look. What waits for it alerts when the host is dead.
    type: str
  textfile_directory:
    description: Directory from which node_exporter reads. No metrics are written without it. It has to exist.
    type: path
  replaces:
    description: Programs that did the same by cron, as they stand in a crontab. A line that runs one is reported.
    type: list
    elements: str
    default: []
  replace_cron:
    description: Comment those lines out.
    type: bool
    default: false
seealso:
  - module: runbook.ops.health
"""

EXAMPLES = r"""
- name: Let the host look at its disks and its web server, and write a mail
  runbook.ops.monitor:
    system: shop
    host: "{{ inventory_hostname }}"
    probes:
      - {probe: disk}
      - {probe: systemd_unit, units: [nginx]}
    email: ops@example.com

- name: Remove it
  runbook.ops.monitor:
    state: absent
    system: shop
    host: "{{ inventory_hostname }}"
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be, in order.
  returned: success
  type: list
  elements: str
  sample: [write /etc/runbook-ops/monitor.json, run]
monitor:
  description: What is there now, or in check mode would be.
  returned: success
  type: dict
  contains:
    engine:
      description: Name of the engine's file, null without one.
      type: str
      sample: monitor-5f2b8c9d0e1a4b7c.pyz
    timer:
      description: Whether the timer is enabled and runs.
      type: bool
    command:
      description: What runs the engine by hand, followed by C(look), C(run) or C(test).
      type: list
      elements: str
      sample: [/usr/bin/python3, -I, /usr/local/lib/runbook-ops/monitor.pyz]
checks:
  description: What is wrong with it, such as a line of cron that does the same, or that nobody is told.
  returned: success
  type: list
  elements: dict
changes:
  description: What changed, or in check mode would.
  returned: success
  type: list
  elements: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._command import Command, CommandError
from ansible_collections.runbook.ops.plugins.module_utils._engine_apply import EngineError
from ansible_collections.runbook.ops.plugins.module_utils._engine_plan import Cron, changes, diff, predict, told
from ansible_collections.runbook.ops.plugins.module_utils._monitor_apply import apply, judge
from ansible_collections.runbook.ops.plugins.module_utils._monitor_host import Host
from ansible_collections.runbook.ops.plugins.module_utils._monitor_install import MARK
from ansible_collections.runbook.ops.plugins.module_utils._monitor_plan import SECTION, plan
from ansible_collections.runbook.ops.plugins.module_utils._receivers import ARGUMENTS as RECEIVERS

ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "system": {"type": "str", "required": True},
    "host": {"type": "str", "required": True},
    "probes": {"type": "list", "elements": "dict", "default": []},
    "secrets": {"type": "dict", "default": {}, "no_log": True},
    "timeout_seconds": {"type": "float", "default": 30},
    "interval_seconds": {"type": "int", "default": 300},
    "after": {"type": "int", "default": 2},
    "clear": {"type": "int", "default": 3},
    "remind_seconds": {"type": "int", "default": 14400},
    **RECEIVERS,
    "alive_url": {"type": "str", "no_log": True},
    "textfile_directory": {"type": "path"},
    "replaces": {"type": "list", "elements": "str", "default": []},
    "replace_cron": {"type": "bool", "default": False},
}


def run(options: dict[str, Any], host: Host, *, check_mode: bool) -> dict[str, Any]:
    before, wanted = host.observe(), host.wanted(options)
    steps = plan(before, wanted, Cron(MARK, options["replaces"], options["replace_cron"]))
    after = predict(before, steps)
    if any(step.verb == "write" for step in steps):
        host.try_out(wanted)

    if steps and not check_mode:
        apply(host, before, steps)
        after = host.observe()

    about = {"thing": "monitor", "section": SECTION, "before": before.current, "after": after.current}
    return {
        "changed": bool(steps),
        "actions": told(steps),
        "monitor": {"engine": after.current, "timer": bool(after.timers), "command": host.command()},
        "checks": judge(options, after),
        "changes": changes(about, before, after, steps, mark=MARK),
        "diff": diff(before, after, mark=MARK),
    }


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        result = run(module.params, Host(lambda name: Command(module, name)), check_mode=module.check_mode)
    except (CommandError, EngineError) as exc:
        module.fail_json(msg=str(exc))
    except OSError as exc:
        module.fail_json(
            msg=f"{exc.filename or 'the monitor'}: {exc.strerror or exc}: the old one is in place; run again"
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
