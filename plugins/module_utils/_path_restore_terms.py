# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore beside what is live is told, and tells. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from ansible_collections.runbook.ops.plugins.module_utils._backup_set import Backup
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration, human_size

STATES = ["prepared", "swapped", "reverted", "pruned"]
JOURNALS = "/var/lib/runbook-ops/restores"
# A journal that nothing was written into yet. Open is what is not finished; closed is what this has stopped and not started again,
# with the services that use it, the writers.
NOTHING: dict[str, Any] = {"stage": "none", "open": False, "closed": False, "writers": [], "asked": {}}
# The options that file_restore, redis_restore and mongodb_restore share.
ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "required": True, "choices": STATES},
    "backup": {"type": "str"},
    "directory": {"type": "path"},
    "set": {"type": "str"},
    "taken_before": {"type": "str", "default": ""},
    "accept_unproven": {"type": "str", "default": ""},
    "identity": {"type": "str", "no_log": True},
    "services": {"type": "list", "elements": "dict", "default": []},
    "wait_timeout_seconds": {"type": "int", "default": 60},
    "keep_days": {"type": "float", "default": 7},
    "min_free_percent": {"type": "float", "default": 5},
    "timeout_seconds": {"type": "int", "default": 3600},
    "journal_directory": {"type": "path", "default": JOURNALS},
}


class Kind(Protocol):
    """What is restored. Where its names are none of paths, ``names`` does with them what ``_path_swap`` does with paths."""

    name: str  # of the journal, and for people
    kind: str  # of the backups that fit

    def asked(self) -> dict[str, Any]:
        """Return what of the options says what is restored, beside the backup: with others it is another restore."""

    def plan(self, backup: Backup, stamp: str) -> dict[str, Any]:
        """Return ``items``, ``lines`` for people, and what else the steps need later. Refuse what cannot be done.

        Each line has what it is about in its first 13 columns.
        """

    def prepare(self, backup: Backup, entry: Mapping[str, Any]) -> None:
        """Write what is new beside what is live, and prove it."""

    def close(self, entry: Mapping[str, Any]) -> None:
        """Stop what has the live files open."""

    def open(self, entry: Mapping[str, Any], *, restored: bool) -> None:
        """Start it again, and prove that it has what it should."""


def source_lines(backup: Backup, reason: str, now: datetime) -> list[str]:
    taken = backup.manifest["taken_at"]
    age = human_duration(max((now - backup.taken_at).total_seconds(), 0))
    size = human_size(backup.manifest["size"])
    return [f"source       {backup.path}, {size}, taken at {taken}, {age} old", f"proof        {reason}"]


def way_back_lines(backup: Backup) -> list[str]:
    return [
        f"lost         what was written after {backup.manifest['taken_at']}: what is live is kept, look for it there",
        "way back     state reverted puts back what is kept; state pruned deletes it when it is old enough",
    ]
