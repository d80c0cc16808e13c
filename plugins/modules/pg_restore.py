#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: restore a database of PostgreSQL beside the live one, and exchange their names."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_restore
short_description: Restore a PostgreSQL database beside the live one, then exchange their names
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Restores a backup into a new database, compares it exactly with the backup's manifest, and only then gives it the name of the
    live one, in one transaction. The live one is kept under another name until it is pruned. Time without service is the
    exchange of names, whatever the size.
  - Everything is on disk in a journal before it is done. A run that was killed at any moment is finished or undone by the next one,
    and the live database is the old one or the new one, whole.
  - Refuses a backup that has not passed a test restore, one of another database, and one that has no room, unless told otherwise
    where that can be.
extends_documentation_fragment:
  - runbook.ops.attributes
  - runbook.ops.postgresql.server
  - runbook.ops.postgresql.connection
  - runbook.ops.restore.source
  - runbook.ops.restore.beside
  - runbook.ops.restore.writers
  - runbook.ops.change.fence
attributes:
  check_mode:
    support: full
    details: [Returns the plan, and changes nothing. The payload is read again only where it was written to since it was proven.]
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  database:
    description: Name of the live database.
    type: str
    required: true
  state:
    description:
      - V(prepared) restores O(backup) into a new database beside the live one, and proves it.
      - V(swapped) ends all sessions of the live database, keeps it as C(<database>_before_<time>), and gives its name, settings,
        limits and grants to the prepared one. With O(services) they are stopped before and started after it, all in this one step;
        where one does not work then, what was live before is put back.
      - V(reverted) goes back, with O(services) as above. What was put in place is kept as C(<database>_failed_<time>); what was only
        prepared is dropped.
      - V(pruned) finishes the restore, and drops those databases that its journal names as kept and that are old enough. With
        O(directory) and O(set), what had been live also stays until a backup that was taken since has passed a test restore.
    type: str
    required: true
    choices: [prepared, swapped, reverted, pruned]
  backup:
    description:
      - What to restore with O(state=prepared). The path of a backup made by M(runbook.ops.pg_backup), its name in O(directory), or
        V(latest), which is the newest of O(set) that has passed a test restore.
      - Also the path of a dump by C(pg_dump), plain or custom, plain ones also by gzip or zstd. It has no proof, so that
        O(accept_unproven) is needed.
    type: str
  set:
    description: Name of the set of backups that V(latest) in O(backup), and what O(state=pruned) asks for, is looked for in.
    type: str
  accept_unproven:
    description: Why a backup is restored that has not passed a test restore. Without it such a one is refused.
    type: str
    default: ""
  canaries:
    description: Queries that must give one number above 0 in the restored database before it is put in place. They cannot change anything.
    type: list
    elements: str
    default: []
  timeout_seconds:
    description: Seconds that loading may take.
    type: int
    default: 43200
  purpose:
    description: What the restore is for, to be returned by later runs in RV(restore).
    type: str
    default: ""
  prune_unproven:
    description: Whether O(state=pruned) goes by O(keep_days) alone.
    type: bool
    default: false
seealso:
  - module: runbook.ops.pg_backup
  - module: runbook.ops.backup_verify
"""

EXAMPLES = r"""
- name: See what a restore would do (with --check), or restore beside the live database
  runbook.ops.pg_restore:
    database: owlivion_sync
    backup: latest
    directory: /backups/daily
    set: daily
    canaries: [SELECT count(*) FROM users]
    state: prepared

- name: Put it in place, with nobody writing meanwhile
  runbook.ops.pg_restore:
    database: owlivion_sync
    services:
      - name: owlivion-sync-server
        manager: pm2
        user: owlivion
        health: {url: 'http://localhost:3000/api/v1/health'}
    state: swapped

- name: Go back to what was live before
  runbook.ops.pg_restore:
    database: owlivion_sync
    state: reverted

- name: Restore a dump that was made by hand
  runbook.ops.pg_restore:
    database: owlivion_sync
    backup: /root/backup_20260205_090000.sql
    accept_unproven: the only dump from before the deletion
    state: prepared
"""

RETURN = r"""
actions:
  description: What was done, or would be, in order.
  returned: always
  type: list
  elements: str
stage:
  description:
    - How far the restore is, one of none, preparing, prepared, swapped, reverted. In check mode how far it is now.
    - Also moved or lost, where somebody has renamed or dropped by hand what was restored. The next restore begins anew then.
  returned: success
  type: str
open:
  description: Whether a restore is under way that has not been finished or reverted.
  returned: success
  type: bool
plan:
  description: Source, target, rows then and now, estimated seconds, and what could not be compared.
  returned: success
  type: dict
lines:
  description: The same for people.
  returned: success
  type: list
  elements: str
kept:
  description: Databases that are kept, with C(name), C(oid), C(why) and C(since).
  returned: success
  type: list
  elements: dict
seconds:
  description:
    - How long each step took. C(closed) is how long the database was closed.
    - C(without_service) is from the stop of the first of O(services) until all of them work again, C(stopping) and C(starting) are parts of it.
  returned: success
  type: dict
