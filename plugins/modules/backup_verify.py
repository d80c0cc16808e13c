#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: prove that backups are undamaged and can be restored."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_verify
short_description: Prove that backups are undamaged and can be restored
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Reads the backups of one set again, holds them against their checksums, and writes down in each what has been proven.
    What was read before and has not been written to since is not read again, for O(reread_after).
  - With O(drill) a backup is also restored as a test, to where it harms nobody, and compared with its manifest. For
    PostgreSQL that is a database of its own, beside the others of that server, which is dropped afterwards. Rows,
    sequences, objects and schema must be exactly those of the moment of the backup; its indexes are checked where the
    extension C(amcheck) can be had.
  - A proof is bound to the checksums of its backup. Where damage is found, the proof is taken away, and the module fails
    once all backups have been looked at; RV(checks) has one check for each.
  - In check mode backups are read, but nothing is written and nothing restored.
  - A database that a killed run has left is dropped by the next test restore on that server.
extends_documentation_fragment:
  - runbook.ops.attributes.full
  - runbook.ops.postgresql.server
  - runbook.ops.postgresql.connection
options:
  directory:
    description: Absolute directory of the backups.
    type: path
    required: true
  set:
    description: Name of the set; its backups are C(<set>_<YYYYMMDD>T<HHMMSS>Z). Without it O(pattern).
    type: str
  pattern:
    description:
      - Glob of what a script has made there, files or directories with a date in their names. They are held against the checksums in
        C(manifest.json) or C(SHA256SUMS) of a directory, or in a file beside them such as C(dump.sql.gz.sha256).
      - Without one a compressed file is read to its end, and a dump has to say that it is complete. Nothing is written, and nothing restored.
    type: str
  newest:
    description: With O(pattern), how many of the newest are read.
    type: int
    default: 7
  names:
    description:
      - Names of the backups to look at.
      - Without it all of the set.
    type: list
    elements: str
  max_age:
    description:
      - The newest verified backup is late when older, such as V(26h).
      - Without it age is not judged.
    type: str
    aliases: [max_age_seconds]
  reread_after:
    description: What was read so long ago is read again though nobody has written to it, because disks forget. V(0s) reads all.
    type: str
    default: 30d
  drill:
    description: Whether a backup is restored as a test, where one is due.
    type: bool
    default: false
  drill_backups:
    description:
      - V(newest) restores the newest verified backup.
      - V(all) restores each that has not been.
    type: str
    default: newest
    choices: [newest, all]
  drill_max_age:
    description:
      - A test restore counts for so long, such as V(8d). With V(newest) one of any backup of the set counts.
      - Without it a backup that has passed once is not restored again.
    type: str
    aliases: [drill_max_age_seconds]
  identity:
    description:
      - Private key of encrypted backups, an age identity or an armoured key of GnuPG without a passphrase.
      - It reaches the program by a pipe, and is never on disk.
    type: str
  tables:
    description: Tables that must be in each backup, C(schema.table), or without a schema in C(public).
    type: list
    elements: str
    default: []
  canaries:
    description: Queries of the application whose one number must be above zero in what was restored. They cannot write.
    type: list
    elements: str
    default: []
  amcheck_max_size:
    description:
      - The smallest B-tree indexes, so many bytes of them together, are compared with their tables row by row. Of the
        others the order is checked, which takes a sixth of the time.
      - V(0B) checks none.
    type: str
    default: 64MB
  auth_database:
    description: Database of MongoDB that knows O(login_user).
    type: str
    default: admin
  scratch:
    description:
      - Absolute directory where files and the data of Redis are restored as a test.
      - Without it O(directory).
    type: path
  jobs:
    description:
      - Sessions that restore side by side, where the backup allows it.
      - Without it as many as there are processors, at most four.
    type: int
  timeout_seconds:
    description: How many seconds a restore may take.
    type: int
    default: 21600
seealso:
  - module: runbook.ops.backup_rotate
notes:
  - For MongoDB O(login_host), O(login_port), O(login_user) and O(login_password) name its server, so O(login_port) is needed. The backup is restored
    into a database of its own, C(runbook_ops_drill_<number>), and what C(mongodump) reads of that is held against the manifest.
  - The test restore of a PostgreSQL backup needs a role that may create databases, and the roles that the manifest names.
  - Rows and indexes that are restored are written to the server's log of changes (WAL), as any restore is. Name another
    server where that must not be.
"""

EXAMPLES = r"""
- name: Look whether the backups are undamaged
  runbook.ops.backup_verify:
    directory: /backups/shop
    set: shop

- name: Restore the newest as a test, at least once a week
  runbook.ops.backup_verify:
    directory: /backups/shop
    set: shop
    max_age: 26h
    drill: true
    drill_max_age: 8d
    tables: [public.users, public.orders]
    canaries: ["SELECT count(*) FROM orders WHERE created_at > now() - interval '30 days'"]

- name: Read again what a script has made
  runbook.ops.backup_verify:
    directory: /home/shop/backups
    pattern: '20??????_??????'
    max_age: 26h

- name: Restore an encrypted one as a test, on a server in a container
  runbook.ops.backup_verify:
    directory: /backups/shop
    set: shop
    drill: true
    identity: "{{ vault_backup_identity }}"
    project: shop
    service: postgres
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be.
  returned: always
  type: list
  elements: str
backups:
  description: The backups of the set, oldest first.
  returned: always
  type: list
  elements: dict
  contains:
    name: {description: Its name., type: str}
    path: {description: Its directory., type: str}
    kind: {description: What it is a backup of., type: str}
    taken_at: {description: 'The moment that it shows, ISO 8601 in UTC.', type: str}
    identity: {description: SHA-256 of its checksums., type: str}
    size: {description: Bytes., type: int}
    verified: {description: Whether it is undamaged., type: bool}
    proven: {description: Whether it has been restored as well., type: bool}
    checked_at: {description: 'When its proof was written, null without one.', type: str}
    drill: {description: 'The last test restore: at, seconds, target, differences, canaries, amcheck, passed; null without one.', type: dict}
    problems: {description: What is damaged., type: list, elements: str}
bytes_read:
  description: How much was read again.
  returned: always
  type: int
problems:
  description: What is wrong, a line each. The module fails when there is one.
  returned: always
  type: list
  elements: str
checks:
  description: Age of the newest verified backup and of the last test restore, and one check for each damaged backup.
  returned: always
  type: list
  elements: dict
changes:
  description: What changed, or in check mode would.
  returned: always
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import SetError
from ansible_collections.runbook.ops.plugins.module_utils._backup_verify import ARGUMENTS, run
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import RULES

WHICH = {
    "required_one_of": [("set", "pattern")],
    "mutually_exclusive": [*RULES["mutually_exclusive"], ("set", "pattern")],
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True, **{**RULES, **WHICH})
    try:
        result = run(module.params, check_mode=module.check_mode)
    except (SetError, ValueError) as exc:
        module.fail_json(msg=str(exc))
    except OSError as exc:
        module.fail_json(msg=f"{exc.filename or 'the backups'}: {exc.strerror or exc}: remove the cause and run again")
    if result["problems"]:
        more = f" (and {len(result['problems']) - 1} more)" if len(result["problems"]) > 1 else ""
        module.fail_json(msg=result["problems"][0] + more, **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
