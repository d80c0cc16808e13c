# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller knows about the run it is in. Private to this collection; runs on the controller only."""

from __future__ import annotations

import calendar
import getpass
import hashlib
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._playbook_name import playbook_name

ROOT = Path(__file__).parents[2]
PROC = Path("/proc")


def this_run(variables: Mapping[str, Any], playbooks: Sequence[str], parent: int | None = None) -> dict[str, Any]:
    """Return what identifies this run: the same for all its hosts, plays and workers.

    :param variables: the task's variables
    :param playbooks: the playbooks as given on the command line
    :param parent: the process that is the run; without it the one that started this worker
    """
    pid = parent or os.getppid()
    began = process_began(pid)
    process = "/".join((*_machine(), str(pid), began or "0"))
    job = variables.get("awx_job_id") or variables.get("tower_job_id")
    return {
        "id": f"awx-{job}" if job else hashlib.sha256(process.encode()).hexdigest()[:12],
        "playbook": playbook_name(playbooks),
        "started_at": _started_at(began),
        "user": _user(),
        "controller": socket.gethostname(),
        "process": process,
        "awx_job_id": str(job) if job else None,
        "schedule_entry": str(variables.get("schedule_entry") or "") or None,
        "left_out": left_out(variables),
        "awx_user": str(variables.get("awx_user_name") or variables.get("tower_user_name") or "") or None,
        "versions": {
            "collection": collection_version(),
            "ansible": str((variables.get("ansible_version") or {}).get("full", "")),
        },
    }


def left_out(variables: Mapping[str, Any]) -> list[str]:
    """Return the hosts of the system that ``--limit`` keeps out of the run: what it finds is not said of them."""
    if not variables.get("ansible_limit"):
        return []
    hosts = set(variables["groups"]["all"]) - set(variables["ansible_play_hosts_all"])
    own = variables[
        "ops_system"
    ]  # not templated, as those of the others are not: what they hold may not be readable here
    return sorted(host for host in hosts if variables["hostvars"].raw_get(host).get("ops_system") == own)


def is_gone(process: str) -> bool | None:
    """Return whether the run of ``process`` has ended; None where that cannot be told from this controller."""
    *machine, pid, began = ["", "", *process.split("/")]
    if tuple(machine[2:]) != _machine() or not pid.isdigit():
        return None
    if _has_ended(int(pid)):
        return True
    seen = process_began(int(pid))
    return seen != began if seen or not _is_there(int(pid)) else None


def _has_ended(pid: int) -> bool:
    """Return whether only the number of ``pid`` is left, for a parent that has not asked how it ended: some in CI never do."""
    try:
        return _stat(pid)[0] in ("Z", "X")
    except OSError:
        return False


def _stat(pid: int) -> list[str]:
    """Return what the kernel says of a process from its state on: the name before it, in brackets, may hold anything."""
    return (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()


def _is_there(pid: int) -> bool:
    """Return whether a process has the number ``pid``, also where those of other accounts are hidden (hidepid)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def process_began(pid: int) -> str | None:
    """Return when ``pid`` began, in the system's own words, to tell it from a later process; None if none is seen."""
    try:
        return _stat(pid)[19]  # field 22, in ticks since the boot
    except (PermissionError, ProcessLookupError):
        return None  # it is another account's and hidden; or it ended while it was read
    except FileNotFoundError:
        if (PROC / "self").exists():
            return None
    # No /proc, such as on macOS: ps is there, in 10 ms.
    asked = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)],
        env={"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
    )
    return asked.stdout.strip() or None


@lru_cache(maxsize=1)
def _machine() -> tuple[str, str]:
    """Return what tells this boot of this machine, and this container on it, from all others."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return boot, os.readlink("/proc/self/ns/pid")  # noqa: PTH115  (not a path: pid:[4026531836])
    except OSError:
        return socket.gethostname(), "-"


def _started_at(began: str | None) -> str:
    """Return when the run began, in ISO 8601 to the second, from what :func:`process_began` returned."""
    if began and began.isdigit():
        uptime = time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
        moment = time.time() - uptime + int(began) / os.sysconf("SC_CLK_TCK")
        seconds = int(moment)
    else:
        words = "%a %b %d %H:%M:%S %Y"  # what ps prints, in UTC as it was told to
        seconds = calendar.timegm(time.strptime(began, words)) if began else int(time.time())
    return datetime.fromtimestamp(seconds, tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _user() -> str:
    """Return who started the run; behind sudo, who called sudo."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())  # an execution environment's user need not have a name


@lru_cache(maxsize=1)
def collection_version() -> str:
    """Return the collection's version: from its manifest when installed, from galaxy.yml in a checkout."""
    manifest = ROOT / "MANIFEST.json"
    if manifest.exists():
        return str(json.loads(manifest.read_text(encoding="utf-8"))["collection_info"]["version"])
    found = re.search(r"^version: (\S+)$", (ROOT / "galaxy.yml").read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else "unknown"
