#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: import rows into a PostgreSQL database, from an export or out of a whole backup."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_import
short_description: Import an export, or single tables of a backup, into a PostgreSQL database
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Takes rows that M(runbook.ops.pg_export) has written, or O(tables) or O(rows) of a backup that M(runbook.ops.pg_backup) has made, and
    puts them among those of a database, all of them or none. Other rows stay as they are.
  - A whole backup is restored into a database of its own for this, compared exactly with its manifest, and dropped again.
  - The rows are brought into temporary tables first. There they must be as many as was counted when they were exported, and fit the
    columns. Then each is compared with the one that has its key. One that is missing is inserted, an equal one is left, and
    O(different) says what becomes of one with other values.
  - What was there of these rows is exported to a set in O(way_back_directory) before, with that of all tables of the export. To import
    that with O(different=replace) and O(extra=delete), and in O(tables) those that RV(tables) names, is the way back.
  - All changes are one transaction. Meanwhile other sessions can read these tables, and who writes to them waits. Only where tables refer
    to each other in a circle, readers wait as well, while the rows go in. Unique and foreign keys hold at its end, triggers of the
    application do not fire, and sequences are moved behind the numbers that came in.
extends_documentation_fragment:
  - runbook.ops.attributes
  - runbook.ops.rows
  - runbook.ops.postgresql.server
  - runbook.ops.postgresql.connection
  - runbook.ops.restore.source
  - runbook.ops.change.fence
attributes:
  check_mode:
    support: full
    details:
      - The rows are compared, in temporary tables. A whole backup is restored into a database of its own for that, which is dropped again.
  diff_mode:
    support: full
    details: [How many rows of each table are inserted, replaced and deleted. Never a row.]
  idempotent:
    support: full
options:
  database:
    description: The database that the rows go into.
    type: str
    required: true
  backup:
    description: The path of an export or a backup, its name in O(directory), or V(latest), the newest of O(set).
    type: str
    required: true
  set:
    description: Name of the set that V(latest) in O(backup) is looked for in.
    type: str
  accept_unproven:
    description: Why rows are taken out of a whole backup that has not passed a test restore. Without it such a one is refused.
    type: str
    default: ""
  tables:
    description:
      - Tables to import. Of an export all of them without it.
      - Of a whole backup either this or O(rows) must be given.
    type: list
    elements: str
    default: []
  different:
    description:
      - What becomes of rows that are there with other values. V(refuse) does nothing at all then, and lists them.
      - Rows that have the key of one of ours, and belong to somebody else, are always refused.
    type: str
    choices: [refuse, leave, replace]
    default: refuse
  extra:
    description:
      - What becomes of rows that are there, belong to the tables or rows that are meant, and are not among those that are imported. V(delete)
        is for one who wants exactly what was exported.
      - Where a foreign key would delete or change rows with them that are not meant, nothing is done at all.
    type: str
    choices: [leave, delete]
    default: leave
  way_back_directory:
    description: Where what was there is kept, as the set C(<database>-before-import).
    type: path
    default: /var/backups/runbook-ops
  way_back_encryption:
    description: For whom that is encrypted. It is not without it.
    type: dict
    suboptions:
      method:
        description: Program that encrypts.
        type: str
        choices: [age, gpg]
        required: true
      recipients:
        description: Public keys, or absolute paths of files that hold them.
        type: list
        elements: str
        required: true
  way_back_keep_days:
    description: Delete what was kept by earlier imports when it is older than so many days, once this one has succeeded.
    type: float
    default: 30
  list_rows:
    description: How many rows with other values are listed of each table, by their keys.
    type: int
    default: 10
  jobs:
    description: Number of tables of a whole backup that are restored side by side.
    type: int
    default: 2
  plan_only:
    description: Compare and return what would be done, and nothing else. Unlike in check mode nothing is reported as a change that would be made.
    type: bool
    default: false
  timeout_seconds:
    description: How many seconds each step may take.
    type: int
    default: 3600
  lock_timeout_seconds:
    description: How many seconds to wait for those who write to the tables. Then nothing is done.
    type: int
    default: 10
seealso:
  - module: runbook.ops.pg_export
  - module: runbook.ops.pg_restore
notes:
  - Needs the owner of the tables or a superuser where the application has triggers on them.
"""

EXAMPLES = r"""
- name: Take a tenant in
  runbook.ops.pg_import:
    database: newsletter
    backup: /var/backups/exports/tenant-7_20261121T020004Z

- name: Put back the rows of a table that somebody deleted, and leave those that were changed since
  runbook.ops.pg_import:
    database: newsletter
    backup: latest
    directory: /home/deploy/newsletter/backups
    set: daily
    tables: [subscribers]
    different: leave

- name: Go back to what was there before an import
  runbook.ops.pg_import:
    database: newsletter
    backup: "{{ __import['way_back'] }}"
    tables: "{{ __import['tables'] | map(attribute='table') | list }}"
    different: replace
    extra: delete
"""

RETURN = r"""
tables:
  description:
    - How the rows stood to those that were there, for each table. C(new), C(equal), C(different), C(foreign), which are those of the different
      ones that are somebody else's, C(extra), and in C(listed) the keys of different ones with the names of the columns that differ.
    - Also where the import is refused because of them.
  returned: success, and where it is refused because of rows that are there
  type: list
  elements: dict
refused:
  description: Why it would be refused, with O(plan_only); else null.
  returned: success
  type: str
backup:
  description: Where the rows are from.
  returned: success
  type: str
way_back:
  description: Where is what was there before; null where nothing was changed.
  returned: success
  type: str
notes:
  description: What should be known of the rows, as M(runbook.ops.pg_export) returns it.
  returned: success
  type: list
  elements: str
lines:
  description: All of it for people, without any value of a row but keys.
  returned: success
  type: list
  elements: str
actions:
  description: What was done, or would be.
  returned: always
  type: list
  elements: str
changes:
  description: The same, in the shape that console and record read.
  returned: success
  type: list
  elements: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._change_fence import FENCE, fenced
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import LockError
from ansible_collections.runbook.ops.plugins.module_utils._pg_import import ARGUMENTS, run
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import RULES
from ansible_collections.runbook.ops.plugins.module_utils._rows_catalog import RowsError
from ansible_collections.runbook.ops.plugins.module_utils._rows_result import RefusedError, told


def main() -> None:
    module = AnsibleModule(argument_spec={**ARGUMENTS, **FENCE}, supports_check_mode=True, **RULES)
    try:
        look = module.check_mode or module.params["plan_only"]
        with fenced(module.params, check_mode=look):
            result: dict[str, Any] = run(module.params, check_mode=module.check_mode)
    except RefusedError as exc:
        module.fail_json(msg=str(exc), changed=False, actions=[], tables=told(exc.found))
    except (LockError, RowsError) as exc:
        module.fail_json(msg=str(exc), changed=False, actions=[])
    module.exit_json(**result)


if __name__ == "__main__":
    main()
