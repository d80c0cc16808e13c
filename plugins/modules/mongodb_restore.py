#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: restore a MongoDB database beside what is live, and exchange the names."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mongodb_restore
short_description: Restore a MongoDB database beside what is live, and exchange the names
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Has C(mongorestore) restore a backup into collections beside the live ones of the same database, C(<collection>.restored-<time>), and holds their
    documents and indexes against the manifest, while the live ones serve. To put them in place, who uses the database is stopped and the names are
    exchanged. The live ones are kept as C(<collection>.before-<time>).
  - Within one database a server renames a collection at once and copies nothing, but one after the other; there is no exchange of all at once. So who
    uses them has to be in O(services), and everything is on disk in a journal before it is done. What a killed run began, the next one finishes or undoes.
  - A collection that is there now and was not when it was saved is put away too, so that what is live is what was saved.
extends_documentation_fragment:
  - runbook.ops.mongodb
  - runbook.ops.path_restore
  - runbook.ops.restore.writers
  - runbook.ops.change.fence
options:
  from_database:
    description: The database that the backup is of, where it is not O(database). A backup of another one is refused otherwise.
    type: str
    default: ""
notes:
  - What is written between the backup and the exchange is in what is kept.
  - Views stay as they are. A backup with a time series is refused, because a server cannot rename one.
  - The account needs the roles C(restore) and C(readWrite) on the database. In a replica set it is the primary that is asked.
seealso:
  - module: runbook.ops.mongodb_backup
  - module: runbook.ops.backup_verify
"""

EXAMPLES = r"""
- name: See the plan (with --check), or restore beside the live collections
  runbook.ops.mongodb_restore:
    database: shop
    user: admin
    password: "{{ vault_mongodb_password }}"
    backup: latest
    directory: /backups/mongodb
    set: shop
    state: prepared

- name: Put it in place
  runbook.ops.mongodb_restore:
    database: shop
    user: admin
    password: "{{ vault_mongodb_password }}"
    services: "{{ system_description['services'] | selectattr('name', 'in', ['shop-api']) }}"
    state: swapped

- name: Go back
  runbook.ops.mongodb_restore:
    database: shop
    user: admin
    password: "{{ vault_mongodb_password }}"
    services: "{{ system_description['services'] | selectattr('name', 'in', ['shop-api']) }}"
    state: reverted
"""

RETURN = r"""
actions:
  description: What was done, or would be, in order.
  returned: success
  type: list
  elements: str
stage:
  description: How far the restore is, one of none, preparing, prepared, swapping, swapped, reverting, reverted. In check mode how
    far it is now.
  returned: success
  type: str
open:
  description: Whether a restore is under way. V(pruned) finishes one that is in place.
  returned: success
  type: bool
replaces:
  description: Whether anything was live when it was planned, so that something is replaced.
  returned: success
  type: bool
backup:
  description: Path of the backup that was prepared last.
  returned: success
  type: str
lines:
  description: The plan for people, with source, age, what is replaced and where that is kept.
  returned: success
  type: list
  elements: str
kept:
  description: What is kept, each with C(path), C(why) and C(since).
  returned: success
  type: list
  elements: dict
seconds:
  description: How long each step took. C(closed) is how long the exchange took, with stop and start where there is something to stop.
  returned: success
  type: dict
changes:
  description: What changed, or in check mode would.
  returned: success
  type: list
  elements: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._change_fence import FENCE, fenced
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import LockError
from ansible_collections.runbook.ops.plugins.module_utils._mongo_restore import MongoRestore
from ansible_collections.runbook.ops.plugins.module_utils._mongo_server import ARGUMENTS as SERVER
from ansible_collections.runbook.ops.plugins.module_utils._path_restore import FAILED_RESTORE, Restore
from ansible_collections.runbook.ops.plugins.module_utils._path_restore_terms import ARGUMENTS as RESTORE
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import one_line
from ansible_collections.runbook.ops.plugins.module_utils._writers import Writers

ARGUMENTS: dict[str, Any] = {"from_database": {"type": "str", "default": ""}, **SERVER, **RESTORE, **FENCE}


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        required_if=[("state", "prepared", ("backup",))],
        required_by={"service": ["project"]},
    )
    try:
        kind = MongoRestore(module.params)
        restore = Restore(kind, module.params, check_mode=module.check_mode, writers=Writers(module))
        with fenced(module.params, check_mode=module.check_mode):
            result = restore.run()
    except (LockError, *FAILED_RESTORE) as exc:
        module.fail_json(msg=one_line(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
