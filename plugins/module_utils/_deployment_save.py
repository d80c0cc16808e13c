# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have the manager bring back after a boot what runs now. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._pm2_host import Pm2Host

SAVE_SECONDS = 60


def save(service: Mapping[str, Any], module: Any) -> None:
    """Save PM2's list; Compose needs nothing of the kind.

    :raises Pm2Error: PM2 cannot be asked.
    :raises CommandError: it cannot be saved.
    """
    if service["manager"] == "pm2":
        Pm2Host(module, service["user"], None).save(limit_seconds=SAVE_SECONDS)
