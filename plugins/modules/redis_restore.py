#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: restore the data of a Redis server beside its files, and exchange their names."""

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_restore
short_description: Restore the data of a Redis server, and go back if it does not serve
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Loads a backup into a server of its own and compares it with the backup's manifest, while the live one serves. To put it in place,
    the live one is stopped, its files are kept under another name, and it is started on the restored ones. Where it does not serve, or
    has not loaded what was saved, it goes back by itself.
  - With an append-only log Redis never looks at its dump on a start. Then the restored dump becomes the base of a new log.
  - Everything is on disk in a journal before it is done. What a killed run began, the next one finishes or undoes.
extends_documentation_fragment:
  - runbook.ops.redis
  - runbook.ops.path_restore
  - runbook.ops.restore.writers
  - runbook.ops.change.fence
options:
  from_name:
    description: The server that the backup is of, where it is not O(name). A backup of another one is refused otherwise.
    type: str
    default: ""
  unit:
    description: Unit of systemd that runs the server, unless it runs in a container.
    type: str
  data_directory:
    description: Directory of its files on this host. The server is asked without it, so it is needed where that is down.
    type: path
  append_only:
    description: Whether it keeps an append-only log. The server is asked without it; with O(data_directory) its files tell.
    type: bool
  try_it:
    description: Load the dump into a server of its own first, which needs C(redis-server) on this host and the memory.
    type: bool
    default: true
notes:
  - What is written between the backup and the exchange is in what is kept.
  - The account needs C(+config|get) and C(+info).
seealso:
  - module: runbook.ops.redis_backup
  - module: runbook.ops.backup_verify
"""

EXAMPLES = r"""
- name: See the plan (with --check), or restore beside the live files
  runbook.ops.redis_restore:
    name: main
    unit: redis-server.service
    password: "{{ vault_redis_password }}"
    backup: latest
    directory: /backups/redis
    set: main-redis
    state: prepared

- name: Put it in place
  runbook.ops.redis_restore:
    name: main
    password: "{{ vault_redis_password }}"
    state: swapped

- name: Go back
  runbook.ops.redis_restore:
    name: main
    password: "{{ vault_redis_password }}"
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
from ansible_collections.runbook.ops.plugins.module_utils._path_restore import FAILED_RESTORE, Restore
from ansible_collections.runbook.ops.plugins.module_utils._path_restore_terms import ARGUMENTS as RESTORE
from ansible_collections.runbook.ops.plugins.module_utils._redis_restore import RedisRestore
from ansible_collections.runbook.ops.plugins.module_utils._redis_server import SERVER_ARGUMENTS
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import one_line
from ansible_collections.runbook.ops.plugins.module_utils._writers import Writers

ARGUMENTS: dict[str, Any] = {
    "from_name": {"type": "str", "default": ""},
    "unit": {"type": "str"},
    "data_directory": {"type": "path"},
    "append_only": {"type": "bool"},
    "try_it": {"type": "bool", "default": True},
    **SERVER_ARGUMENTS,
    **RESTORE,
    **FENCE,
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS, supports_check_mode=True, required_if=[("state", "prepared", ("backup",))]
    )
    try:
        restore = Restore(
            RedisRestore(module.params), module.params, check_mode=module.check_mode, writers=Writers(module)
        )
        with fenced(module.params, check_mode=module.check_mode):
            result = restore.run()
    except (LockError, *FAILED_RESTORE) as exc:
        module.fail_json(msg=one_line(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
