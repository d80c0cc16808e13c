# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module pg_maintenance as Ansible would, in a process of its own, against a private cluster."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import module_process
from module_process import start_module
from pg_cluster import Cluster

ROOT = Path(__file__).resolve().parents[2]


def start(cluster: Cluster, database: str, *, check: bool = False, **options: Any) -> subprocess.Popen[str]:
    """Return the module's process, which has been told what to do."""
    arguments = {
        "databases": [database],
        "login_unix_socket": str(cluster.directory),
        "login_port": cluster.port,
        "_ansible_check_mode": check,
        "_ansible_remote_tmp": str(cluster.directory),
        **options,
    }
    return start_module("pg_maintenance", arguments)


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Return the module's result.

    :raises RuntimeError: it printed none.
    """
    result = module_process.finish(process)
    if result.get("killed"):
        raise RuntimeError(f"the module ended with {process.returncode} and no result: {result['msg']}")
    return result
