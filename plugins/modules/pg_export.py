#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: export tables of a PostgreSQL database, or the rows of one tenant."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_export
short_description: Export tables of a PostgreSQL database, or the rows of one tenant
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Writes rows of one database to a set, as M(runbook.ops.pg_backup) does. It is a directory V(<set>_<YYYYMMDD>T<HHMMSS>Z) with one file for
    each table, a C(manifest.json) and C(SHA256SUMS), which gets its name once all of it is on the disk. Its owner alone can read it.
  - Either O(tables) are exported whole, or O(rows), and all rows of other tables that refer to them. All are of the same moment.
  - Each row is counted before it is written and after. The database is only read.
  - M(runbook.ops.pg_import) takes the export in.
extends_documentation_fragment:
  - runbook.ops.attributes
  - runbook.ops.backup_set.encoded
  - runbook.ops.rows
  - runbook.ops.postgresql.server
  - runbook.ops.postgresql.connection
attributes:
  check_mode:
    support: full
    details: [The rows are counted.]
  diff_mode:
    support: full
    details: [Tables with the number of their rows. Never a row.]
  idempotent:
    support: partial
    details: [Every run makes an export, unless O(unless_younger_than) is set.]
options:
  database:
    description: The database.
    type: str
    required: true
  tables:
    description: Tables that are exported whole, with their schema where that is not V(public). Instead of O(rows).
    type: list
    elements: str
    default: []
  directory:
    description: Absolute directory of the exports. It is made, for its owner alone, where it is missing.
    type: path
    required: true
  set:
    description: Name that these exports share. Without it the name of the database with C(-export).
    type: str
  unless_younger_than:
    description: Make none while the set has one of the same rows that is younger, such as V(20h), and encrypted for the same.
    type: str
  keep_days:
    description: Delete exports of the set that are older than so many days, once a new one is there. They hold personal data. None is deleted without it.
    type: float
  plan_only:
    description: Count, return what would be exported, and nothing else. Unlike in check mode nothing is reported as a change that would be made.
    type: bool
    default: false
  timeout_seconds:
    description: How many seconds each table may take.
    type: int
    default: 3600
seealso:
  - module: runbook.ops.pg_import
  - module: runbook.ops.pg_backup
"""

EXAMPLES = r"""
- name: Export all that belongs to one tenant
  runbook.ops.pg_export:
    database: newsletter
    rows:
      - {table: tenants, column: id, value: 7}
    directory: /var/backups/exports
    set: tenant-7
    encryption:
      method: age
      recipients: "{{ backup_public_keys }}"

- name: Export two tables
  runbook.ops.pg_export:
    database: newsletter
    tables: [campaigns, email_events]
    directory: /var/backups/exports
"""

RETURN = r"""
export:
  description: The export that was made, or the one that is young enough; null in check mode where one would be made.
  returned: always
  type: dict
  contains:
    name: {description: Its name., type: str, sample: tenant-7_20261121T020004Z}
    path: {description: Where it is., type: str}
    set: {description: The set it belongs to., type: str}
    identity: {description: 'SHA-256 of its SHA256SUMS, which no other export has.', type: str}
    taken_at: {description: 'The moment that it shows, in UTC.', type: str}
    seconds: {description: How long it took., type: float}
    size: {description: Bytes of its payload., type: int}
    compression: {description: 'One of zstd, gzip, none.', type: str}
    encryption: {description: 'One of age, gpg; null where it is not encrypted.', type: str}
tables:
  description: C(table), C(rows), and in C(by) which rows these are, each table behind those that it refers to.
  returned: always
  type: list
  elements: dict
notes:
  description: What should be known. Tables that are referred to and not taken, and tables that seem to belong to the rows and have no foreign key.
  returned: always
  type: list
  elements: str
actions:
  description: What was done, or would be.
  returned: always
  type: list
  elements: str
changes:
  description: The export, in the shape that console and record read.
  returned: always
  type: list
  elements: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._pg_export import ARGUMENTS, run
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import RULES
from ansible_collections.runbook.ops.plugins.module_utils._rows_catalog import RowsError


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True, **RULES)
    try:
        result: dict[str, Any] = run(module.params, check_mode=module.check_mode)
    except RowsError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
