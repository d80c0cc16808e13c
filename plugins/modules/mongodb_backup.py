#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: save a MongoDB database."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mongodb_backup
short_description: Save a MongoDB database
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Has C(mongodump) read the database while it is served, and reads its archive to the end while it is written. One that was cut off, or in
    which the checksum of a collection is wrong, is never a backup.
  - Its manifest says for each collection how many documents it holds, what they come to as one sum whatever their order, and which indexes and
    options it has; and, where the server is in a replica set, how many writes came while it was dumped. Without one the backup shows one moment.
  - The backup has its name only once all of it is on the disk. What a killed run left is removed by the next one.
extends_documentation_fragment:
  - runbook.ops.attributes
  - runbook.ops.mongodb
  - runbook.ops.backup_set
  - runbook.ops.backup_set.encoded
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: [It shows what the backup has and the last one had not. In check mode only its name.]
  idempotent:
    support: partial
    details: [A backup is an event. With O(unless_younger_than) there is one in that time.]
notes:
  - The account needs the role C(backup), with which it may also count the writes in the oplog.
  - C(mongodump --oplog), which shows one moment in any case, dumps whole servers only, and C(mongorestore) replays it under no other names. So it could
    neither be proven nor restored beside what is live, and is not used.
  - Users and roles are the server's and are not in it; nor is what a restore keeps beside the collections.
seealso:
  - module: runbook.ops.mongodb_restore
  - module: runbook.ops.backup_verify
"""

EXAMPLES = r"""
- name: Save a database of this host
  runbook.ops.mongodb_backup:
    database: shop
    user: backup
    password: "{{ vault_mongodb_password }}"
    directory: /backups/mongodb
    set: shop
    unless_younger_than: 20h

- name: Save one that runs in a service of Compose, for two keys
  runbook.ops.mongodb_backup:
    database: shop
    project: shop
    service: mongo
    directory: /backups/mongodb
    set: shop
    encryption:
      method: age
      recipients: ["{{ backup_public_key }}", "{{ escrow_public_key }}"]
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be done.
  returned: success
  type: list
  elements: str
backup:
  description: The backup. The last one where it is young enough.
  returned: success
  type: dict
  contains:
    name:
      description: Its name.
      type: str
    path:
      description: Its directory.
      type: str
    taken_at:
      description: When it was begun. Null in check mode, as are size and identity.
      type: str
    size_bytes:
      description: What its payload needs on the disk.
      type: int
    needed_bytes:
      description: What it may need, in check mode.
      type: int
    identity:
      description: SHA-256 of its C(SHA256SUMS).
      type: str
    content:
      description: What the manifest says is in it.
      type: dict
cleaned:
  description: Names of what killed runs had left.
  returned: success
  type: list
  elements: str
changes:
  description: A record of the change, made or predicted.
  returned: success
  type: list
  elements: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._mongo_backup import MongoStore
from ansible_collections.runbook.ops.plugins.module_utils._mongo_server import ARGUMENTS as SERVER
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import (
    ARGUMENTS as SET,
)
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import (
    ERRORS,
    Wish,
    back_up,
    one_line,
)

ARGUMENTS: dict[str, Any] = {**SERVER, **SET}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True, required_by={"service": ["project"]})
    try:
        store = MongoStore.from_options(module.params)
        result = back_up(Wish.from_options(module.params), store, check_mode=module.check_mode)
    except ERRORS as exc:
        module.fail_json(msg=f"MongoDB {module.params['database']} was not backed up: {one_line(exc)}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
