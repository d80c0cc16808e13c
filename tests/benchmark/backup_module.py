# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module pg_backup as Ansible would, in a process of its own, against a private cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pg_cluster import Cluster

ROOT = Path(__file__).resolve().parents[2]
MODULE = "ansible_collections.runbook.ops.plugins.modules.pg_backup"


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
    process = subprocess.Popen(
        [sys.executable, "-m", MODULE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "collections"), **(environment or {})},
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))
    process.stdin.close()
    process.stdin = None
    return process


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Return the module's result; ``{"killed": True}`` where it printed none."""
    out, err = process.communicate()
    try:
        result: dict[str, Any] = json.loads(out)
    except json.JSONDecodeError:
        return {"killed": True, "msg": err or out}
    return result


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
