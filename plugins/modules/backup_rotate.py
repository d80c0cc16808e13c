#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: delete the backups of one directory that a keep rule lets go."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_rotate
short_description: Delete backups that a keep rule lets go
version_added: 0.1.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Deletes old backups of one directory. A backup is a regular file whose name matches O(pattern) and holds a date, a
    directory of such a name with the checksums of its files in C(manifest.json) (C(checksums)) or C(SHA256SUMS), or a whole
    backup of O(set). Nothing else is ever touched.
  - The rules mean what they mean in C(restic forget). O(keep.within) counts from the newest good backup, not from now,
    so a wrong clock, or backups that stopped, never empty the directory.
  - The newest good backup always stays. Good is one that holds at least O(min_size) and, where backups there come with
    a checksum file (its name and C(.sha256), C(.sha512), C(.md5), C(.sig), C(.asc), C(.manifest), C(.manifest.json)),
    has one. Checksum files go together with their backup; C(.partial), C(.part) and C(.tmp) files stay. A directory is
    good when all that it is to hold is there in its size; a content that is damaged is what M(runbook.ops.backup_verify)
    finds.
  - Of a set, the newest O(minimum_verified) verified backups stay too, and so does the newest that was restored on trial.
  - The oldest are deleted first. A directory is renamed to a name that is no backup's before its files go. What a killed
    run leaves, the next one deletes.
extends_documentation_fragment:
  - runbook.ops.attributes.full
options:
  directory:
    description: Absolute directory of the backups. Directories below it are not searched.
    type: path
    required: true
  pattern:
    description: Glob that the names of the backups match, such as V(backup_*.sql*). Needed without O(set).
    type: str
  set:
    description: Name of a set of backups that modules such as M(runbook.ops.pg_backup) made in O(directory).
    type: str
    version_added: 0.2.0
  date_format:
    description:
      - How the date is written in the names, of C(%Y), C(%m), C(%d), C(%H), C(%M) and C(%S).
      - Without it the usual forms are found, such as C(20261120_020000), C(2026-11-20) and C(2026-11-20T02:00:00).
    type: str
  keep:
    description: What stays. A backup stays when one of these rules keeps it; at least one is needed.
    type: dict
    required: true
    suboptions:
      last:
        description: So many of the newest backups; V(-1) means all, here and below.
        type: int
      hourly:
        description: The newest backup of each hour, for so many hours that have one.
        type: int
      daily:
        description: The newest backup of each day, for so many days that have one.
        type: int
      weekly:
        description: The newest backup of each ISO week, for so many weeks that have one.
        type: int
      monthly:
        description: The newest backup of each month, for so many months that have one.
        type: int
      yearly:
        description: The newest backup of each year, for so many years that have one.
        type: int
      within:
        description: All at most this much older than the newest good one, such as V(90d); a number is seconds.
        type: str
        aliases: [within_seconds]
  minimum:
    description: So many of the newest good backups stay whatever O(keep) says.
    type: int
    default: 3
  minimum_verified:
    description:
      - So many of the newest verified backups of O(set) stay whatever O(keep), age and clock say; while there are fewer, no
        verified one goes. V(0) asks for no proof.
      - Verified is one that M(runbook.ops.backup_verify) found undamaged, and whose files are there in their sizes still.
    type: int
    default: 3
    version_added: 0.2.0
  min_size:
    description:
      - A smaller backup is not good, such as V(1kB); a bare number is bytes. Those of O(set) tell themselves how large they
        have to be.
    type: str
    default: 1B
  max_age:
    description: The newest good backup is reported as late when older, such as V(26h). Without it age is not judged.
    type: str
  max_delete_percent:
    description:
      - Refuse to delete a larger share of the backups in one run, because it looks like a mistake in O(keep).
      - Raise it for the one run that is meant to.
    type: int
    default: 90
  names_limit:
    description: Return at most so many names of deleted backups.
    type: int
    default: 20
seealso:
  - plugin: runbook.ops.backups_to_prune
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Keep the daily backups of 90 days, and never fewer than seven
  runbook.ops.backup_rotate:
    directory: /backups/daily
    pattern: 'backup_*.sql*'
    keep:
      within: 90d
      last: 7

