#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open a maintenance window, bring the work to rest, and undo all of it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: maintenance_window
short_description: Open a maintenance window, bring the work to rest, and undo all of it
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Writes each step down on the host before it is done, and undoes them from the last to the first. What was so before, such as a queue
    that somebody had paused, is left so.
  - A timer on the host closes a window that lasts longer than O(seconds), such as one whose run was killed, also after a reboot.
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
extends_documentation_fragment:
  - runbook.ops.attributes
options:
  state:
    description:
      - V(opened) silences alerts and watches over O(flag). A window that a killed run left open is closed before.
      - V(still) pauses O(queues), waits until nothing is worked on in them, and stops O(services).
      - V(closed) undoes all of it. Nothing is done where no window is open. That of another run is closed only with the lock that O(fence)
        proves; without it a warning says that it is left open.
    type: str
    choices: [opened, still, closed]
    required: true
  name:
    description: Name of the system.
    type: str
    required: true
  run:
    description: The run's name, as M(runbook.ops.system_description) returns it in C(run.id).
    type: str
    required: true
  fence:
    description: What M(runbook.ops.change_lock) returned. No lock is demanded without it.
    type: dict
    default: {}
  seconds:
    description: How long the window may last from now on. After that the host closes it.
    type: int
    default: 3600
  flag:
    description: The file that shows the maintenance page. It is removed when the window is closed, unless it was there before.
    type: path
  alertmanager:
    description: URL of the Alertmanager that is silenced. The monitor on the host is silenced in any case.
    type: str
  reason:
    description: Why, for those who see the silence.
    type: str
    default: maintenance
  by:
    description: Who answers for it.
    type: str
    default: runbook.ops
  queues:
    description: The queues to pause, each with the options of the probe C(queue). Those of Bull and BullMQ are known.
    type: list
    elements: dict
    default: []
  drain_seconds:
    description: How long the jobs that are worked on may take to end.
    type: int
    default: 300
  drain_required:
    description: Whether jobs that are still worked on then are a failure. Without it their workers are stopped, and they run again later.
    type: bool
    default: true
  services:
    description: The services to stop, as the system's description has them. Only those that run are started again.
    type: list
    elements: dict
    default: []
  secrets:
    description: The passwords that O(queues) name. They stand in the journal, for root alone, while the window is open.
    type: dict
    default: {}
  directory:
    description: Directory of the journal.
    type: path
    default: /var/lib/runbook-ops/maintenance_window
  guard_seconds:
    description: How often the host looks whether the window has lasted too long; 0 for never.
    type: int
    default: 30
seealso:
  - module: runbook.ops.change_lock
  - module: runbook.ops.nginx_maintenance
"""

EXAMPLES = r"""
- name: Open the window
  runbook.ops.maintenance_window:
    state: opened
    name: shop
    run: "{{ system_description['run']['id'] }}"
    flag: /var/www/maintenance.flag
    seconds: 1800

- name: Close it
  runbook.ops.maintenance_window:
    state: closed
    name: shop
    run: "{{ system_description['run']['id'] }}"
"""

RETURN = r"""
window:
  description: The window that is open now; C(null) where none is.
  returned: always
  type: dict
  sample: {name: shop, run: 5f2b8c9d0e1a, seconds: 1800, steps: [{kind: queue, name: queue emails, phase: done}]}
changes:
  description: What was done or undone, or in check mode would be.
  returned: always
  type: list
  elements: dict
