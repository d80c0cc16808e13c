#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install pending package updates: security updates apart, holds honoured, with a way back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: package_updates
short_description: Install pending package updates
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Installs the security updates that apt knows of, or all updates, each in the very version that was looked at before.
  - Leaves packages on hold alone, removes nothing, and asks nothing. Where a configuration file was changed on the host, that stays, and
    the package's own is put beside it and named in a check.
  - Services in O(hold_services) are not restarted by packages meanwhile, so that they can be restarted afterwards in an order, each
    proven. All others are.
  - Says for each package whether an archive still has the old version, and how to go back to it.
  - Does not refresh the package index, and reboots nothing. For Debian and its relatives.
extends_documentation_fragment:
  - runbook.ops.attributes.full
options:
  select:
    description: Which updates. V(security) are those that come from a security archive.
    type: str
    choices: [security, all]
    default: security
  exclude:
    description: Patterns of names of packages that are not updated here, such as V(postgresql-*).
    type: list
    elements: str
    default: []
  hold_services:
    description: Units that packages must not start, stop or restart meanwhile.
    type: list
    elements: str
    default: []
  free_bytes:
    description: How many bytes must be free where packages are fetched to and where they are installed. Less is refused.
    type: int
    default: 500000000
  lock_timeout_seconds:
    description: How many seconds to wait for another program that installs packages.
    type: int
    default: 60
  timeout_seconds:
    description: How many seconds the installation may take until it is asked to end.
    type: int
    default: 3600
notes:
  - What was cut off in the middle is finished first by C(dpkg --configure -a). Packages that were installed because others need them stay
    known as that, even after a run that was killed.
seealso:
  - module: runbook.ops.updates_info
  - module: runbook.ops.restart_info
"""

EXAMPLES = r"""
- name: Install the security updates
  runbook.ops.package_updates:
  register: __updates

- name: Install everything but the database, and leave nginx running as it is
  runbook.ops.package_updates:
    select: all
    exclude: ['postgresql-*']
    hold_services: [nginx.service]
"""

RETURN = r"""
actions:
  description: What was run, or in check mode would be run, in order.
  returned: success
  type: list
  elements: str
updates:
  description: The packages that were updated, or would be, with C(name), C(installed) before, C(available), C(origins), C(security) and C(held).
  returned: success
  type: list
  elements: dict
new:
  description: Packages that the updates need besides.
  returned: success
  type: list
  elements: str
way_back:
  description: The C(command) that installs the old versions again, null without one, and those that are C(missing) in all archives.
  returned: success
  type: dict
checks:
  description: Updates that were left out, those without a way back, configuration files to compare.
  returned: success
  type: list
  elements: dict
changes:
  description: A record of each package, with the versions before and after, made or predicted.
  returned: success
  type: list
  elements: dict
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._apt import SHOW_HOLDS, SIMULATE, parse_simulation
from ansible_collections.runbook.ops.plugins.module_utils._apt_host import (
    Apt,
    free_bytes,
    guarded,
    later_files,
    sweep,
)
from ansible_collections.runbook.ops.plugins.module_utils._apt_install import (
    AptError,
    as_change,
    as_new,
    choose,
    command,
    judge,
    parse_versions,
    policy,
    refuse,
    way_back,
)
from ansible_collections.runbook.ops.plugins.module_utils._command import CommandError
from ansible_collections.runbook.ops.plugins.module_utils._units import human_size

ARGUMENTS: dict[str, Any] = {
    "select": {"type": "str", "choices": ["security", "all"], "default": "security"},
    "exclude": {"type": "list", "elements": "str", "default": []},
    "hold_services": {"type": "list", "elements": "str", "default": []},
    "free_bytes": {"type": "int", "default": 500_000_000},
    "lock_timeout_seconds": {"type": "int", "default": 60},
    "timeout_seconds": {"type": "int", "default": 3600},
}


def run(
    params: dict[str, Any],
    *,
    apt: Any,
    root: Path,
    check_mode: bool,
    pid: int,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    policy(params["hold_services"], pid, "0")  # a name that is none is refused in a prediction, too
    if not check_mode:
        sweep(root)
    held = apt.mark(*SHOW_HOLDS).split()
    chosen = choose(
        parse_simulation(apt.get(*SIMULATE), held)["updates"], select=params["select"], exclude=params["exclude"]
    )
    wanted, cut_off, lost = chosen["wanted"], apt.is_cut_off(), apt.lost_marks()
    patience = {"lock_timeout_seconds": params["lock_timeout_seconds"]}
    simulated: dict[str, Any] = {"updates": [], "new": []}
    if cut_off and not check_mode:
        with guarded(root, params["hold_services"], pid):
            apt.configure(**patience)
    if wanted and not (cut_off and check_mode):
        simulated = parse_simulation(apt.get(*command(wanted, **patience, simulate=True)), held)
        refuse(simulated, held, params["exclude"])
    elif wanted:
        simulated["updates"] = wanted  # nothing can be simulated before what was cut off is finished
    updates, new = simulated["updates"], simulated["new"]
    back = way_back(updates, parse_versions(apt.cache("madison", *(one["name"] for one in updates)) if updates else ""))
    changes = [*(as_change(one, back["missing"]) for one in updates), *map(as_new, new)]
    least = free_bytes(root) if updates else params["free_bytes"]
    if least < params["free_bytes"]:
        raise AptError(
            f"{human_size(least)} are free, {human_size(params['free_bytes'])} are wanted for packages: apt-get clean, or make room"
        )
    if updates and not check_mode:
        start = clock()
        with guarded(root, params["hold_services"], pid):
            try:
                apt.install(command(wanted, **patience), limit=params["timeout_seconds"])
            except CommandError as exc:  # what was installed by then belongs into the record
                raise CommandError(str(exc), **exc.details, changes=done(apt, updates, new, changes)) from exc
        for change in changes:
            change["seconds"] = round((clock() - start) / len(changes), 2)
    elif lost and not check_mode:
        apt.restore_marks()
    finish = ["dpkg --configure -a"] if cut_off else []
    install = [f"apt-get {' '.join(command(wanted, **patience))}"] if updates else []
    marks = [f"apt-mark auto {' '.join(lost)}"] if lost else []
    return {
        "changed": bool(finish or install or marks),
        "actions": [*finish, *install, *marks],
        "updates": updates,
        "new": new,
        "way_back": back,
        "checks": judge(chosen, back, sorted(later_files(root)), params["select"]),
        "changes": changes,
        "diff": {
            "before": {one["name"]: one["installed"] for one in updates},
            "after": {one["name"]: one["available"] for one in updates},
        },
    }


def done(
    apt: Any, updates: list[dict[str, Any]], new: list[str], changes: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return those of the changes that were made before it failed, as dpkg has them: apt may not be able to tell any more."""
    try:
        there = apt.versions()
    except CommandError:
        return []
    made = [update["available"] in there.get(update["name"], ()) for update in updates]
    return [change for change, is_made in zip(changes, [*made, *(name in there for name in new)]) if is_made]


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        result = run(module.params, apt=Apt(module), root=Path("/"), check_mode=module.check_mode, pid=os.getpid())
    except CommandError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    except AptError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
