#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: restore files beside the live ones, and exchange their names."""

from __future__ import annotations

DOCUMENTATION = r"""
module: file_restore
short_description: Restore files beside the live ones, then exchange their names
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Restores paths of a backup under another name beside the live ones, compares them exactly with the backup's manifest, and only
    then exchanges the names, at once for each path. The live ones are kept until they are pruned.
  - Everything is on disk in a journal before it is done. What a killed run began, the next one finishes or undoes.
  - Refuses a damaged backup, one that has not passed a test restore, one that lies in what is replaced, and paths with a file
    system mounted in them.
extends_documentation_fragment:
  - runbook.ops.path_restore
  - runbook.ops.restore.writers
  - runbook.ops.change.fence
options:
  name:
    description: What the restore is called in its journal. There is one restore of a name at a time.
    type: str
    required: true
  paths:
    description:
      - What to restore, of the paths that were saved, or something below one of them. All of them without it.
      - What lies below one is compared only by the checksum of the backup.
    type: list
    elements: path
    default: []
  from_host:
    description:
      - Host name of where the backup was made, where that is not this one. The backup of another host is refused otherwise.
    type: str
    default: ""
  carry_excluded:
    description:
      - Give what was left out of the backup, such as C(node_modules), a name in what is restored as well, by hard links to what is
        live.
    type: bool
    default: true
notes:
  - Who has the files open does not notice. Name such services in O(services), or reload them afterwards, such as nginx after C(nginx -t).
seealso:
  - module: runbook.ops.file_backup
  - module: runbook.ops.backup_verify
"""

EXAMPLES = r"""
- name: See the plan (with --check), or restore beside the live configuration
  runbook.ops.file_restore:
    name: nginx
    paths: [/etc/nginx]
    backup: latest
    directory: /backups/files
    set: owlivion-files
    state: prepared

- name: Put it in place
  runbook.ops.file_restore:
    name: nginx
    state: swapped

- name: Go back
  runbook.ops.file_restore:
    name: nginx
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
from ansible_collections.runbook.ops.plugins.module_utils._file_restore import FileRestore
from ansible_collections.runbook.ops.plugins.module_utils._path_restore import FAILED_RESTORE, Restore
from ansible_collections.runbook.ops.plugins.module_utils._path_restore_terms import ARGUMENTS as RESTORE
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import one_line
from ansible_collections.runbook.ops.plugins.module_utils._writers import Writers

ARGUMENTS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "paths": {"type": "list", "elements": "path", "default": []},
    "from_host": {"type": "str", "default": ""},
    "carry_excluded": {"type": "bool", "default": True},
    **RESTORE,
    **FENCE,
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS, supports_check_mode=True, required_if=[("state", "prepared", ("backup",))]
    )
    try:
        restore = Restore(
            FileRestore(module.params), module.params, check_mode=module.check_mode, writers=Writers(module)
        )
        with fenced(module.params, check_mode=module.check_mode):
            result = restore.run()
    except (LockError, *FAILED_RESTORE) as exc:
        module.fail_json(msg=one_line(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
