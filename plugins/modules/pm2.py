#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring one application of PM2 to a state, and prove that it stays there."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pm2
short_description: Manage one application of PM2
version_added: 0.1.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Starts, stops, restarts, reloads, scales or removes one application, and waits until all of its instances are online
    and stay so. A crash loop is a failure that names the log to read.
  - A restart or reload keeps the environment that the application was started with. What is in the environment of
    whoever runs this module never gets into an application.
  - Where no daemon runs for the account and applications were saved, all of them are brought back first, as
    C(pm2 resurrect) does.
extends_documentation_fragment:
  - runbook.ops.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - O(state=restarted) and O(state=reloaded) are events, not states. They change something each time.
options:
  name:
    description: Name of the application in PM2. Neither V(all) nor a pattern.
    type: str
    required: true
  state:
    description:
      - V(started) means that all instances run; what runs already is left alone.
      - V(restarted) stops all instances and starts them again. Always changed.
      - V(reloaded) replaces one instance after the other, which serves without a gap in the mode V(cluster); in the
        mode V(fork) PM2 restarts. Always changed.
      - V(stopped) means that it is known but does not run, or is not known.
      - V(absent) means that PM2 does not know it.
    type: str
    choices: [started, stopped, restarted, reloaded, absent]
    default: started
  user:
    description:
      - Account that runs PM2. Another one than the module's own needs root.
      - Without it the account that the module runs as.
    type: str
  pm2_home:
    description: Absolute directory of PM2's own files. C(.pm2) in the account's home without it.
    type: path
  ecosystem:
    description:
      - Absolute path of the ecosystem file that declares the application, for when PM2 does not know it yet.
      - What runs is not compared with the file.
    type: path
  ecosystem_environment:
    description: Which C(env_<name>) of O(ecosystem) to use. Its C(env) without it.
    type: str
  script:
    description:
      - Program to start, absolute or relative to O(cwd), for when PM2 does not know the application yet.
      - If it runs with another O(script), O(cwd), O(args), O(interpreter), O(node_args), O(exec_mode), O(env),
        O(max_memory_restart) or O(wait_ready) than given, it is deleted and started anew.
    type: path
  cwd:
    description: Absolute working directory. The directory of O(script) without it.
    type: path
  args:
    description: Arguments of the program. Not compared without it.
    type: list
    elements: str
  interpreter:
    description: What runs O(script), V(none) for a binary. PM2 chooses by the file's name without it.
    type: str
  node_args:
    description: Arguments of Node itself. Not compared without it.
    type: list
    elements: str
  exec_mode:
    description: How instances are run. PM2's default V(fork) without it.
    type: str
    choices: [fork, cluster]
  env:
    description:
      - Variables of the application. They reach PM2 over stdin and are never shown or returned; of those that differ
        only the names are.
      - Other variables that it has are left alone.
    type: dict
  max_memory_restart:
    description:
      - Memory of an instance at which PM2 restarts it, as a size such as V(500MB).
      - No limit without it.
    type: str
  wait_ready:
    description: Whether PM2 waits until the application sends C(ready). Not compared without it.
    type: bool
  instances:
    description: Number of instances. Left as it is without it, one for a new application.
    type: int
  saved:
    description:
      - Whether to make sure that the list of processes is saved, so that C(pm2 resurrect) brings all of them back after
        a boot, and that only the account can read it, for it holds their environments.
      - Saves only where what is saved differs from what runs.
    type: bool
    default: false
  reason:
    description: Why this is done, for the record. The module says what it found without it.
    type: str
  wait_timeout_seconds:
    description: How many seconds it may take until all instances are stable.
    type: int
    default: 60
  stable_seconds:
    description: For how many seconds all instances must run without a restart.
    type: float
    default: 3
seealso:
  - module: runbook.ops.pm2_info
"""

EXAMPLES = r"""
- name: Have the application run
  runbook.ops.pm2:
    name: owlivion-sync-server
    user: owlivion
    ecosystem: /home/owlivion/owlivion-mail/owlivion-sync-server/ecosystem.config.js
    state: started
    saved: true

- name: Replace its instances one after the other
  runbook.ops.pm2:
    name: owlivion-sync-server
    user: owlivion
    state: reloaded
    stable_seconds: 5

- name: Have four workers, defined here
  runbook.ops.pm2:
    name: worker
    user: owlivion
    script: worker.js
    cwd: /home/owlivion/worker
    exec_mode: cluster
    instances: 4
    max_memory_restart: 500MB
    env:
      DATABASE_URL: "{{ vault_worker_database_url }}"
"""

RETURN = r"""
actions:
  description: What was run, or in check mode would be run, in order.
  returned: success
  type: list
  elements: str
  sample: [pm2 restart owlivion-sync-server]
