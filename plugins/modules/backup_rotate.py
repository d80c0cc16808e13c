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
  - Deletes old backups of one directory. A backup is a regular file whose name matches O(pattern) and holds a date;
    nothing else is ever touched.
  - The rules mean what they mean in C(restic forget). O(keep.within) counts from the newest good backup, not from now,
    so a wrong clock, or backups that stopped, never empty the directory.
  - The newest good backup always stays. Good is one that holds at least O(min_size) and, where backups there come with
    a checksum file (its name and C(.sha256), C(.sha512), C(.md5), C(.sig), C(.asc), C(.manifest), C(.manifest.json)),
    has one. Checksum files go together with their backup; C(.partial), C(.part) and C(.tmp) files stay.
  - The oldest are deleted first. What a killed run leaves, the next one deletes.
extends_documentation_fragment:
  - runbook.ops.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  directory:
    description: Absolute directory of the backups. Directories below it are not searched.
    type: path
    required: true
  pattern:
    description: Glob that the names of the backups match, such as V(backup_*.sql*).
    type: str
    required: true
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
  min_size:
    description: A smaller backup is not good, such as V(1kB); a bare number is bytes.
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
  description: Whether there is a good backup, whether it is late, whether one is dated in the future.
  returned: success
  type: list
  elements: dict
changes:
  description: What changed, or in check mode would.
  returned: success
  type: list
  elements: dict
"""

import contextlib
import os
import stat
import threading
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._dated_names import NAME, SIDECARS, read_dates
from ansible_collections.runbook.ops.plugins.module_utils._retention import COUNTED, prune, read_keep
from ansible_collections.runbook.ops.plugins.module_utils._rotation import (
    Rotation,
    RotationError,
    judge,
    refuse_too_many,
    report,
)
from ansible_collections.runbook.ops.plugins.module_utils._units import parse_duration, parse_size

ARGUMENTS: dict[str, Any] = {
    "directory": {"type": "path", "required": True},
    "pattern": {"type": "str", "required": True},
    "date_format": {"type": "str"},
    "keep": {
        "type": "dict",
        "required": True,
        "options": {
            **{rule: {"type": "int"} for rule in COUNTED},
            "within": {"type": "str", "aliases": ["within_seconds"]},
        },
    },
    "minimum": {"type": "int", "default": 3},
    "min_size": {"type": "str", "default": "1B"},
    "max_age": {"type": "str"},
    "max_delete_percent": {"type": "int", "default": 90},
    "names_limit": {"type": "int", "default": 20},
}


class Folder:
    """One open directory: whatever is renamed around it, files are looked at and deleted in this one."""

    def __init__(self, path: str, *, min_size: int) -> None:
        self.path, self.min_size = path, min_size
        self.sidecars: set[str] = set()
        try:
            self.descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as exc:
            raise RotationError(f"cannot open the directory {path} ({exc.strerror}): correct directory") from exc
        self.device = os.fstat(self.descriptor).st_dev

    def names(self) -> Iterator[str]:
        names = os.listdir(self.descriptor)  # noqa: PTH208  # pathlib cannot list an open directory
        while names:
            yield names.pop()  # given away one by one: two full lists of 200 000 names are all the memory we allow

    def look(self, name: str) -> os.stat_result | None:
        """Return what is known of ``name`` where it is a regular file of this file system."""
        try:
            found = os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return found if stat.S_ISREG(found.st_mode) and found.st_dev == self.device else None

    def is_good(self, name: str) -> bool:
        found = self.look(name)
        complete = not self.sidecars or bool(self.beside(name))
        return found is not None and found.st_size >= self.min_size and complete

    def beside(self, name: str) -> list[str]:
        return [name + suffix for suffix in SIDECARS if name + suffix in self.sidecars] if self.sidecars else []

    def remove(self, backups: list[str], *, check_mode: bool) -> tuple[list[str], int]:
        """Delete those of ``backups`` that are regular files, oldest first; return them and the bytes that they held.

        In check mode the same, without deleting. The kernel frees the bytes of one file while another is looked at, so
        many files are shared between two threads.
        """
        sizes: list[int | None] = [None] * len(backups)
        errors: list[OSError] = []
        threads = 2 if len(backups) > 1000 else 1

        def work(first: int) -> None:
            try:
                for index in range(first, len(backups), threads):
                    if errors:
                        return
                    with contextlib.suppress(FileNotFoundError):  # somebody else was quicker
                        sizes[index] = self.remove_one(backups[index][NAME], check_mode=check_mode)
            except OSError as exc:
                errors.append(exc)

        helpers = [threading.Thread(target=work, args=(first,), daemon=True) for first in range(1, threads)]
        for helper in helpers:
            helper.start()
        work(0)
        for helper in helpers:
            helper.join()
        removed = [backup for backup, size in zip(backups, sizes) if size is not None]
        if errors:
            raise RotationError(
                f"cannot delete {errors[0].filename} in {self.path} ({errors[0].strerror}); {len(removed)} of "
                f"{len(backups)} backups were deleted. Remove the cause and run again"
            )
        return removed, sum(size for size in sizes if size is not None)

    def remove_one(self, name: str, *, check_mode: bool) -> int | None:
        """Delete one backup, after its sidecars: what a killed run leaves is a backup still. Return their bytes."""
        found = self.look(name)
        if found is None:
            return None
        size = found.st_size
        for beside in self.beside(name):
            extra = self.look(beside)
            if extra is not None:
                size += extra.st_size
                if not check_mode:
                    os.unlink(beside, dir_fd=self.descriptor)
        if not check_mode:
            os.unlink(name, dir_fd=self.descriptor)
        return size


def run(options: dict[str, Any], *, now: datetime, check_mode: bool) -> dict[str, Any]:
    """Delete what the rules let go, and return what happened.

    :param now: in the host's own time zone, without a zone, as the names have none
    :raises RotationError: the directory cannot be read, a file not be deleted, or too many would go.
    :raises ValueError: an option cannot be meant.
    """
    keep, min_size = read_keep(options["keep"]), parse_size(options["min_size"])
    max_age = None if options["max_age"] is None else parse_duration(options["max_age"])
    limit, directory = options["max_delete_percent"], options["directory"]
    folder = Folder(directory, min_size=min_size)
    try:
        dated = read_dates(folder.names(), pattern=options["pattern"], date_format=options["date_format"])
        folder.sidecars = dated.sidecars
        plan = prune(dated.backups, keep=keep, now=now, minimum=options["minimum"], is_good=folder.is_good)
        refuse_too_many(len(plan.delete), len(dated.backups), limit=limit, directory=directory)
        removed, size = folder.remove(plan.delete, check_mode=check_mode)
    finally:
        os.close(folder.descriptor)
    found = len(dated.backups) - len(plan.delete) + len(removed)  # what had the name of a backup and was none is none
    rotation = Rotation(directory, keep, dated, plan, found, removed, size)
    checks = judge(rotation, now=now, max_age=max_age)
    return {**report(rotation, names_limit=options["names_limit"]), "checks": checks}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        # The names hold local time without a zone, so that is what they are compared with.
        result = run(module.params, now=datetime.now(), check_mode=module.check_mode)
    except (RotationError, ValueError) as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
