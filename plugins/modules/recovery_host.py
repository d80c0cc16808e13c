#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: make sure that a host is empty before a system is recovered on it, and make it so again after a drill."""

from __future__ import annotations

DOCUMENTATION = r"""
module: recovery_host
short_description: Refuse a host that is in use, and clean it after a drill
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Looks whether a host is empty, so that nothing is recovered over what somebody needs, and writes down what is there before
    anything is done. By that a drill is cleaned up, one that was killed as well.
  - In use is a host on which one of O(paths) exists, that keeps records, restores or timers of this collection, and one with
    databases of PostgreSQL, data of MySQL, MongoDB or Redis, an account with processes of PM2, containers or virtual machines, a site of
    nginx, or a service of its own in C(/etc/systemd/system).
extends_documentation_fragment:
  - runbook.ops.attributes.full
options:
  system:
    description: Name of the system that is recovered.
    type: str
    required: true
  state:
    description:
      - V(begun) refuses a host in use and writes the journal. A recovery that was begun before goes on.
      - V(noted) writes into the journal that O(step) is done, so that a recovery that goes on does not do it again.
      - V(absent) brings the host back to what it was before a drill, data first. After a real recovery it does nothing.
      - V(finished) ends a real recovery. The journal and what was fetched go; all else stays.
    type: str
    choices: [begun, noted, absent, finished]
    required: true
  step:
    description: What is done, for O(state=noted).
    type: str
  drill:
    description: Whether all of it goes again. The journal keeps it.
    type: bool
    default: false
  paths:
    description: What will be restored.
    type: list
    elements: path
    default: []
  accounts:
    description: Accounts that will be made.
    type: list
    elements: str
    default: []
  roles:
    description: Roles of PostgreSQL that will be made.
    type: list
    elements: str
    default: []
  units:
    description: Units of systemd that will be started.
    type: list
    elements: str
    default: []
  directory:
    description: Where the journal is, and what is fetched. All of it is deleted in the end.
    type: path
    default: /var/lib/runbook-ops/recovery
notes:
  - A drill that is cleaned up removes the packages that came with it, and what those kept.
seealso:
  - module: runbook.ops.backup_offsite
"""

EXAMPLES = r"""
- name: Begin a drill
  runbook.ops.recovery_host:
    system: shop
    state: begun
    drill: true
    paths: [/srv/shop]
    accounts: [shop]

- name: Clean up after it
  runbook.ops.recovery_host:
    system: shop
    state: absent
"""

RETURN = r"""
began_at:
  description: When the recovery began, null where there is none.
  returned: success
  type: str
done:
  description: The steps that were noted.
  returned: success
  type: list
  elements: str
underway:
  description: Whether there was a recovery before.
  returned: success
  type: bool
actions:
  description: What was done, or in check mode would be, in order.
  returned: success
  type: list
  elements: str
changes:
  description: What changed, or in check mode would.
  returned: success
  type: list
  elements: dict
"""

import contextlib
import shutil
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change
from ansible_collections.runbook.ops.plugins.module_utils._command import Command, CommandError
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._recovery_clean import Cleaner
from ansible_collections.runbook.ops.plugins.module_utils._recovery_evidence import evidence
from ansible_collections.runbook.ops.plugins.module_utils._recovery_journal import (
    RecoveryHostError,
    begin,
    read_journal,
    write_journal,
)

OURS = "runbook-ops"  # the directory of all that the collection keeps on a host
NAMES = ("paths", "accounts", "roles", "units")
ARGUMENTS: dict[str, Any] = {
    "system": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["begun", "noted", "absent", "finished"], "required": True},
    "step": {"type": "str"},
    "drill": {"type": "bool", "default": False},
    "paths": {"type": "list", "elements": "path", "default": []},
    **{name: {"type": "list", "elements": "str", "default": []} for name in NAMES[1:]},
    "directory": {"type": "path", "default": "/var/lib/runbook-ops/recovery"},
}


