#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: back a cluster of PostgreSQL up with pgBackRest."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pgbackrest_backup
short_description: Back a PostgreSQL cluster up with pgBackRest
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Makes a full, differential or incremental backup, unless there is one that is young enough.
  - pgBackRest lets go of old ones by its own rule after a new one is whole, and never before.
extends_documentation_fragment:
  - runbook.ops.attributes
  - runbook.ops.pgbackrest
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
    details: [With O(unless_younger_than). Without it each run makes a backup.]
options:
  type:
    description: What is saved. The first backup of a stanza is full whatever this says.
    type: str
    choices: [full, diff, incr]
    default: diff
  unless_younger_than:
    description: Make none where a whole one is younger than this many seconds. With O(type=full) only full ones count.
    type: float
  timeout_seconds:
    description: Seconds that it may take.
    type: int
    default: 86400
seealso:
  - module: runbook.ops.pgbackrest_restore
"""

EXAMPLES = r"""
- name: Make a backup unless there is one of today
  runbook.ops.pgbackrest_backup:
    stanza: main
    unless_younger_than: 86400
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: [backup main --type=diff]
backup:
  description: The newest whole backup, with C(label), C(kind), C(stopped_at), C(size_bytes) and C(repository_bytes). Null without one.
  returned: success
  type: dict
expired:
  description: Labels of backups that are gone since.
  returned: success
  type: list
  elements: str
changes:
  description: What changed, or in check mode would.
  returned: success
  type: list
  elements: dict
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest import (
    Backup,
    PgBackRestError,
    Stanza,
    iso,
    newest,
)
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest_host import ARGUMENTS, PgBackRest

OPTIONS: dict[str, Any] = {
    **ARGUMENTS,
    "type": {"type": "str", "choices": ["full", "diff", "incr"], "default": "diff"},
    "unless_younger_than": {"type": "float"},
    "timeout_seconds": {"type": "int", "default": 86400},
}


def is_due(stanza: Stanza, kind: str, younger_than: float | None, *, now: float) -> bool:
    """Return whether a backup is to be made."""
    last = newest(stanza, full=kind == "full")
    return younger_than is None or last is None or now - last.stopped_at >= younger_than


def run(program: PgBackRest, params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    before = program.info()
    if not before.exists:
        raise PgBackRestError(
            f"the repository has no stanza {program.stanza} ({before.message}): make it with pgbackrest_stanza"
        )
    due = is_due(before, params["type"], params["unless_younger_than"], now=time.time())
    after, seconds = before, None
    if due and not check_mode:
        began = time.monotonic()
        program("backup", f"--type={params['type']}", timeout_seconds=params["timeout_seconds"])
        after, seconds = program.info(), round(time.monotonic() - began, 1)
    last = newest(after)
    return {
        "changed": due,
        "actions": [f"backup {program.stanza} --type={params['type']}"] if due else [],
        "backup": told(last) if last else None,
        "expired": sorted({one.label for one in before.backups} - {one.label for one in after.backups}),
        "changes": [
            make_change(
                f"backup of the cluster {program.stanza}",
                action="made",
                section="Backups",
                reason=f"{params['type']}, asked for",
                after=None if check_mode or not last else last.repository_bytes,
                unit="B",
                seconds=seconds,
            )
        ]
        if due
        else [],
        "diff": {"before": {"backups": len(before.backups)}, "after": {"backups": len(before.backups) + due}},
    }


def told(backup: Backup) -> dict[str, Any]:
    """Return a backup for a result."""
    return {
        **{key: getattr(backup, key) for key in ("label", "kind", "size_bytes", "repository_bytes")},
        "stopped_at": iso(backup.stopped_at),
    }


def main() -> None:
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    try:
        result = run(PgBackRest(module.params), module.params, check_mode=module.check_mode)
    except PgBackRestError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
