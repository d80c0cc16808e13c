# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What exports and imports of rows can be told. Private to this collection."""

from __future__ import annotations

from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._codec import ENCRYPTION
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import ARGUMENTS as TARGET
from ansible_collections.runbook.ops.plugins.module_utils._restore_arguments import SOURCE

ROWS: dict[str, Any] = {
    "type": "list",
    "elements": "dict",
    "default": [],
    "options": {
        "table": {"type": "str", "required": True},
        "column": {"type": "str", "required": True},
        "value": {"type": "str", "required": True},
    },
}
# What rows are meant; of both modules.
SELECTION: dict[str, Any] = {
    "tables": {"type": "list", "elements": "str", "default": []},
    "rows": ROWS,
    "follow": {"type": "bool", "default": True},
    "exclude": {"type": "list", "elements": "str", "default": []},
    "accept_shared": {"type": "bool", "default": False},
}
EXPORT: dict[str, Any] = {
    **TARGET,
    **SELECTION,
    "database": {"type": "str", "required": True},
    "directory": {"type": "path", "required": True},
    "set": {"type": "str"},
    "compression": {"type": "str", "default": "auto", "choices": ["auto", "zstd", "gzip", "none"]},
    "encryption": ENCRYPTION,
    "unless_younger_than": {"type": "str"},
    "keep_days": {"type": "float"},
    "plan_only": {"type": "bool", "default": False},
    "timeout_seconds": {"type": "int", "default": 3600},
}
IMPORT: dict[str, Any] = {
    **TARGET,
    **SELECTION,
    **SOURCE,
    "database": {"type": "str", "required": True},
    "backup": {"type": "str", "required": True},
    "set": {"type": "str"},
    "accept_unproven": {"type": "str", "default": ""},
    "different": {"type": "str", "default": "refuse", "choices": ["refuse", "leave", "replace"]},
    "extra": {"type": "str", "default": "leave", "choices": ["leave", "delete"]},
    "way_back_directory": {"type": "path", "default": "/var/backups/runbook-ops"},
    "way_back_encryption": ENCRYPTION,
    "way_back_keep_days": {"type": "float", "default": 30},
    "list_rows": {"type": "int", "default": 10},
    "jobs": {"type": "int", "default": 2},
    "plan_only": {"type": "bool", "default": False},
    "timeout_seconds": {"type": "int", "default": 3600},
    "lock_timeout_seconds": {"type": "int", "default": 10},
}
