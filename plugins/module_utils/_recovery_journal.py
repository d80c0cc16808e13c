# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was there before a recovery: by it a host is cleaned. Private to this collection."""

from __future__ import annotations

import grp
import json
import os
import pwd
import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _recovery_docker as docker
from ansible_collections.runbook.ops.plugins.module_utils._small_file import replace_file

# Where packages of databases and servers keep what they are given; gone with the drill where they came with it.
STORES = (
    *(
        "/var/lib/postgresql",
        "/var/log/postgresql",
        "/etc/postgresql",
        "/var/lib/redis",
        "/var/log/redis",
        "/etc/redis",
    ),
    *("/var/lib/nginx", "/var/log/nginx", "/etc/nginx", "/usr/local/lib/node_modules", "/root/.pm2"),
    *docker.STORES,
)


class RecoveryHostError(Exception):
    """A host that nothing may be recovered on, or that could not be cleaned; the message is one line."""


def write_journal(path: Path, content: Mapping[str, Any]) -> None:
    """Write what was there before anything is done: a run that is killed later is cleaned up by it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(path, json.dumps(content).encode())


def read_journal(path: Path) -> dict[str, Any] | None:
    """Return what :func:`write_journal` has written.

    :raises RecoveryHostError: it is of no use.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as exc:
        raise RecoveryHostError(f"{path} cannot be read ({exc}): throw this host away and take another") from exc
    return dict(content)


def begin(wanted: Mapping[str, Sequence[str]], program: Callable[..., Any]) -> dict[str, Any]:
    """Return the journal of a recovery: what is wanted, and what there is before."""
    paths = wanted["paths"]
    made = [str(parent) for path in paths for parent in reversed(Path(path).parents) if not parent.exists()]
    watched = (*paths, *STORES, *(f"/etc/systemd/system/pm2-{one}.service" for one in wanted["accounts"]))
    return {
        "began_at": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        **{key: list(wanted[key]) for key in ("paths", "accounts", "roles", "units")},
        "made": list(dict.fromkeys(made)),
        "there": [path for path in dict.fromkeys(watched) if os.path.lexists(path)],
        "packages": packages(program),
        "users": [one.pw_name for one in pwd.getpwall()],
        "groups": [one.gr_name for one in grp.getgrall()],
        "docker": docker.listed(program) if is_there("docker") else None,
    }


def packages(program: Callable[..., Any]) -> list[str]:
    """Return the names of the packages that are installed."""
    said: str = program("dpkg-query")("-W", "-f", "${Package} ${db:Status-Status}\\n")
    return [
        name
        for name, status in (line.split() for line in said.splitlines() if " " in line)
        if status != "not-installed"
    ]


def is_there(program: str) -> bool:
    """Return whether the host has a program."""
    return shutil.which(program, path="/usr/local/bin:/usr/bin:/usr/sbin:/sbin:/bin") is not None
