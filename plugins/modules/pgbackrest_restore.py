#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: bring a cluster of PostgreSQL back to a moment, beside the live one, and put it in place."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pgbackrest_restore
short_description: Recover a PostgreSQL cluster to a moment beside the live one, then put it in place
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Restores a backup of pgBackRest into a new directory beside that of the live cluster, and starts a server there that recovers
    to a moment and stands still at it. It can be read and dumped, on a socket in C(<directory>.run), and cannot be written to.
  - Only then, where that is asked for, the two directories exchange their names, and the recovered cluster is started in the place of the
    live one. The old directory stays until it is pruned.
  - Everything is on disk in a journal before it is done. A run that was killed at any moment is finished or undone by the next one.
extends_documentation_fragment:
  - runbook.ops.attributes
  - runbook.ops.pgbackrest
  - runbook.ops.restore.beside
  - runbook.ops.change.fence
attributes:
  check_mode:
    support: full
    details: [Returns the plan, and changes nothing.]
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  state:
    description:
      - V(prepared) recovers the cluster to O(target_time) beside the live one.
      - V(swapped) stops both, keeps the live directory as C(<directory>.before-<time>), and starts the recovered cluster in its place.
      - V(reverted) goes back. What was put in place last, finished or not, is kept as C(<directory>.failed-<time>); what was only
        prepared is deleted. It does nothing where what was live before is not kept any more.
      - V(dropped) deletes what was only prepared, and never touches what was put in place.
      - V(pruned) finishes the restore, deletes what was only prepared, and those directories that its journal names as kept and that are
        old enough.
    type: str
    required: true
    choices: [prepared, swapped, reverted, dropped, pruned]
  target_time:
    description: The moment, such as V(2026-02-05T08:59:00Z). What was committed until then is there, what was committed after it is not.
    type: str
  timeline:
    description:
      - The timeline that the moment is on. Each restore that was put in place has begun a new one.
      - Without it that of the live cluster, and the latest where its directory is gone.
    type: int
  data_directory:
    description: Directory of the live cluster, such as V(/var/lib/postgresql/15/main). The new one is made beside it, on the same disk.
    type: path
    required: true
  config_file:
    description: The server's C(postgresql.conf), where it is not in O(data_directory).
    type: path
  unit:
    description: The unit of systemd that runs the live server, such as V(postgresql@15-main). Without it C(pg_ctl) is used.
    type: str
  archive_timeout_seconds:
    description: Seconds that the last segment of the live server's WAL may take into the archive.
    type: int
    default: 60
  timeout_seconds:
    description: Seconds that the restore, and after it the recovery, may take.
    type: int
    default: 86400
  start_timeout_seconds:
    description: Seconds in which the server must take writes after it was put in place.
    type: int
    default: 300
seealso:
  - module: runbook.ops.pgbackrest_info
  - module: runbook.ops.pg_restore
"""

EXAMPLES = r"""
- name: Recover the cluster to the minute before somebody deleted rows, beside the live one
  runbook.ops.pgbackrest_restore:
    stanza: main
    target_time: '2026-02-05T08:59:00Z'
    data_directory: /var/lib/postgresql/15/main
    config_file: /etc/postgresql/15/main/postgresql.conf
    unit: postgresql@15-main
    state: prepared

- name: Throw it away again
  runbook.ops.pgbackrest_restore:
    stanza: main
    data_directory: /var/lib/postgresql/15/main
    state: dropped
"""

RETURN = r"""
actions:
  description: What was done, or would be, in order.
  returned: success
  type: list
  elements: str
stage:
  description: How far the restore is, one of none, preparing, prepared, swapping, swapped, reverting, reverted, finished.
  returned: success
  type: str
in_place:
  description: The moment that the live cluster was brought back to by a restore that is finished, null where it was not.
  returned: success
  type: str
plan:
  description: The cluster, the moment, the backup it begins with, the size, and the rows of now as the server estimates them.
  returned: success
  type: dict
lines:
  description: The same for people.
  returned: success
  type: list
  elements: str
rows:
  description: Rows of each table of each database at that moment, counted.
  returned: success
  type: dict
beside:
  description: Where the recovered cluster can be read, with C(login_unix_socket) and C(login_port). Null where there is none.
  returned: success
  type: dict
kept:
  description: Directories that are kept, with C(path) and C(since).
  returned: success
  type: list
  elements: dict
seconds:
  description: How long each step took.
  returned: success
  type: dict
changes:
  description: What changed, or in check mode would.
  returned: success
  type: list
  elements: dict
"""

from contextlib import nullcontext
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._change_fence import FENCE, fenced
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import LockError
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change
from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_journal import JournalError
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest import PgBackRestError
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest_entry import in_place
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest_host import ARGUMENTS, PgBackRest
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest_restore import Restore
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest_server import PORT
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest_words import STEPS, lines
from ansible_collections.runbook.ops.plugins.module_utils._restore_arguments import BESIDE
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import StoreError

OPTIONS: dict[str, Any] = {
    **ARGUMENTS,
    **BESIDE,
    **FENCE,
    "state": {"type": "str", "required": True, "choices": ["prepared", "swapped", "reverted", "dropped", "pruned"]},
    "target_time": {"type": "str"},
    "timeline": {"type": "int"},
    "data_directory": {"type": "path", "required": True},
    "config_file": {"type": "path"},
    "unit": {"type": "str"},
    "archive_timeout_seconds": {"type": "int", "default": 60},
    "timeout_seconds": {"type": "int", "default": 86400},
    "start_timeout_seconds": {"type": "int", "default": 300},
}


def run(restore: Restore, params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    with nullcontext() if check_mode else restore.journal.locked():
        seen = restore.observe()
        steps = restore.plan(seen)
        plan = restore.describe(seen)
        if steps and not check_mode:
            restore.apply(steps, seen)
        entry = restore.journal.read() or {}
    done = [STEPS[step] for step in steps]
    is_beside = entry.get("stage") == "prepared"
    reported = [] if params["plan_only"] else steps
    return {
        "changed": bool(reported),
        "actions": done,
        "stage": entry.get("stage", "none"),
        "in_place": in_place(entry),
        "plan": plan,
        "lines": lines(plan, entry, done, restore.warnings),
        "rows": entry.get("rows", {}),
        "beside": {"login_unix_socket": f"{entry['item']['new']}.run", "login_port": PORT} if is_beside else None,
        "kept": entry.get("kept", []),
        "seconds": restore.seconds,
        "changes": [
            make_change(
                f"cluster {params['stanza']}",
                action=STEPS[step],
                section="Restore",
                reason=f"to {plan['target_time']}",
                seconds=restore.seconds.get(step),
            )
            for step in reported
        ],
        "diff": {"before": "", "after": "".join(f"{line}\n" for line in done)},
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec=OPTIONS, supports_check_mode=True, required_if=[("state", "prepared", ["target_time"])]
    )
    params = module.params
    try:
        look = module.check_mode or params["plan_only"]
        with fenced(params, check_mode=look):
            result = run(Restore(PgBackRest(params), params), params, check_mode=look)
    except (LockError, PgBackRestError, PgError, JournalError, StoreError) as exc:
        module.fail_json(msg=str(exc), changed=False, actions=[])
    except OSError as exc:
        module.fail_json(
            msg=f"{exc.filename or params['data_directory']}: {exc.strerror or exc}: remove the cause and run again, it goes on from here",
            changed=False,
            actions=[],
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
