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
        limits and grants to the prepared one.
      - V(reverted) goes back. What was put in place is kept as C(<database>_failed_<time>); what was only prepared is dropped.
      - V(pruned) finishes the restore, and drops those databases that its journal names as kept and that are old enough.
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
  directory:
    description: Directory of the backups, for a name or V(latest) in O(backup).
    type: path
  set:
    description: Name of the set of backups that V(latest) in O(backup) is looked for in.
    type: str
  taken_before:
    description: V(latest) in O(backup) is the newest taken before this moment, such as V(2026-02-05T02:00:00Z), UTC.
    type: str
  from_database:
    description: The database that the backup is of, where that is not O(database).
    type: str
  accept_unproven:
    description: Why a backup is restored that has not passed a test restore. Without it such a one is refused.
    type: str
    default: ""
  identity:
    description: The private key of an encrypted backup, an age identity or an armoured key of GnuPG. It is never written to disk.
    type: str
  canaries:
    description: Queries that must give one number above 0 in the restored database before it is put in place. They cannot change anything.
    type: list
    elements: str
    default: []
  keep_days:
    description: Days for which V(pruned) leaves what it keeps.
    type: float
    default: 7
  jobs:
    description: Number of tables and indexes that are restored side by side, where the backup allows it.
    type: int
    default: 2
  min_free_percent:
    description: Percent of the server's disk that are to stay free. Not known of a server elsewhere or in a container.
    type: float
    default: 5
  timeout_seconds:
    description: Seconds that loading may take. No limit without it.
    type: int
  plan_only:
    description: Return the plan and nothing else. Unlike in check mode nothing is reported as a change that would be made.
    type: bool
    default: false
  journal_directory:
    description: Where it is kept what is being restored and what was kept.
    type: path
    default: /var/lib/runbook-ops/restores
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

- name: Put it in place
  runbook.ops.pg_restore:
    database: owlivion_sync
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
  description: How far the restore is, one of none, preparing, prepared, swapped, reverted. In check mode how far it is now.
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
  description: How long each step took; C(closed) is how long the database was closed.
  returned: success
  type: dict
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
from ansible_collections.runbook.ops.plugins.module_utils._codec import CodecError
from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore import Options, Restore, Seen
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_journal import JournalError
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_plan import RestoreError, Source, Step
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_source import choose, prove_undamaged
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_sql import application
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_words import changes, describe, lines
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import ARGUMENTS, RULES, PgTarget
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import PipelineError

OPTIONS: dict[str, Any] = {
    **ARGUMENTS,
    "database": {"type": "str", "required": True},
    "state": {"type": "str", "required": True, "choices": ["prepared", "swapped", "reverted", "pruned"]},
    "backup": {"type": "str"},
    "directory": {"type": "path"},
    "set": {"type": "str"},
    "taken_before": {"type": "str"},
    "from_database": {"type": "str"},
    "accept_unproven": {"type": "str", "default": ""},
    "identity": {"type": "str", "no_log": True},
    "canaries": {"type": "list", "elements": "str", "default": []},
    "keep_days": {"type": "float", "default": 7},
    "jobs": {"type": "int", "default": 2},
    "min_free_percent": {"type": "float", "default": 5},
    "timeout_seconds": {"type": "int"},
    "plan_only": {"type": "bool", "default": False},
    "journal_directory": {"type": "path", "default": "/var/lib/runbook-ops/restores"},
}
ASKED = (
    *("database", "state", "accept_unproven", "from_database", "canaries", "keep_days"),
    *("min_free_percent", "jobs", "identity", "timeout_seconds"),
)
ERRORS = (RestoreError, JournalError, PgError, PipelineError, CodecError, SetError, ValueError)


def run(restore: Restore, params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Return the module's result.

    :raises RestoreError: it must not be done, or did not succeed.
    """
    with nullcontext() if check_mode else restore.journal.locked():
        seen = restore.observe()
        source = choose(params, seen.entry) if params["state"] == "prepared" else None
        steps = restore.plan(seen, source)
        if source and check_mode and steps:
            prove_undamaged(source, all_of_it=False)
        told = tell(restore, params, seen, source, steps)
        if steps and not check_mode:
            restore.apply(steps, seen, source)
            seen = restore.observe()
    entry = seen.entry
    accepted = params["accept_unproven"] if source and not source.drill else ""
    reported = [] if params["plan_only"] else steps
    return {
        **told,
        "changed": bool(reported),
        "stage": entry["stage"] if entry else "none",
        "open": bool(entry and entry["open"]),
        "kept": entry["kept"] if entry else [],
        "seconds": restore.seconds,
        "canaries": restore.canaries,
        "changes": changes(reported, params["database"], restore.seconds, accepted=accepted),
    }


def tell(
    restore: Restore, params: dict[str, Any], seen: Seen, source: Source | None, steps: list[Step]
) -> dict[str, Any]:
    """Return the plan, for programs and for people."""
    place = params["login_host"] or params["login_unix_socket"] or "the local socket"
    where = (
        f"container {restore.target.container}" if restore.target.inside else f"{place}, port {params['login_port']}"
    )
    plan = describe(
        source,
        server=seen.server,
        live=seen.live,
        entry=seen.entry,
        rows_now=seen.rows_now,
        database=params["database"],
        where=where,
        reason=params["accept_unproven"],
        now=restore.now(),
    )
    said = lines(plan, steps)
    done = [line.partition(" ")[2].strip() for line in said if line.startswith("step ") and steps]
    return {
        "actions": done,
        "plan": plan,
        "lines": said,
        "diff": {"before": "", "after": "".join(f"{line}\n" for line in done)},
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
        options = Options(journal_directory=Path(params["journal_directory"]), **given)
        target = PgTarget.from_params(params, application=application(params["database"]))
        result = run(Restore(target, options), params, check_mode=module.check_mode or params["plan_only"])
    except ERRORS as exc:
        module.fail_json(msg=str(exc), changed=False, actions=[])
    module.exit_json(**result)


if __name__ == "__main__":
    main()
