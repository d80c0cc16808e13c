# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module pg_backup as Ansible would, in a process of its own, against a private cluster."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from module_process import start_module
from pg_cluster import Cluster

ROOT = Path(__file__).resolve().parents[2]


def start(
    cluster: Cluster, database: str, directory: Path, *, environment: Mapping[str, str] | None = None, **options: Any
) -> subprocess.Popen[str]:
    """Return the module's process, which has been told what to do."""
    arguments = {
        "database": database,
        "directory": str(directory),
        "login_unix_socket": str(cluster.directory),
        "login_port": cluster.port,
        "_ansible_remote_tmp": str(cluster.directory),
        **options,
    }
    return start_module("pg_backup", arguments, environment=environment)


def family(pid: int) -> list[tuple[int, str]]:
    """Return the processes (pid, name) below ``pid``, parents first, whichever thread has started them."""
    found = []
    for children in Path("/proc", str(pid), "task").glob("*/children"):
        try:
            for child in children.read_text().split():
                name = Path("/proc", child, "comm").read_text().strip()
                found += [(int(child), name), *family(int(child))]
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended just now
    return found