app:
  description:
    - The application afterwards, in check mode as predicted.
    - The keys are those of RV(runbook.ops.pm2_info#module:apps).
  returned: success
  type: dict
changes:
  description: A record of each change, made or predicted.
  returned: success
  type: list
  elements: dict
"""

import time
from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change
from ansible_collections.runbook.ops.plugins.module_utils._command import CommandError
from ansible_collections.runbook.ops.plugins.module_utils._pm2 import SECTION, App, Pm2Error, as_result, group
from ansible_collections.runbook.ops.plugins.module_utils._pm2_definition import as_wish, is_saved
from ansible_collections.runbook.ops.plugins.module_utils._pm2_host import Pm2Host
from ansible_collections.runbook.ops.plugins.module_utils._pm2_plan import Step, Wish, plan, predict
from ansible_collections.runbook.ops.plugins.module_utils._pm2_watch import look, settle

STATES = ["started", "stopped", "restarted", "reloaded", "absent"]
ARGUMENTS = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": STATES, "default": "started"},
    "user": {"type": "str"},
    "pm2_home": {"type": "path"},
    "ecosystem": {"type": "path"},
    "ecosystem_environment": {"type": "str"},
    "script": {"type": "path"},
    "cwd": {"type": "path"},
    "args": {"type": "list", "elements": "str"},
    "interpreter": {"type": "str"},
    "node_args": {"type": "list", "elements": "str"},
    "exec_mode": {"type": "str", "choices": ["fork", "cluster"]},
    "env": {"type": "dict", "no_log": True},
    "max_memory_restart": {"type": "str"},
    "wait_ready": {"type": "bool"},
    "instances": {"type": "int"},
    "saved": {"type": "bool", "default": False},
    "reason": {"type": "str"},
    "wait_timeout_seconds": {"type": "int", "default": 60},
    "stable_seconds": {"type": "float", "default": 3},
}
DEFINING = ["cwd", "args", "interpreter", "node_args", "exec_mode", "env", "max_memory_restart", "wait_ready"]
DONE = {"start": "started", "stop": "stopped", "delete": "removed", "scale": "scaled", "resurrect": "resurrected"}
SAVED_CHANGE = make_change(
    "PM2's saved list", action="saved", section=SECTION, reason="it is not what runs, or others can read it"
)


def as_change(step: Step, before: App, after: App, reason: str | None) -> dict[str, Any]:
    """Return the record of ``step``, without the seconds it takes."""
    scaled = step.verb == "scale"
    return make_change(
        after.name,
        action=DONE.get(step.verb, f"{step.verb}ed"),
        section=SECTION,
        reason=reason or step.because,
        before=before.instances if scaled else before.status,
        after=after.instances if scaled else after.status,
    )


def run(
    host: Any,
    wish: Wish,
    *,
    saved: bool,
    reason: str | None,
    check_mode: bool,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
    **patience: float,
) -> dict[str, Any]:
    seen = look(host, wish)
    before = seen.apps.get(wish.name, App(wish.name))
    steps = plan(seen, wish)
    after = predict(seen, steps, wish)
    save = saved and (bool(steps) or host.dump_is_open() or not is_saved(host.processes() or [], host.dump()))
    result: dict[str, Any] = {
        "changed": bool(steps) or save,
        "actions": [*(f"pm2 {' '.join(step.arguments)}" for step in steps), *(["pm2 save --force"] if save else [])],
        "changes": [as_change(step, before, after, reason) for step in steps] + [SAVED_CHANGE] * save,
        "diff": {
            "before": {"status": before.status, "instances": before.instances, "saved": not save},
            "after": {"status": after.status, "instances": after.instances, "saved": True},
        },
    }

    if not check_mode:
        for step, change in zip(steps, result["changes"]):
            start = clock()
            host.command(step.directory)(*step.arguments, stdin=step.stdin)
            change["seconds"] = round(clock() - start, 2)
        if after.status == "online":
            try:
                after = settle(host, wish.name, **patience, clock=clock, sleep=sleep)
            except Pm2Error as exc:  # what was done was done, and belongs into the record
                raise Pm2Error(str(exc), **{**result, "changed": bool(steps)}) from exc
        elif steps:
            after = group(host.processes() or []).get(wish.name, App(wish.name))
        if save:
            host.save()
    return {**result, "app": as_result(after, clock())}


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        mutually_exclusive=[["ecosystem", "script"]],
        required_by={"ecosystem_environment": "ecosystem", **dict.fromkeys(DEFINING, "script")},
    )
    try:
        host = Pm2Host(module, module.params["user"], module.params["pm2_home"])
        result = run(
            host,
            as_wish(module.params, host.user),
            **{key: module.params[key] for key in ("saved", "reason", "wait_timeout_seconds", "stable_seconds")},
            check_mode=module.check_mode,
        )
    except CommandError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    except Pm2Error as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