def run(params: dict[str, Any], module: Any) -> dict[str, Any]:
    """Bring the host to the state that is asked for.

    :raises RecoveryHostError: it is in use, or a recovery of another kind is underway.
    """
    directory = Path(params["directory"])
    path = directory / "journal.json"
    journal = read_journal(path)
    actions: list[str] = []
    if params["state"] == "begun":
        if journal:
            _refuse_other(journal, params)
        else:
            _refuse_use(params, directory)
            actions = ["begin a drill" if params["drill"] else "begin a recovery"]
            journal = {**begin(params, lambda *args, **more: Command(module, *args, **more)), **_kind(params)}
            if not module.check_mode:
                write_journal(path, journal)
    elif params["state"] == "noted":
        journal = _note(journal, params["step"])
        if not module.check_mode:
            write_journal(path, journal)
        return _result(params, journal, actions)
    elif journal and journal["drill"] == (params["state"] == "absent"):
        actions = ["clean up after a drill" if journal["drill"] else "finish the recovery"]
        if not module.check_mode:
            if journal["drill"]:
                cleaner = Cleaner(journal, lambda *args, **more: Command(module, *args, **more))
                cleaner.clean()
                actions = cleaner.actions or actions
            reached("recovery_host:clean")
            _forget(directory, path)
    return _result(params, journal, actions)


def _note(journal: dict[str, Any] | None, step: str) -> dict[str, Any]:
    if not journal:
        raise RecoveryHostError(
            f"no recovery was begun here, so {step} cannot be a part of one: state begun comes first"
        )
    return {**journal, "done": list(dict.fromkeys([*journal.get("done", []), step]))}


def _kind(params: dict[str, Any]) -> dict[str, Any]:
    return {"drill": params["drill"], "system": params["system"]}


def _refuse_other(journal: dict[str, Any], params: dict[str, Any]) -> None:
    if (journal["system"], journal["drill"]) == (params["system"], params["drill"]) and not params["drill"]:
        return  # a recovery goes on
    what = "a drill" if journal["drill"] else "a recovery"
    remedy = "state absent cleans up after it" if journal["drill"] else "finish it, or take another host"
    raise RecoveryHostError(f"{what} of {journal['system']} was begun here at {journal['began_at']}: {remedy}")


def _refuse_use(params: dict[str, Any], directory: Path) -> None:
    found = evidence(params["paths"], own=directory)
    if found:
        raise RecoveryHostError(
            f"this host is in use, and nothing was touched: {'; '.join(found[:5])}. "
            f"{params['system']} is recovered on an empty host only: take another"
        )


def _forget(directory: Path, journal: Path) -> None:
    """Delete what was fetched, and the journal last."""
    for one in sorted(directory.iterdir()):
        if one != journal:
            shutil.rmtree(one) if one.is_dir() and not one.is_symlink() else one.unlink()
    journal.unlink()
    directory.rmdir()
    if directory.parent.name == OURS:
        with contextlib.suppress(OSError):  # others of this collection's files lie beside it
            directory.parent.rmdir()


def _result(params: dict[str, Any], journal: dict[str, Any] | None, actions: list[str]) -> dict[str, Any]:
    changed = bool(actions)
    state = params["state"]
    after = state if changed or journal else "absent"
    before = "absent" if state == "begun" else "begun"
    change = make_change(
        "this host", action=actions[0] if len(actions) == 1 else f"{len(actions)} things removed", section="Recovery",
        reason=f"{params['system']} is recovered here" if state == "begun" else "the recovery has ended",
        before=before, after=after,
    )  # fmt: skip
    return {
        "changed": changed,
        "began_at": journal["began_at"] if journal else None,
        "done": journal.get("done", []) if journal else [],
        "underway": bool(journal) and not (state == "begun" and changed),
        "actions": actions,
        "changes": [change] if changed else [],
        "diff": {"before": f"{before if changed else after}\n", "after": f"{after}\n"},
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS, supports_check_mode=True, required_if=[("state", "noted", ("step",))]
    )
    try:
        result = run(module.params, module)
    except RecoveryHostError as exc:
        module.fail_json(msg=str(exc))
    except CommandError as exc:
        module.fail_json(msg=f"{exc}; run this again to go on", **exc.details)
    except OSError as exc:
        module.fail_json(msg=f"{exc.filename or 'the disk'}: {exc.strerror or exc}; run this again to go on")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