- name: Thin out with age
  runbook.ops.backup_rotate:
    directory: /backups/all
    pattern: 'db-*.dump'
    keep: {daily: 14, weekly: 8, monthly: 12}

- name: Rotate the collection's own backups, and those that a script made there before
  runbook.ops.backup_rotate:
    directory: /backups/daily
    set: daily
    pattern: 'backup_*.sql*'
    keep: {daily: 14, weekly: 8, monthly: 12}
"""

RETURN = r"""
found:
  description: Number of backups before.
  returned: success
  type: int
kept:
  description: Number of backups after.
  returned: success
  type: int
deleted:
  description: Number of backups that were deleted, or in check mode would be.
  returned: success
  type: int
bytes_freed:
  description: Bytes that they held, checksum files included.
  returned: success
  type: int
deleted_names:
  description: The first of them, oldest first, at most O(names_limit).
  returned: success
  type: list
  elements: str
deletions:
  description: The same with the C(reason) why each goes.
  returned: success
  type: list
  elements: dict
  version_added: 0.2.0
keeps:
  description: The newest backups that stay, at most O(names_limit), each with its C(name) and the C(reasons) why.
  returned: success
  type: list
  elements: dict
  version_added: 0.2.0
kept_by:
  description: Number of backups that each rule keeps; one backup may be kept by several.
  returned: success
  type: dict
newest_good:
  description: Name of the newest good backup, null without one.
  returned: success
  type: str
newest_good_at:
  description: The date in its name, without a zone because names have none.
  returned: success
  type: str
newest_verified:
  description: Name of the newest verified backup of O(set), null without one.
  returned: success
  type: str
  version_added: 0.2.0
not_whole:
  description: Names that backups of O(set) would have, of what is none; never touched.
  returned: success
  type: list
  elements: str
  version_added: 0.2.0
not_ours:
  description: Backups that no rule keeps and that stay because something else is in them, and what.
  returned: success
  type: dict
  version_added: 0.2.0
leftovers:
  description: Directories that a killed run was deleting, and that were deleted now.
  returned: success
  type: list
  elements: str
  version_added: 0.2.0
in_future:
  description: Number of backups dated more than a day after now; they stay and count for nothing.
  returned: success
  type: int
not_good:
  description: The first backups that were met and are not good, at most O(names_limit).
  returned: success
  type: list
  elements: str
unfinished:
  description: Number of unfinished files.
  returned: success
  type: int
undated:
  description: Number of matching names without a date; they are never deleted.
  returned: success
  type: int
checks:
  description: Whether there is a good backup, whether it is late, whether one is dated in the future, how many are verified.
  returned: success
  type: list
  elements: dict
changes:
  description: What changed, or in check mode would.
  returned: success
  type: list
  elements: dict
"""

from datetime import datetime
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._backup_rotate import DEFAULTS, rotate
from ansible_collections.runbook.ops.plugins.module_utils._retention import COUNTED
from ansible_collections.runbook.ops.plugins.module_utils._rotation import RotationError

ARGUMENTS: dict[str, Any] = {
    "directory": {"type": "path", "required": True},
    "pattern": {"type": "str"},
    "set": {"type": "str"},
    "date_format": {"type": "str"},
    "keep": {
        "type": "dict",
        "required": True,
        "options": {
            **{rule: {"type": "int"} for rule in COUNTED},
            "within": {"type": "str", "aliases": ["within_seconds"]},
        },
    },
    "minimum": {"type": "int", "default": DEFAULTS["minimum"]},
    "minimum_verified": {"type": "int", "default": DEFAULTS["minimum_verified"]},
    "min_size": {"type": "str", "default": DEFAULTS["min_size"]},
    "max_age": {"type": "str"},
    "max_delete_percent": {"type": "int", "default": DEFAULTS["max_delete_percent"]},
    "names_limit": {"type": "int", "default": DEFAULTS["names_limit"]},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, required_one_of=[("pattern", "set")], supports_check_mode=True)
    try:
        # The names hold local time without a zone, so that is what they are compared with.
        result = rotate(module.params, now=datetime.now(), check_mode=module.check_mode)
    except (RotationError, ValueError) as exc:
        module.fail_json(msg=str(exc))
    except OSError as exc:
        module.fail_json(msg=f"{exc.filename or 'the backups'}: {exc.strerror or exc}: remove the cause and run again")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
