# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a system's description says of the rows of one database. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_tasks import plan_tasks
from ansible_collections.runbook.ops.plugins.module_utils._restore_options import restore_options


def rows_options(system: Mapping[str, Any], name: str, tenant: Any = "") -> dict[str, Any]:
    """Return how the database ``name`` is reached, where its backups are, and in ``rows`` which are those of ``tenant``.

    In ``encryption`` stands for whom its backups are encrypted: exports of it are no less worth it.

    :raises ValueError: there is no such database here, or nothing says where its tenants are told apart.
    """
    options = restore_options(system, name)
    rows = []
    if str(tenant):
        known = next(one for one in system["databases"] if one["name"] == name).get("tenants")
        if not known:
            raise ValueError(
                f"nothing says where the tenants of {name} are told apart: describe tenants of it in ops_databases, or give rows"
            )
        rows = [{"table": known["table"], "column": known.get("column") or "id", "value": str(tenant)}]
    made = [task["options"] for task in plan_tasks(system, "pg_backup") if task["name"] == name]
    encryption = (made[0].get("encryption") if made else None) or {}
    return {
        "encryption": encryption,
        **{key: options[key] for key in ("reach", "secret", "directory", "set")},
        "rows": rows,
    }
