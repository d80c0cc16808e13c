# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the logs of a system are rotated: what follows from its description, as logrotate reads it. Private to this collection."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

DAY_SECONDS = 86400
# Of each of these one word holds: that of the description where it has one, the first otherwise.
USUAL_OF = (
    ("daily", "hourly", "weekly", "monthly", "yearly"),
    ("compress", "nocompress"),
    ("delaycompress", "nodelaycompress"),
    ("missingok", "nomissingok"),
    ("notifempty", "ifempty"),
)
KEPT_ALL = 3650  # rotated files of a log of which nothing says how long they are kept: ten years of days
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


def plan_rotations(
    system: Mapping[str, Any], homes: Mapping[str, str], groups: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """Return what is rotated on this host: C(path), C(days), C(max_size_bytes), C(options), C(user) and C(group).

    Without C(days) nothing that was rotated goes; C(user) is None where the directory says whose a log is.

    :param homes: the home directories of accounts
    :param groups: the groups of accounts; one that bears the name of the account without it
    :raises ValueError: an option is none of logrotate's, or a path cannot be written down.
    """
    retention = system.get("retention") or {}
    found = [
        {
            "path": log["path"],
            "days": math.ceil(log["older_than_seconds"] / DAY_SECONDS) if log.get("older_than_seconds") else None,
            "max_size_bytes": log.get("max_size_bytes"),
            "options": _options(log.get("options") or ()),
            "user": None,
            "group": None,
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
                "options": _options(()),
                "user": user,
                "group": (groups or {}).get(user) or user,
            }
            for user in users
            if user in homes
        ]
    for one in found:
        _refuse(one)
    return found


def owned(rotations: Iterable[Mapping[str, Any]], directories: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return ``rotations`` with the C(owner) and C(group) that each is done as, without those whose directory is not there.

    Who makes such a directory later may be an account, whose files root would then touch.

    :param directories: what M(ansible.builtin.stat) says of those that are there
    :raises ValueError: one belongs to nobody who has a name.
    """
    known = {one["path"]: one for one in directories if one.get("exists")}
    found = []
    for one in rotations:
        folder = one["path"].rpartition("/")[0]
        told = known.get(folder)
        if one["user"]:
            found.append({**one, "owner": one["user"]})
        elif told:
            if not told.get("pw_name") or not told.get("gr_name"):
                raise ValueError(
                    f"the directory {folder} belongs to {told.get('uid')}:{told.get('gid')}, of which one has no name on this "
                    "host, and logrotate takes names: make the account, or take its logs out of ops_retention.logs"
                )
            found.append({**one, "owner": told["pw_name"], "group": told["gr_name"]})
    return found


def _options(given: Iterable[str]) -> list[str]:
    words = list(given)
    return [group[0] for group in USUAL_OF if not any(word in group for word in words)] + words


def render(rotations: Iterable[Mapping[str, Any]]) -> str:
    """Return the file of logrotate for ``rotations``, each with the C(owner) and C(group) of its directory."""
    lines = ["# Written by runbook.ops (playbook log_rotation), which replaces it whole."]
    for one in rotations:
        words = list(one["options"])
        if not any(word.split(" ")[0] in REOPENS for word in words):
            words.append("copytruncate")
        if one["max_size_bytes"]:
            words.append(f"maxsize {one['max_size_bytes']}")
        words += [f"rotate {one['days']}", f"maxage {one['days']}"] if one["days"] else [f"rotate {KEPT_ALL}"]
        if (one["owner"], one["group"]) != ("root", "root"):
            words.append(f"su {one['owner']} {one['group']}")  # what others may put there is not touched as root
        lines += ["", f'"{one["path"]}" {{', *(f"    {word}" for word in words), "}"]
    return "\n".join(lines) + "\n"


def _refuse(rotation: Mapping[str, Any]) -> None:
    if not PLAIN.match(rotation["path"]):
        raise ValueError(f"ops_retention.logs: {rotation['path']!r} holds what logrotate does not take in a path")
    folder = rotation["path"].rpartition("/")[0]
    if any(sign in folder for sign in "*?["):
        raise ValueError(
            f"ops_retention.logs: the directory of {rotation['path']} is a glob: name each, since whose logs they are says who rotates them"
        )
    for word in rotation["options"]:
        if not WORD.match(word) or word.split(" ")[0] in SCRIPTS:
            raise ValueError(
                f"ops_retention.logs: {word!r} cannot stand among the options of {rotation['path']}: take words of logrotate "
                "that need no script; how long logs are kept is older_than"
            )
