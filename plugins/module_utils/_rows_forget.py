# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exports that a new one leaves too old to be kept. Private to this collection."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.runbook.ops.plugins.module_utils._backup_set import (
    REMOVED,
    Backup,
    clean_up,
    list_backups,
    sync_directory,
)
from ansible_collections.runbook.ops.plugins.module_utils._pg_backup_result import now
from ansible_collections.runbook.ops.plugins.module_utils._rows_copy import KIND


def expired(known: Sequence[Backup], keep_days: float | None) -> list[Backup]:
    """Return those of ``known`` that a new export leaves too old to be kept; none without ``keep_days``, and nothing but exports."""
    if keep_days is None:
        return []
    exports = [one for one in known if one.manifest.get("kind") == KIND]
    return [one for one in exports if (now() - one.taken_at).total_seconds() > keep_days * 86400]


def forget(new: Backup, keep_days: float | None) -> list[str]:
    """Delete the exports of the set that ``new`` leaves too old, and return their names. Hold the set's lock."""
    directory = new.path.parent
    old = expired([one for one in list_backups(directory, new.set) if one.name != new.name], keep_days)
    for one in old:
        one.path.rename(
            one.path.with_name(f"{one.name}{REMOVED}")
        )  # it is none any more from here on, whatever happens
    if old:
        sync_directory(directory)
        clean_up(directory, new.set)
    return [one.name for one in old]
