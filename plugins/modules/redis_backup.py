#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: save all that a Redis server holds."""

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_backup
short_description: Save all that a Redis server holds
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Asks the server for a dump of this moment, as a replica does, while it goes on serving. It needs no program of Redis, and
    writes nothing where Redis runs.
  - The dump is read to its end while it is written. A short one, or one whose checksum is wrong, is never a backup. Its
    manifest says how many keys each database holds, those that expire apart, and sums up the names of those that do not.
  - The backup has its name only once all of it is on the disk. What a killed run left is removed by the next one.
extends_documentation_fragment:
  - runbook.ops.attributes
  - runbook.ops.redis
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
  - The account needs C(+sync), C(+replconf) and C(+info). Services that are sold as Redis often refuse the first.
  - A server with C(repl-diskless-sync) waits C(repl-diskless-sync-delay) seconds before it begins, five by default.
seealso:
  - module: runbook.ops.redis_restore
"""

EXAMPLES = r"""
- name: Save the Redis of this host
  runbook.ops.redis_backup:
    name: main
    password: "{{ vault_redis_password }}"
    directory: /backups/redis
    set: main-redis
    unless_younger_than: 20h

- name: Save one that runs in a service of Compose, for two keys
  runbook.ops.redis_backup:
    name: queue
    project: newsletter
    service: redis
    directory: /backups/redis
    set: newsletter-redis
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
      description: The moment that it shows. Null in check mode, as are size and identity.
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
from ansible_collections.runbook.ops.plugins.module_utils._redis_backup import RedisStore
from ansible_collections.runbook.ops.plugins.module_utils._redis_server import SERVER_ARGUMENTS
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import (
    ARGUMENTS as SET,
)
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import (
    ERRORS,
    Wish,
    back_up,
    one_line,
)

ARGUMENTS: dict[str, Any] = {**SERVER_ARGUMENTS, **SET}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True, required_by={"service": ["project"]})
    try:
        store = RedisStore.from_options(module.params)
        result = back_up(Wish.from_options(module.params), store, check_mode=module.check_mode)
    except ERRORS as exc:
        module.fail_json(msg=f"Redis {module.params['name']} was not backed up: {one_line(exc)}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
