# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module pg_maintenance as Ansible would, in a process of its own, against a private cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from pg_cluster import Cluster

ROOT = Path(__file__).resolve().parents[2]
MODULE = "ansible_collections.runbook.ops.plugins.modules.pg_maintenance"


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
    process = subprocess.Popen(
        [sys.executable, "-m", MODULE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "collections")},
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))
    process.stdin.close()
    process.stdin = None
    return process


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Return the module's result.

    :raises RuntimeError: it printed none.
    """
    out, err = process.communicate()
    try:
        result: dict[str, Any] = json.loads(out)
    except json.JSONDecodeError as exc:
        raise RuntimeError(f"the module ended with {process.returncode} and no result: {err or out}") from exc
    return result
