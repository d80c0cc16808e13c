# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much room the disks under a server have: on this host, or seen from inside its container. Private to this collection."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import PgTarget
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import PipelineError, Stage, run_pipeline

HERE = ("", "localhost", "127.0.0.1", "::1")


def free_here(directories: Mapping[str, str | None]) -> dict[int, int]:
    """Return the free bytes of the disks under the server's tablespaces (oid), where this host sees them."""
    free = {}
    for oid, path in directories.items():
        if path and Path(path).is_dir():
            disk = os.statvfs(path)
            free[int(oid)] = disk.f_bavail * disk.f_frsize
    return free


def parse_df(text: str) -> int | None:
    """Return the free bytes that ``df -Pk`` told of one path."""
    lines = text.splitlines()
    fields = lines[-1].split() if len(lines) > 1 else []
    return int(fields[3]) * 1024 if len(fields) >= 6 and fields[3].isdigit() else None


def free_of(params: Mapping[str, Any]) -> Callable[[Mapping[str, str | None]], dict[int, int]]:
    """Return what tells the free bytes of the server that ``params`` reach; of a server elsewhere nothing is known."""
    if params.get("container") or params.get("service"):
        target = PgTarget.from_params(params)
        return lambda directories: _free_inside(target, directories)
    host = params.get("login_host") or ""
    return free_here if host in HERE or host.startswith("/") else lambda _directories: {}


def _free_inside(target: PgTarget, directories: Mapping[str, str | None]) -> dict[int, int]:
    free = {}
    for oid, path in directories.items():
        if not path:
            continue
        try:
            argv = ["docker", "exec", target.container, "df", "-Pk", path]
            said = parse_df(run_pipeline([Stage(argv)], timeout_seconds=20).text)
        except (PgError, PipelineError):
            continue
        if said is not None:
            free[int(oid)] = said
    return free