"""

from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import DIRECTORY as LOCK
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import Fence, LockError
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change
from ansible_collections.runbook.ops.plugins.module_utils._command import Command, CommandError
from ansible_collections.runbook.ops.plugins.module_utils._queue_pause import label
from ansible_collections.runbook.ops.plugins.module_utils._window import DONE, SECTION, Keeper
from ansible_collections.runbook.ops.plugins.module_utils._window_guard import dismiss, install
from ansible_collections.runbook.ops.plugins.module_utils._window_journal import DIRECTORY, Window, WindowError
from ansible_collections.runbook.ops.plugins.module_utils._window_steps import Hands

ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "choices": ["opened", "still", "closed"], "required": True},
    "name": {"type": "str", "required": True},
    "run": {"type": "str", "required": True},
    "fence": {"type": "dict", "default": {}},
    "seconds": {"type": "int", "default": 3600},
    "flag": {"type": "path"},
    "alertmanager": {"type": "str"},
    "reason": {"type": "str", "default": "maintenance"},
    "by": {"type": "str", "default": "runbook.ops"},
    "queues": {"type": "list", "elements": "dict", "default": []},
    "drain_seconds": {"type": "int", "default": 300},
    "drain_required": {"type": "bool", "default": True},
    "services": {"type": "list", "elements": "dict", "default": []},
    "secrets": {"type": "dict", "default": {}, "no_log": True},
    "directory": {"type": "path", "default": DIRECTORY},
    "guard_seconds": {"type": "int", "default": 30},
}


def steps_of(options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what is to be done in this state, in order."""
    steps: list[dict[str, Any]] = []
    if options["state"] == "opened":
        words = {key: options[key] for key in ("run", "reason", "by", "seconds")}
        steps.append({"kind": "silence", "name": "all alerts", "url": options["alertmanager"], **words})
        if options["flag"]:
            steps.append({"kind": "page", "name": "maintenance page", "flag": options["flag"]})
    if options["state"] == "still":
        steps += [{"kind": "queue", "name": f"queue {label(one)}", "queue": one} for one in options["queues"]]
        names = ", ".join(one["name"] for one in options["services"])
        steps += [{"kind": "services", "name": names, "services": options["services"]}] if names else []
    return steps


def run(keeper: Keeper, options: dict[str, Any], guard: Callable[[], None], warn: Callable[[str], None]) -> None:
    """Open the window, bring the work to rest, or undo all of it."""
    steps, seconds = steps_of(options), options["seconds"]
    if options["state"] == "opened":
        keeper.open(options["name"], options["run"], seconds=seconds, secrets=options["secrets"])
        guard()
        keeper.do(steps)
    elif options["state"] == "still":
        keeper.prolong(seconds)
        guard()
        keeper.do([step for step in steps if step["kind"] == "queue"])
        left = keeper.drain(options["queues"], options["secrets"], seconds=options["drain_seconds"])
        if left and options["drain_required"]:
            raise WindowError(
                f"jobs are still worked on after {options['drain_seconds']} s: {left}. Give them longer, "
                f"-e maintenance_window_drain_seconds=…, or have them run again later: -e maintenance_window_drain_required=false"
            )
        if left:
            warn(f"their workers are stopped, and they run again later: {left}")
        keeper.do([step for step in steps if step["kind"] == "services"])
    else:
        last = keeper.journal.ended(options["run"])
        # What this run began to undo, and could not, the host may have ended since.
        if last and last["closed_by"] != options["run"] and last.get("phase") != "closing":
            raise WindowError(
                f"the window was closed by {last['closed_by']}: it had lasted longer than {last['seconds']:g} s. "
                f"Look whether the work has ended; next time give it longer: -e maintenance_window_seconds=…"
            )
        left = keeper.close(by=options["run"])
        if left:
            warn(left)


def predict(keeper: Keeper, options: dict[str, Any]) -> None:
    """Say what would be done."""
    for step in steps_of(options):
        if keeper.hands.look(step, options["secrets"])["ours"]:
            change = make_change(
                step["name"], action=DONE[step["kind"]], section=SECTION, reason="a maintenance window begins"
            )
            keeper.changes.append(change)


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    options = module.params
    fence = Fence(**{"directory": LOCK, "number": 0, "owner": "", **options["fence"]})
    journal = Window(options["directory"])
    keeper = Keeper(journal, Hands(module), fence)

    def guard() -> None:
        if options["guard_seconds"]:
            paths = {"directory": options["directory"], "lock": fence.directory}
            install(Command(module, "systemctl"), seconds=options["guard_seconds"], **paths)

    try:
        if module.check_mode:
            predict(keeper, options)
        else:
            run(keeper, options, guard, module.warn)
            if journal.read() is None and options["guard_seconds"]:
                dismiss(Command(module, "systemctl"), journal, fence.directory)
        window = journal.read()
    except OSError as exc:
        module.fail_json(msg=f"cannot write {exc.filename}: {exc.strerror}", changes=keeper.changes)
    except (WindowError, LockError, CommandError) as exc:
        module.fail_json(msg=str(exc), changes=keeper.changes)
    shown = {key: window[key] for key in ("name", "run", "seconds")} if window else None
    steps = [{key: step[key] for key in ("kind", "name", "phase")} for step in window["steps"]] if window else []
    module.exit_json(
        changed=bool(keeper.changes),
        changes=keeper.changes,
        window={**shown, "steps": steps} if shown else None,
    )


if __name__ == "__main__":
    main()
