#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: let a host back itself up."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_schedule
short_description: Let a host back itself up
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Installs a systemd timer for each job, and one file that does with the code of the modules what the playbook C(backup) does, without
    a controller. It needs Python 3.9 and the clients of what it saves, and nothing else.
  - The engine reads the configuration, and systemd the calendars, before any of it comes into use; what they refuse is not installed.
  - A run that the host slept through is made up for at boot. A task that fails is tried again; what is bad in the end makes the unit
    fail, which the probe C(systemd_failed) of M(runbook.ops.health) sees, and no line in the log says that it succeeded.
  - A change that fails is taken back. What a killed run left is finished by the next, which asks systemd what it has read.
  - A line of cron is commented out after the timer that takes its place runs, and put back before that goes.
extends_documentation_fragment:
  - runbook.ops.attributes
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
      - V(present) means that the host has the jobs that are described here and no others, each with its timer enabled and running.
      - V(absent) means that nothing of it is left but the logs. Lines of cron that O(replace_cron) commented out are put back. So does
        V(present) without O(jobs).
    type: str
    choices: [present, absent]
    default: present
  jobs:
    description: What runs when.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the job, of letters, digits, C(.) and C(-). The unit is C(runbook-ops-backup@NAME.service).
        type: str
        required: true
      calendar:
        description: When it runs, as a systemd calendar expression such as V(*-*-* 02:00:00).
        type: str
        required: true
      log:
        description: Log with a line for each run. V(/var/log/runbook-ops/backup.log) without it.
        type: dict
        suboptions:
          path:
            description: Absolute path of the log.
            type: path
          success:
            description: What a line says when the job succeeded. The name of the job and C(backup completed) without it.
            type: str
  tasks:
    description: What the jobs do, as P(runbook.ops.backup_tasks#filter) returns it. Those of other jobs are left out.
    type: list
    elements: dict
    default: []
  secrets:
    description: Secrets by name that tasks need, as P(runbook.ops.health_secrets#filter) returns them. Only those are taken.
    type: dict
    default: {}
  time_zone:
    description: Time zone of calendars that name none. That of the host without it.
    type: str
  delay_seconds:
    description: A host starts up to so many seconds later, by as many each time, so that not all hosts start at once.
    type: int
    default: 300
  timeout_seconds:
    description: Seconds after which a run is ended.
    type: int
    default: 21600
  attempts:
    description: How often a task is tried.
    type: int
    default: 3
  retry_seconds:
    description: Seconds between two attempts.
    type: int
    default: 120
  replaces:
    description: Programs that did the same by cron, as they stand in a crontab. A line that runs one is reported.
    type: list
    elements: str
    default: []
  replace_cron:
    description: Comment those lines out. One that was commented out for a program that is no longer in O(replaces) is put back.
    type: bool
    default: false
seealso:
  - module: runbook.ops.pg_backup
  - module: runbook.ops.backup_rotate
"""

EXAMPLES = r"""
- name: Let the host back itself up every night
  runbook.ops.backup_schedule:
    jobs:
      - name: daily
        calendar: '*-*-* 02:00:00'
    tasks: "{{ system_description | runbook.ops.backup_tasks }}"
    secrets: "{{ system_description | runbook.ops.health_secrets }}"

- name: Remove it
  runbook.ops.backup_schedule:
    state: absent
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be, in order.
  returned: success
  type: list
  elements: str
  sample: [write /etc/runbook-ops/backup.json, enable runbook-ops-backup@daily.timer]
schedule:
  description: What is there now, or in check mode would be.
  returned: success
  type: dict
  contains:
    engine:
      description: Name of the engine's file, null without one.
      type: str
      sample: backup-5f2b8c9d0e1a4b7c.pyz
    timers:
      description: Timers that are enabled and run.
      type: list
      elements: str
      sample: [runbook-ops-backup@daily.timer]
    command:
      description: What runs the engine by hand, followed by C(list) or C(run) and the name of a job.
      type: list
      elements: str
      sample: [/usr/bin/python3, -I, /usr/local/lib/runbook-ops/backup.pyz]
checks:
  description: What does the same beside it, such as a line of cron, and a night that a calendar leaves out because the clocks change.
  returned: success
  type: list
  elements: dict
changes:
  description: What changed, or in check mode would.
  returned: success
  type: list
  elements: dict
"""

from datetime import date
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._backup_schedule import MARK, ScheduleError
from ansible_collections.runbook.ops.plugins.module_utils._backup_schedule_host import Host
from ansible_collections.runbook.ops.plugins.module_utils._backup_schedule_plan import SECTION, judge
from ansible_collections.runbook.ops.plugins.module_utils._command import Command, CommandError
from ansible_collections.runbook.ops.plugins.module_utils._engine_apply import EngineError, apply
from ansible_collections.runbook.ops.plugins.module_utils._engine_plan import Cron, changes, diff, plan, predict, told

LOG: dict[str, Any] = {"path": {"type": "path"}, "success": {"type": "str"}}
JOB: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "calendar": {"type": "str", "required": True},
    "log": {"type": "dict", "options": LOG},
}
ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "jobs": {"type": "list", "elements": "dict", "default": [], "options": JOB},
    "tasks": {"type": "list", "elements": "dict", "default": []},
    "secrets": {"type": "dict", "default": {}, "no_log": True},
    "time_zone": {"type": "str"},
    "delay_seconds": {"type": "int", "default": 300},
    "timeout_seconds": {"type": "int", "default": 21600},
    "attempts": {"type": "int", "default": 3},
    "retry_seconds": {"type": "int", "default": 120},
    "replaces": {"type": "list", "elements": "str", "default": []},
    "replace_cron": {"type": "bool", "default": False},
}


def run(options: dict[str, Any], host: Host, *, check_mode: bool) -> dict[str, Any]:
    before, wanted = host.observe(), host.wanted(options)
    steps = plan(before, wanted, Cron(MARK, options["replaces"], options["replace_cron"]))
    after = predict(before, steps)
    if any(step.verb == "write" for step in steps):
        host.try_out(options, wanted)

    if steps and not check_mode:
        apply(host, before, steps)
        after = host.observe()

    figures = {"before": len(before.timers), "after": len(after.timers), "unit": "timers"}
    about = {"thing": "backup jobs", "section": SECTION, **figures}
    return {
        "changed": bool(steps),
        "actions": told(steps),
        "schedule": {"engine": after.current, "timers": list(after.timers), "command": host.command()},
        "checks": judge(options, after, today=date.today()),
        "changes": changes(about, before, after, steps, mark=MARK),
        "diff": diff(before, after, mark=MARK),
    }


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        result = run(module.params, Host(lambda name: Command(module, name)), check_mode=module.check_mode)
    except (CommandError, EngineError, ScheduleError) as exc:
        module.fail_json(msg=str(exc))
    except OSError as exc:
        module.fail_json(msg=f"{exc.filename or 'the jobs'}: {exc.strerror or exc}: run again, it goes on from here")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
