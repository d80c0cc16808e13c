# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules that restore databases can all be told, as doc_fragments/restore.py describes it. Private to this collection."""

from __future__ import annotations

from typing import Any

SOURCE: dict[str, Any] = {
    "directory": {"type": "path"},
    "taken_before": {"type": "str"},
    "from_database": {"type": "str"},
    "identity": {"type": "str", "no_log": True},
}
BESIDE: dict[str, Any] = {
    "jobs": {"type": "int", "default": 2},
    "min_free_percent": {"type": "float", "default": 5},
    "keep_days": {"type": "float", "default": 7},
    "plan_only": {"type": "bool", "default": False},
    "journal_directory": {"type": "path", "default": "/var/lib/runbook-ops/restores"},
}
