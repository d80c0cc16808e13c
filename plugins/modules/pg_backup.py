#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: make one backup of one PostgreSQL database that says what must be in it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_backup
short_description: Back up a PostgreSQL database so that it can be proven
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Makes a backup of one database. A backup is a directory V(<set>_<YYYYMMDD>T<HHMMSS>Z) in O(directory) that holds the dump, a
    C(manifest.json) and C(SHA256SUMS), which C(sha256sum -c) understands. It gets its name only once all of it is on the
    disk. Until then it is called C(.partial), and the next run of the same set deletes what a killed one left.
  - The manifest says what must be in the database that is restored from it. These are the rows of every table, the sequences,
    the schema's hash, extensions, settings, and the roles that it needs, by name. They are counted in the same snapshot
    that is dumped, while it is dumped.
  - Every program's exit code counts. PostgreSQL's own C(pg_restore) must be able to read the dump, and every table that
    was counted must be in it. Where anything fails, the run fails, nothing of the new backup stays, and the earlier ones are
    as they were.
  - What can be written as a directory is dumped by several sessions at once. What is encrypted, or comes out of a container, is
    one stream, in PostgreSQL's custom format.
  - One backup of a set is made at a time. Passwords of roles are not in it.
  - Whether it can be restored is proven by M(runbook.ops.backup_verify).
extends_documentation_fragment:
  - runbook.ops.attributes
  - runbook.ops.postgresql.server
  - runbook.ops.postgresql.connection
attributes:
  check_mode:
    support: full
    details: [Says what would be made, and whether there is room for it. Rows are not counted.]
  diff_mode:
    support: partial
    details:
      - Shows the tables whose number of rows is not what it was in the backup before, twenty at most.
      - In check mode it shows the backup that would be made.
  idempotent:
    support: partial
    details: [Every run makes a backup, unless O(unless_younger_than) is set.]
options:
  database:
    description: The database.
    type: str
    required: true
  directory:
    description:
      - Where the backups are. It is made, for its owner alone, where it is missing.
      - All that is in a backup can be read by its owner alone.
    type: path
    required: true
  set:
    description:
      - Name that the backups of this database share. Letters, digits, C(.), C(_) and C(-).
      - Without it the name of the database.
    type: str
  jobs:
    description:
      - How many sessions dump at once, where the dump is a directory. Two more hold the snapshot and count.
      - Without it as many as the host has cores, four at most.
    type: int
  compression:
    description:
      - How the dump is compressed.
      - V(auto) is zstd where C(pg_dump) knows it (PostgreSQL 16 and later), or where the dump is one stream and C(zstd) is
        installed; else gzip.
      - Each at its quickest level. V(zstd) takes the least time and room. Before PostgreSQL 16 it is one stream, and so its
        rows are restored by one session.
    type: str
    default: auto
    choices: [auto, zstd, gzip, none]
  encryption:
    description:
      - For whom the dump is encrypted. Only public keys are needed, and the private ones should not be on the host.
      - The manifest is not encrypted. It names tables and counts rows.
    type: dict
    suboptions:
      method:
        description: The program that encrypts.
        type: str
        choices: [age, gpg]
        required: true
      recipients:
        description:
          - Public keys, each of which can then decrypt the backup by itself.
          - Of age, such as V(age1…) or V(ssh-ed25519 …). Of GnuPG, a fingerprint in the keyring of the account that runs this.
          - The whole path of a file is a file that holds such keys.
        type: list
        elements: str
        required: true
  min_free_percent:
    description:
      - How much of the disk must be left free, in percent.
      - How much a backup takes is reckoned from the last one, or as half of the database where there is none.
    type: float
    default: 5
  unless_younger_than:
    description:
      - Do nothing while the newest backup of the set is younger than this, such as V(20h).
      - Without it every run makes a backup.
    type: str
  timeout_seconds:
    description: How many seconds the dump, and each count beside it, may take.
    type: int
    default: 21600
  lock_timeout_seconds:
    description:
      - How many seconds to wait for a table that somebody is changing the structure of. Then the run fails.
      - Readers and writers neither wait for a backup nor does it wait for them.
    type: int
    default: 60
seealso:
  - module: runbook.ops.backup_rotate
notes:
  - Needs C(pg_dump) and C(pg_restore) of the server's version or a newer one, on the host or in the container.
"""

EXAMPLES = r"""
- name: Back up the database, once a day however often this runs
  runbook.ops.pg_backup:
    database: owlivion_sync
    directory: /backups/postgresql
    unless_younger_than: 20h
  register: __backup

- name: Back up what runs in a Compose service, for two keys that are elsewhere
  runbook.ops.pg_backup:
    database: newsletter
    project: newsletter
    service: postgres
    directory: /var/backups/newsletter
    encryption:
      method: age
      recipients: "{{ backup_public_keys }}"

- name: Back up a database of another host
  runbook.ops.pg_backup:
    database: shop
    login_host: db.example.com
    login_user: backup
    login_password: "{{ vault_backup_password }}"
    directory: /var/backups/shop
"""

RETURN = r"""
backup:
  description: The backup that was made, or the one that is young enough; null in check mode where one would be made.
  returned: always
  type: dict
  contains:
    name: {description: Its name., type: str, sample: shop_20261121T020004Z}
    path: {description: Where it is., type: str}
    set: {description: The set it belongs to., type: str}
    identity: {description: 'SHA-256 of its SHA256SUMS, which no other backup has.', type: str}
    taken_at: {description: 'The moment that it shows, in UTC.', type: str}
    seconds: {description: How long it took., type: float}
    size: {description: Bytes of its payload., type: int}
    format: {description: 'PostgreSQL''s format, directory or custom.', type: str}
    compression: {description: 'One of zstd, gzip, none.', type: str}
    encryption: {description: 'One of age, gpg; null where it is not encrypted.', type: str}
    tables: {description: Number of tables., type: int}
    rows: {description: Number of rows in all of them., type: int}
actions:
  description: What was done, or would be, in order.
  returned: always
  type: list
  elements: str
changes:
  description: The backup, in the shape that console and record read.
  returned: always
  type: list
  elements: dict
expected_bytes:
  description: How much room the backup was reckoned to take; null where it is made.
  returned: always
  type: int
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._pg_backup import ARGUMENTS, run
from ansible_collections.runbook.ops.plugins.module_utils._pg_backup_plan import BackupError
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import RULES


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True, **RULES)
    try:
        result: dict[str, Any] = run(module.params, check_mode=module.check_mode)
    except BackupError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
