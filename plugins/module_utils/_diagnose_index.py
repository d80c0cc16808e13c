# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collectors by name. Private to this collection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import (
    _diagnose_access,
    _diagnose_changes,
    _diagnose_databases,
    _diagnose_host,
    _diagnose_logs,
    _diagnose_network,
    _diagnose_redis,
    _diagnose_releases,
    _diagnose_services,
    _diagnose_sockets,
)
from ansible_collections.runbook.ops.plugins.module_utils._diagnose import Found

COLLECTORS: dict[str, Callable[[dict[str, Any]], Found]] = {
    "load": _diagnose_host.load,
    "memory": _diagnose_host.memory,
    "disk": _diagnose_host.disk,
    "sockets": _diagnose_sockets.sockets,
    "units": _diagnose_host.units,
    "kernel": _diagnose_host.kernel,
    "network": _diagnose_network.network,
    "versions": _diagnose_network.versions,
    "pm2": _diagnose_services.pm2,
    "docker": _diagnose_services.docker,
    "log": _diagnose_logs.log,
    "container_log": _diagnose_logs.container_log,
    "access": _diagnose_access.access,
    "postgresql": _diagnose_databases.postgresql,
    "mongodb": _diagnose_databases.mongodb,
    "redis": _diagnose_redis.redis,
    "packages": _diagnose_changes.packages,
    "logins": _diagnose_changes.logins,
    "releases": _diagnose_releases.releases,
    "configuration": _diagnose_changes.configuration,
    "runs": _diagnose_changes.runs,
}
