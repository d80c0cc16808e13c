# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How each kind of backup is restored as a test, one import a function. Private to this collection.

Who packs it for a host finds by reading what it needs.
"""

# ruff: noqa: PLC0415  # an import inside each function is what this file is for
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_set import Backup

# Restores a backup somewhere it harms nobody, compares it with its manifest, leaves nothing behind, and returns ``kind``,
# ``target``, ``seconds``, ``differences`` and ``passed``, and what else is worth knowing. It raises what kept it from that.
Drill = Callable[[Backup, Mapping[str, Any]], dict[str, Any]]


def _files() -> Drill:
    from ansible_collections.runbook.ops.plugins.module_utils._drill_files import drill

    return drill


def _mongodb() -> Drill:
    from ansible_collections.runbook.ops.plugins.module_utils._drill_mongodb import drill

    return drill


def _postgresql() -> Drill:
    from ansible_collections.runbook.ops.plugins.module_utils._drill_postgresql import drill

    return drill


def _redis() -> Drill:
    from ansible_collections.runbook.ops.plugins.module_utils._drill_redis import drill

    return drill


def _rows() -> Drill:
    from ansible_collections.runbook.ops.plugins.module_utils._drill_postgresql_rows import drill

    return drill


DRILLS: dict[str, Callable[[], Drill]] = {
    "files": _files,
    "mongodb": _mongodb,
    "postgresql": _postgresql,
    "postgresql-rows": _rows,
    "redis": _redis,
}