newest_proven:
  description: When the newest of O(set) was taken that has passed a test restore, for O(state=pruned), V(null) where there is none.
  returned: success
  type: str
restore:
  description: The last restore of the database, with C(purpose), C(taken_before), C(source) and C(at), V(null) where there was none.
  returned: success
  type: dict
writers:
  description: Names of those of O(services) that are stopped and started, or that a killed run had left stopped.
  returned: success
  type: list
  elements: str
canaries:
  description: The number that each canary query gave.
  returned: success
  type: dict
changes:
  description: What changed, or in check mode would.
  returned: success
  type: list
  elements: dict
"""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import SetError
from ansible_collections.runbook.ops.plugins.module_utils._change_fence import FENCE, fenced
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import LockError
from ansible_collections.runbook.ops.plugins.module_utils._codec import CodecError
from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore import Options, Restore
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_entry import write_time
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_journal import JournalError
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_plan import RestoreError
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_source import (
    choose,
    newest_proven,
    prove_undamaged,
)
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_sql import application
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_tell import left_stopped, tell
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_words import changes
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import ARGUMENTS, RULES, PgTarget
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import PipelineError
from ansible_collections.runbook.ops.plugins.module_utils._restore_arguments import BESIDE, SOURCE
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import one_line
from ansible_collections.runbook.ops.plugins.module_utils._writers import Writers, WritersError

OPTIONS: dict[str, Any] = {
    **ARGUMENTS,
    **SOURCE,
    **BESIDE,
    **FENCE,
    "database": {"type": "str", "required": True},
    "state": {"type": "str", "required": True, "choices": ["prepared", "swapped", "reverted", "pruned"]},
    "backup": {"type": "str"},
    "set": {"type": "str"},
    "accept_unproven": {"type": "str", "default": ""},
    "canaries": {"type": "list", "elements": "str", "default": []},
    "timeout_seconds": {"type": "int", "default": 43200},
    "services": {"type": "list", "elements": "dict", "default": []},
    "wait_timeout_seconds": {"type": "int", "default": 60},
    "purpose": {"type": "str", "default": ""},
    "prune_unproven": {"type": "bool", "default": False},
}
ASKED = (
    *("database", "state", "accept_unproven", "from_database", "canaries", "keep_days", "purpose", "taken_before"),
    *("min_free_percent", "jobs", "identity", "timeout_seconds", "services"),
)
ERRORS = (
    LockError,
    RestoreError,
    JournalError,
    WritersError,
    PgError,
    PipelineError,
    CodecError,
    SetError,
    ValueError,
    OSError,
)


def run(restore: Restore, params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Return the module's result.

    :raises RestoreError: it must not be done, or did not succeed.
    """
    with nullcontext() if check_mode else restore.journal.locked():
        seen = restore.observe()
        try:
            source = choose(params, seen.entry) if params["state"] == "prepared" else None
            proven = newest_proven(params) if params["state"] == "pruned" else None
            steps = restore.plan(seen, source, proven)
            if source and check_mode and steps:
                prove_undamaged(source, all_of_it=False)
        except (RestoreError, SetError, ValueError, OSError) as exc:
            said = [one_line(exc), left_stopped(restore, seen, params["state"], check_mode=check_mode)]
            raise RestoreError("; ".join(filter(None, said))) from exc
        told = tell(restore, params, seen, source, steps)
        if steps and not check_mode:
            restore.apply(steps, seen, source)
            seen = restore.observe()
    entry = seen.entry
    accepted = params["accept_unproven"] if source and not source.drill else ""
    done = [step for step in steps if step.action != "start" or not restore.troubles]
    reported = [] if params["plan_only"] else done
    return {
        **told,
        "changed": bool(reported),
        "stage": entry["stage"] if entry else "none",
        "open": bool(entry and entry["open"]),
        "kept": entry["kept"] if entry else [],
        "restore": {key: entry.get(key) for key in ("purpose", "taken_before", "source", "at")} if entry else None,
        "newest_proven": write_time(proven) if proven else None,
        "seconds": restore.seconds,
        "canaries": restore.canaries,
        "changes": changes(reported, params["database"], restore.seconds, accepted=accepted, writers=told["writers"]),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec=OPTIONS,
        supports_check_mode=True,
        required_if=[("state", "prepared", ["backup"])],
        **RULES,
    )
    params = module.params
    try:
        given = {name: params[name] for name in ASKED}
        options = Options(
            journal_directory=Path(params["journal_directory"]),
            wait_seconds=params["wait_timeout_seconds"],
            proof_needed=bool(params["directory"] and params["set"]) and not params["prune_unproven"],
            **given,
        )
        target = PgTarget.from_params(params, application=application(params["database"]))
        restore = Restore(target, options, writers=Writers(module))
        look = module.check_mode or params["plan_only"]
        with fenced(params, check_mode=look):
            result = run(restore, params, check_mode=look)
        for trouble in restore.troubles:
            module.warn(trouble)
    except ERRORS as exc:
        module.fail_json(msg=one_line(exc), changed=False, actions=[])
    module.exit_json(**result)


if __name__ == "__main__":
    main()
