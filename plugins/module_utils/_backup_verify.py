# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verify the backups of a set, or those of a script: what can be asked for, and by whom at a time. Private to this collection."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_set import locked
from ansible_collections.runbook.ops.plugins.module_utils._backup_verification import Verification, seconds_of
from ansible_collections.runbook.ops.plugins.module_utils._given import with_defaults
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import ARGUMENTS as TARGET
from ansible_collections.runbook.ops.plugins.module_utils._script_verify import verify

ARGUMENTS: dict[str, Any] = {
    **TARGET,
    "directory": {"type": "path", "required": True},
    "set": {"type": "str"},
    "pattern": {"type": "str"},
    "newest": {"type": "int", "default": 7},
    "names": {"type": "list", "elements": "str"},
    "max_age": {"type": "str", "aliases": ["max_age_seconds"]},
    "reread_after": {"type": "str", "default": "30d"},
    "drill": {"type": "bool", "default": False},
    "drill_backups": {"type": "str", "default": "newest", "choices": ["newest", "all"]},
    "drill_max_age": {"type": "str", "aliases": ["drill_max_age_seconds"]},
    "identity": {"type": "str", "no_log": True},
    "tables": {"type": "list", "elements": "str", "default": []},
    "canaries": {"type": "list", "elements": "str", "default": []},
    "amcheck_max_size": {"type": "str", "default": "64MB"},
    "auth_database": {"type": "str", "default": "admin"},
    "scratch": {"type": "path"},
    "jobs": {"type": "int"},
    "timeout_seconds": {"type": "int", "default": 21600},
}


def run(params: Mapping[str, Any], *, now: datetime | None = None, check_mode: bool = False) -> dict[str, Any]:
    """Return the result of the module. Independent of Ansible; what ``params`` lacks has its default.

    :raises SetError: the directory cannot be worked on, or another process verifies the set.
    :raises ValueError: an option cannot be meant.
    """
    given = with_defaults(params, ARGUMENTS)
    if not given["set"]:
        # Names of a script's files hold local time without a zone, so that is what they are compared with.
        local = (now or datetime.now(timezone.utc)).astimezone().replace(tzinfo=None)
        age, directory = seconds_of(given["max_age"]), Path(given["directory"])
        return verify(directory, given["pattern"] or "*", newest=given["newest"], max_age=age, now=local)
    at = (now or datetime.now(timezone.utc)).replace(microsecond=0)  # as proofs write it
    job = Verification(given, now=at, check_mode=check_mode)
    directory = Path(given["directory"])
    if check_mode or not directory.is_dir():
        return job.run()
    with locked(directory, f"{given['set']}.verify"):
        shutil.rmtree(directory / f".{given['set']}.drill", ignore_errors=True)  # of a test restore that was killed
        return job.run()
