# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module as Ansible would, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def start_module(
    name: str, arguments: Mapping[str, Any], *, environment: Mapping[str, str] | None = None, own_session: bool = False
) -> subprocess.Popen[str]:
    """Return the module's process, which has been told what to do."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"ansible_collections.runbook.ops.plugins.modules.{name}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "collections"), **(environment or {})},
        start_new_session=own_session,
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
