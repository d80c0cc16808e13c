#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: save files and directories."""

from __future__ import annotations

DOCUMENTATION = r"""
module: file_backup
short_description: Save files and directories with what they are
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Writes O(paths) with owners, modes, times, links and extended attributes into one archive in the format of tar, which C(tar)
    reads as well. No link is followed, and no other file system entered.
  - The manifest says for each path how many files and bytes it holds, and a checksum of all their names, modes, owners and
    contents, which a restored one must have.
  - A file that is written to while it is read is read again, up to three times. What goes on changing, what vanishes meanwhile,
    and what is left out because it is a socket, a device or another file system, is named in the manifest; the first two are warnings as well.
  - The backup has its name only once all of it is on the disk. What a killed run left is removed by the next one.
extends_documentation_fragment:
  - runbook.ops.attributes
  - runbook.ops.backup_set
  - runbook.ops.backup_set.encoded
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: [It shows which paths are not as in the last backup. In check mode only the name of the new one.]
  idempotent:
    support: partial
    details: [A backup is an event. With O(unless_younger_than) there is one in that time.]
options:
  paths:
    description: Absolute paths of files and directories. All of them must exist, and none may lie within another.
    type: list
    elements: path
    required: true
  exclude:
    description:
      - Globs of what is left out. One without a slash is held against each name, such as V(node_modules); one that begins with
        a slash against the whole path; any other against the path below the one in O(paths).
      - The directory of the backups itself is always left out.
    type: list
    elements: str
    default: []
seealso:
  - module: runbook.ops.file_restore
"""

EXAMPLES = r"""
- name: Save the application without what can be installed again, and what serves it
  runbook.ops.file_backup:
    paths:
      - /home/deploy/owlivion
      - /home/deploy/.pm2/dump.pm2
      - /etc/nginx
      - /etc/letsencrypt
      - /var/spool/cron/crontabs
    exclude: [node_modules, .git, '*.log']
    directory: /backups/files
    set: owlivion-files
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
from ansible_collections.runbook.ops.plugins.module_utils._file_backup import FileStore
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import (
    ARGUMENTS as SET,
)
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import (
    ERRORS,
    Wish,
    back_up,
    one_line,
)

ARGUMENTS: dict[str, Any] = {
    "paths": {"type": "list", "elements": "path", "required": True},
    "exclude": {"type": "list", "elements": "str", "default": []},
    **SET,
}
NOTED = {
    "changing": "was written to each time it was read: what is saved may be of two moments",
    "vanished": "vanished while it was read",
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        store = FileStore.from_options(module.params)
        result = back_up(Wish.from_options(module.params), store, check_mode=module.check_mode)
    except ERRORS as exc:
        module.fail_json(msg=f"the files {module.params['set']} were not backed up: {one_line(exc)}")
    if result["changed"]:
        for key, words in NOTED.items():
            names = result["backup"]["content"].get(key) or []
            if names:
                more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
                module.warn(f"{names[0]}{more} {words}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
