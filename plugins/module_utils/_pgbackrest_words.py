# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The restore of a cluster to a moment, told to people. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration, human_size

STEPS = {
    "drop": "drop what was recovered beside",
    "flush": "bring the WAL up to now into the archive",
    "restore": "restore the backup beside the live cluster",
    "recover": "recover it to the moment, and let it stand still there",
    "count": "count its rows",
    "exchange": "stop both servers, and exchange their directories",
    "start": "start the recovered cluster, which takes writes from then on",
    "back": "stop the server, and give the old directory its name back",
    "start the old one": "start the server as it was",
    "finish": "finish the restore",
    "delete": "delete what was kept long enough",
}


def lines(plan: Mapping[str, Any], entry: Mapping[str, Any], steps: list[str], warnings: list[str]) -> list[str]:
    """Return the plan for people."""
    said = [
        f"cluster      {plan['cluster']}, {plan['data_directory']}, {'running' if plan['running'] else 'NOT running'}"
    ]
    said.append(f"moment       {plan['target_time'] or 'none'}")
    if plan.get("backup_at"):
        said[-1] += f", {human_duration(plan['lost_seconds'])} ago; the earliest is {plan['earliest']}"
        said.append(
            f"begins with  the backup {plan['backup']} of {plan['backup_at']}, {human_size(plan['size_bytes'])}"
        )
        said.append(
            f"lost         what was committed after {plan['target_time']}, where the whole cluster is put in place"
        )
    now = plan.get("rows_now") or {}
    is_of_it = entry.get("stage") == "prepared" and entry.get("target") == plan["target_time"]
    for database, tables in (entry.get("rows") or {}).items() if is_of_it else ():
        for table, rows in tables.items():
            estimate = now.get(database, {}).get(table)
            beside = f" (now about {estimate})" if estimate is not None else ""
            said.append(f"rows         {database} {table}: {rows}{beside}")
    said += [f"warning      {one}" for one in warnings]
    said += [f"step         {one}" for one in steps]
    return [*said, *(f"kept         {one['path']}, since {one['since']}" for one in entry.get("kept", []))]
