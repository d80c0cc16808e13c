#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: let a machine run the calendar of a system by itself."""

from __future__ import annotations

DOCUMENTATION = r"""
module: schedule
short_description: Let a machine run the calendar of a system by itself
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Installs a systemd timer, or one line of cron, for the playbooks of a calendar, on the machine that runs them. What an entry is due
    for by cron or by systemd's own expressions is written for systemd in the time zone of the system.
  - A run that the machine slept through is made up for once at boot. One that still runs is not started a second time. An hour that does
    not exist because the clocks are put forward is made up for, one that comes twice counts once.
  - What became of each run is kept; the probe C(schedule) of M(runbook.ops.health) is critical where a job failed, or did not run.
  - An entry whose job runs at this moment is not taken away, nor renamed, nor moved to cron, for that would kill the job.
  - An entry that gets another time counts from then on. It is not started for a new time that has passed already.
  - A change that fails is taken back. What a killed run left is finished by the next, which asks systemd what it has read.
extends_documentation_fragment:
  - runbook.ops.attributes.full
options:
  state:
    description:
      - V(present) means that the machine has the entries that are described here and no others of this system.
      - V(absent) means that nothing of it is left. So does V(present) without O(entries).
    type: str
    choices: [present, absent]
    default: present
  system:
    description: Name of the system. Calendars of others on the same machine stay as they are.
    type: str
    required: true
  entries:
    description: What is done when.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name for people.
        type: str
        required: true
      playbook:
        description: Playbook of this collection, full name of another one, or path of a file that ends in C(.yml).
        type: str
        required: true
      cron:
        description: Time as a cron expression of five fields.
        type: str
      calendar:
        description: Time as a systemd calendar expression.
        type: str
      done_by:
        description: Unit on this machine that does it already. It is watched, not scheduled again.
        type: str
      timeout:
        description: Duration after which a run is ended, such as V(3h). O(timeout_seconds) without it.
        type: str
  lacking:
    description: Names of entries that cannot be installed because there is no such playbook. Each is reported.
    type: list
    elements: str
    default: []
  time_zone:
    description: Time zone of times that name none.
    type: str
    default: UTC
  schedule_with:
    description: What starts the runs. With V(cron), one line asks each minute what is due, so that time zones and catching up are the same.
    type: str
    choices: [systemd, cron]
    default: systemd
  directory:
    description: Directory of the project, with C(ansible.cfg), inventories and what they name. Runs start in it.
    type: path
  command:
    description: What runs a playbook, to which its name and options are added.
    type: list
    elements: str
    default: [ansible-playbook]
  inventory:
    description: Inventories, as C(-i) takes them.
    type: list
    elements: str
    default: []
  vault_password_file:
    description: File with the password of the vault. The password itself is written nowhere.
    type: path
  user:
    description: Account that runs the playbooks. The one that runs this module without it.
    type: str
  environment:
    description: Environment of the runs, such as C(ANSIBLE_COLLECTIONS_PATH). Everybody on the machine can read it, so no secret belongs here.
    type: dict
    default: {}
  wait_seconds:
    description: How long a run waits for another that changes the same host.
    type: int
    default: 3600
  delay_seconds:
    description: A timer elapses up to so many seconds later, by as many each time. Not with cron.
    type: int
    default: 0
  timeout_seconds:
    description: Seconds after which a run is ended.
    type: int
    default: 14400
  grace_seconds:
    description: Seconds after which a run that has not begun counts as missed.
    type: int
    default: 900
seealso:
  - module: runbook.ops.cron_lines
  - module: runbook.ops.backup_schedule
"""

EXAMPLES = r"""
- name: Let this machine run the calendar
  runbook.ops.schedule:
    system: owlivion
    time_zone: Europe/Berlin
    directory: /srv/operations
    inventory: [inventories/owlivion]
    vault_password_file: /root/.vault-password
    entries:
      - {name: morning checklist, playbook: health_check, cron: '0 9 * * *'}
      - {name: monthly tasks, playbook: monthly_maintenance, calendar: 'Mon *-*-01..07 05:00:00'}

- name: Remove it
  runbook.ops.schedule:
    system: owlivion
    state: absent
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be, in order.
  returned: success
  type: list
  elements: str
  sample: [write /etc/runbook-ops/schedule-owlivion.json, enable runbook-ops-schedule-owlivion@morning-checklist.timer]
schedule:
  description: What is there now, or in check mode would be.
  returned: success
  type: dict
  contains:
    engine:
      description: Name of the engine's file, null without one.
      type: str
      sample: schedule-owlivion-5f2b8c9d0e1a4b7c.pyz
    timers:
      description: Timers that are enabled and run.
      type: list
      elements: str
      sample: [runbook-ops-schedule-owlivion@morning-checklist.timer]
    command:
      description: What says by hand what runs when, and what became of it.
      type: list
      elements: str
      sample: [/usr/bin/python3, -I, /usr/local/lib/runbook-ops/schedule-owlivion.pyz, list, /etc/runbook-ops/schedule-owlivion.json]
entries:
  description: Each entry, when it is due in words, and the next three times.
  returned: success
  type: list
  elements: dict
  sample: [{name: morning checklist, playbook: health_check, due: every day at 09:00 Europe/Berlin, next: ['2026-11-23T08:00:00Z']}]
checks:
  description: A warning for each of O(lacking).
  returned: success
  type: list
  elements: dict
changes:
  description: What changed, or in check mode would.
  returned: success
  type: list
  elements: dict
"""

