#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let one run at a time change a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: change_lock
short_description: Let one run at a time change a host
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Takes, renews or gives back the lock of a host's changes. Its owner is a run of a playbook, and each change of hands gets
    a number of its own, RV(fence.number). Modules that get RV(fence) prove by it, at each step that counts, that nobody took
    over since.
  - The lock of a run that ended without a word is taken over at once where it came from the same controller and its process
    is gone, and else when its lease is over.
attributes:
  check_mode:
    support: full
    details: [Takes no lock and demands none. Says who holds it.]
  diff_mode:
    support: none
  idempotent:
    support: full
    details: [A lock is no change of the system, so nothing is ever reported as changed.]
extends_documentation_fragment:
  - runbook.ops.attributes
options:
  state:
    description:
      - V(taken) takes the lock, or renews that of the same run.
      - V(renewed) begins the lease anew, and fails where another run took over since.
      - V(released) gives the lock back. One that is not this run's is left alone.
    type: str
    choices: [taken, renewed, released]
    default: taken
  run:
    description: What identifies the run, as M(runbook.ops.system_description) returns it.
    type: dict
    required: true
  system:
    description: Name of the system, for those who read whose the lock is.
    type: str
    default: ''
  host:
    description: Inventory name of the host, for those who read whose the lock is.
    type: str
    default: ''
  lease_seconds:
    description: How long the lock may stay without being renewed before any other run takes it over.
    type: int
    default: 21600
  wait_seconds:
    description: How long to wait for a lock that another run holds. Without it that is refused at once, by name.
    type: int
    default: 0
  break_owner:
    description: The run whose lock is broken, by its name, such as V(5f2b8c9d0e1a). Only for a run that is known to be dead.
    type: str
    default: ''
  gone:
    description: The run that is known to have ended without a word. Found out by the controller.
    type: str
    default: ''
  required:
    description:
      - Whether a lock that cannot be written is refused. Without it such a run goes on unlocked with a warning.
      - A lock that another run holds is refused in any case.
    type: bool
    default: true
  directory:
    description: Directory of the lock. Made with mode C(0700) where it is missing.
    type: path
    default: /var/lib/runbook-ops/change
seealso:
  - module: runbook.ops.change_lock_info
"""

EXAMPLES = r"""
- name: Take the lock of this host's changes
  runbook.ops.change_lock:
    run: "{{ system_description['run'] }}"
    host: "{{ inventory_hostname }}"
    wait_seconds: 600
  register: __change_lock

- name: Give it back
  runbook.ops.change_lock:
    state: released
    run: "{{ system_description['run'] }}"
"""

RETURN = r"""
fence:
  description: What proves to other modules that this run may change the host. The number 0 demands no lock.
  returned: success
  type: dict
  sample: {directory: /var/lib/runbook-ops/change, number: 12, owner: 5f2b8c9d0e1a}
  contains:
    directory: {description: Absolute directory of the lock., type: str}
    number: {description: What grows with each change of hands., type: int}
    owner: {description: The run whose lock it is., type: str}
before:
  description:
    - How the lock stood. V(free), V(mine), V(held) by another run, V(over) when another run's lease was, V(gone) when another run was,
      V(broken) by name, or V(unknown) where it cannot be read.
  returned: always
  type: str
  sample: free
holder:
  description: Who held it when it was not this run; C(null) where nobody did.
  returned: always
  type: dict
unfinished:
  description: Journals of changes that were begun on this host and have not ended.
  returned: success
  type: list
  elements: dict
  sample: [{kind: deploy, name: api, path: /var/lib/runbook-ops/deploy/api/journal.json, phase: switching, run: 0a1b2c3d4e5f}]
checks:
  description: One warning where the lock was taken over from another run, or in check mode who holds it.
  returned: success
  type: list
  elements: dict
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._change_lease import brief, standing, told
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import (
    DIRECTORY,
    Fence,
    LockError,
    LockHeldError,
    look,
    now,
    release,
    renew,
    take,
)
from ansible_collections.runbook.ops.plugins.module_utils._change_seen import journals, lock_check, takeover_check

POLL_SECONDS = 0.5
ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "choices": ["taken", "renewed", "released"], "default": "taken"},
    "run": {"type": "dict", "required": True},
    "system": {"type": "str", "default": ""},
    "host": {"type": "str", "default": ""},
    "lease_seconds": {"type": "int", "default": 21600},
    "wait_seconds": {"type": "int", "default": 0},
    "break_owner": {"type": "str", "default": ""},
    "gone": {"type": "str", "default": ""},
    "required": {"type": "bool", "default": True},
    "directory": {"type": "path", "default": DIRECTORY},
}


def run(options: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Take, renew or give back the lock; in check mode say how it stands."""
    owner, directory = options["run"]["id"], options["directory"]
    state, moment = look(directory), now()
    before = standing(state, owner, moment, gone=options["gone"], broken=options["break_owner"])
    found = {
        "changed": False,
        "fence": Fence(directory, 0, "")._asdict(),
        "before": before,
        "holder": None if before == "mine" else brief(state, moment),
        "unfinished": journals(directory),
        "checks": [],
    }
    if check_mode:
        return {**found, "checks": [lock_check(state, moment)] if before == "held" else []}
    if options["state"] == "released":
        release(directory, owner)
        return found
    if options["state"] == "renewed":
        held = renew(Fence(directory, state["number"], owner), lease_seconds=options["lease_seconds"])
    else:
        held, before = taken_in_time(options)
    checks = [takeover_check(state, before)] if before in ("over", "gone", "broken") else []
    fence = Fence(directory, held["number"], owner)._asdict()
    return {**found, "fence": fence, "before": before, "checks": checks, "unfinished": journals(directory)}


def taken_in_time(options: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Take the lock, and wait for it as long as is allowed."""
    deadline = time.monotonic() + options["wait_seconds"]
    while True:
        try:
            return take(
                options["directory"],
                options["run"],
                place={"system": options["system"], "host": options["host"]},
                lease_seconds=options["lease_seconds"],
                gone=options["gone"],
                broken=options["break_owner"],
            )
        except LockHeldError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(POLL_SECONDS)


def refusal(options: dict[str, Any]) -> dict[str, Any]:
    """Return what is said, and returned, where another run holds the lock."""
    state, moment = look(options["directory"]), now()
    return {
        "msg": (
            f"{told(state, moment)}. Nothing was changed. Wait for it with -e change_wait_seconds=600; "
            f"only if that run is known to be dead: -e change_break={state['owner']}"
        ),
        "before": "held",
        "holder": brief(state, moment),
    }


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    options = module.params
    try:
        module.exit_json(**run(options, check_mode=module.check_mode))
    except LockHeldError:
        module.fail_json(**refusal(options))
    except LockError as exc:
        nothing = {"fence": Fence(options["directory"], 0, "")._asdict(), "before": "unknown", "holder": None}
        if options["required"] and options["state"] != "released":
            module.fail_json(msg=f"{exc}. To go on without a lock: -e change_required=false", **nothing)
        module.warn(f"This run is not locked against others: {exc}")
        module.exit_json(changed=False, unfinished=[], checks=[], **nothing)


if __name__ == "__main__":
    main()
