# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the logs of a system are rotated: what follows from its description, as logrotate reads it. Private to this collection."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

DAY_SECONDS = 86400
USUAL = ("daily", "compress", "delaycompress", "missingok", "notifempty")
# A program that goes on writing into its file is told of none of these: its file is emptied in place unless somebody says better.
REOPENS = ("copytruncate", "copy", "create", "nocopytruncate")
WORD = re.compile(r"[a-z]+( [\w.,:%/+-]+){0,3}\Z")
SCRIPTS = (
    "postrotate",
    "prerotate",
    "firstaction",
    "lastaction",
    "preremove",
    "endscript",
    "include",
    "mail",
    "su",
    "rotate",
    "maxage",
)
PLAIN = re.compile(r'[^"{}\s\\]+\Z')


def plan_rotations(system: Mapping[str, Any], homes: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return what is rotated on this host: C(path), C(days), C(max_size_bytes), C(options) and C(user), None where it is root.

    :param homes: the home directories of accounts
    :raises ValueError: an option is none of logrotate's, or a path cannot be written down.
    """
    retention = system.get("retention") or {}
    found = [
        {
            "path": log["path"],
            "days": math.ceil((log.get("older_than_seconds") or 30 * DAY_SECONDS) / DAY_SECONDS),
            "max_size_bytes": log.get("max_size_bytes"),
            "options": list(log.get("options") or USUAL),
            "user": None,
        }
        for log in retention.get("logs") or []
    ]
    kept = retention.get("application_logs_seconds")
    if kept:
        users = dict.fromkeys(one["user"] for one in system.get("services") or [] if one["manager"] == "pm2")
        found += [
            {
                "path": f"{homes[user]}/.pm2/logs/*.log",
                "days": math.ceil(kept / DAY_SECONDS),
                "max_size_bytes": None,
                "options": list(USUAL),
                "user": user,
            }
            for user in users
            if user in homes
        ]
    for one in found:
        _refuse(one)
    return found


def render(rotations: Iterable[Mapping[str, Any]]) -> str:
    """Return the file of logrotate for ``rotations``, each with the C(owner) and C(group) of its directory."""
    lines = ["# Written by runbook.ops (playbook log_rotation), which replaces it whole."]
    for one in rotations:
        words = list(one["options"])
        if not any(word.split(" ")[0] in REOPENS for word in words):
            words.append("copytruncate")
        if one["max_size_bytes"]:
            words.append(f"maxsize {one['max_size_bytes']}")
        words += [f"rotate {one['days']}", f"maxage {one['days']}"]
        if (one["owner"], one["group"]) != ("root", "root"):
            words.append(f"su {one['owner']} {one['group']}")  # what others may put there is not touched as root
        lines += ["", f'"{one["path"]}" {{', *(f"    {word}" for word in words), "}"]
    return "\n".join(lines) + "\n"


def _refuse(rotation: Mapping[str, Any]) -> None:
    if not PLAIN.match(rotation["path"]):
        raise ValueError(f"ops_retention.logs: {rotation['path']!r} holds what logrotate does not take in a path")
    for word in rotation["options"]:
        if not WORD.match(word) or word.split(" ")[0] in SCRIPTS:
            raise ValueError(
                f"ops_retention.logs: {word!r} cannot stand among the options of {rotation['path']}: take words of logrotate "
                "that need no script; how long logs are kept is older_than"
            )