import time
from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._calendar import upcoming
from ansible_collections.runbook.ops.plugins.module_utils._calendar_words import explain
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._command import Command, CommandError
from ansible_collections.runbook.ops.plugins.module_utils._engine_apply import EngineError, apply
from ansible_collections.runbook.ops.plugins.module_utils._engine_plan import Cron, changes, diff, plan, predict, told
from ansible_collections.runbook.ops.plugins.module_utils._schedule import ScheduleError, config_of, mark_of, slug_of
from ansible_collections.runbook.ops.plugins.module_utils._schedule_host import Host
from ansible_collections.runbook.ops.plugins.module_utils._schedule_state import SECTION, written_at

PATIENCE_SECONDS = 5  # for the end of a job that is about to go
ENTRY: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "playbook": {"type": "str", "required": True},
    "cron": {"type": "str"},
    "calendar": {"type": "str"},
    "done_by": {"type": "str"},
    "timeout": {"type": "str"},
}
ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "system": {"type": "str", "required": True},
    "entries": {"type": "list", "elements": "dict", "default": [], "options": ENTRY},
    "lacking": {"type": "list", "elements": "str", "default": []},
    "time_zone": {"type": "str", "default": "UTC"},
    "schedule_with": {"type": "str", "choices": ["systemd", "cron"], "default": "systemd"},
    "directory": {"type": "path"},
    "command": {"type": "list", "elements": "str", "default": ["ansible-playbook"]},
    "inventory": {"type": "list", "elements": "str", "default": []},
    "vault_password_file": {"type": "path", "no_log": False},
    "user": {"type": "str"},
    "environment": {"type": "dict", "default": {}},
    "wait_seconds": {"type": "int", "default": 3600},
    "delay_seconds": {"type": "int", "default": 0},
    "timeout_seconds": {"type": "int", "default": 14400},
    "grace_seconds": {"type": "int", "default": 900},
}


def run(options: dict[str, Any], host: Host, *, now: datetime, check_mode: bool) -> dict[str, Any]:
    before, wanted = host.observe(), host.wanted(options)
    steps = plan(before, wanted, Cron(mark_of(options["system"]), (), False))
    after = predict(before, steps)
    refuse_cutting([step.path for step in steps if step.verb == "disable"], host)
    if any(step.verb == "write" for step in steps):
        host.try_out(options, wanted)

    if steps and not check_mode:
        apply(host, before, steps)
        after = host.observe()

    figures = {"before": len(before.timers), "after": len(after.timers), "unit": "timers"}
    about = {"thing": f"calendar of {options['system']}", "section": SECTION, **figures}
    return {
        "changed": bool(steps),
        "actions": told(steps),
        "schedule": {
            "engine": after.current,
            "timers": list(after.timers),
            "command": [*host.command(), "list", f"/{config_of(options['system'])}"],
        },
        "entries": [describe(entry, options["time_zone"], now) for entry in options["entries"]],
        "checks": [lack(name, options["system"]) for name in options["lacking"] if options["state"] == "present"],
        "changes": changes(about, before, after, steps, mark=mark_of(options["system"])),
        "diff": diff(before, after, mark=mark_of(options["system"])),
    }


def refuse_cutting(timers: list[str], host: Host) -> None:
    """See that no job runs whose timer is to go: it would be killed in the middle of a deploy or a maintenance.

    :raises ScheduleError: one runs, and has not ended within seconds.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while running := host.running(timers):
        if time.monotonic() > deadline:
            raise ScheduleError(
                f"{', '.join(running)} runs, and would be killed: wait for its end, or systemctl stop it; nothing was changed"
            )
        time.sleep(0.2)


def describe(entry: dict[str, Any], zone: str, now: datetime) -> dict[str, Any]:
    """Return when an entry is due, for people."""
    return {
        "name": entry["name"],
        "playbook": entry["playbook"],
        "due": explain(entry, zone),
        "next": [written_at(at) for at in upcoming(entry, zone, now, 3)],
    }


def lack(name: str, system: str) -> dict[str, Any]:
    """Return the check of an entry that cannot be installed."""
    return make_check(
        f"schedule:{system}:{slug_of(name)}",
        name=name,
        section=SECTION,
        status="warning",
        detail="not installed: there is no such playbook",
        remedy="correct its playbook in ops_schedule, or update the collection",
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        required_if=[("state", "present", ("directory",))],
        supports_check_mode=True,
    )
    try:
        host = Host(lambda name: Command(module, name), module.params["system"])
        result = run(module.params, host, now=datetime.now(timezone.utc), check_mode=module.check_mode)
    except (CommandError, EngineError, ScheduleError) as exc:
        module.fail_json(msg=str(exc))
    except OSError as exc:
        module.fail_json(
            msg=f"{exc.filename or 'the calendar'}: {exc.strerror or exc}: run again, it goes on from here"
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
