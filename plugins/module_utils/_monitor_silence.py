# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""While somebody works on a host, the monitor counts nothing that it sees: for a time that ends by itself. Private to this collection.

One file for each work, written only where the monitor is. A run that is killed leaves it behind, and it is over when its time is, also
after a reboot or where the clock is set back. What cannot be read silences nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._change_lease import Clock, left_seconds
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import (
    NAME,
    StateError,
    read_json,
    remove,
    write_json,
)

DIRECTORY = "/var/lib/runbook-ops/monitor"
FOLDER = "silences"


def begin(work: str, run: str, *, reason: str, seconds: float, now: Clock, directory: str = DIRECTORY) -> bool:
    """Silence the monitor for so long from now, or for longer; return whether there is one here.

    :param work: what is done, which there is one of on a host: the silence is known by it
    :raises StateError: it cannot be written.
    """
    if not Path(directory).is_dir():
        return False
    path = _path(work, directory)
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
    except OSError as exc:
        raise StateError(f"cannot make {path.parent}: {exc.strerror}") from exc
    ends = {"boot": now.boot, "ticks": now.ticks + seconds, "at": now.at + seconds}
    write_json(path, {"owner": run, "work": work, "reason": reason, "lease_seconds": seconds, "ends": ends})
    return True


def end(work: str, run: str, *, directory: str = DIRECTORY) -> None:
    """Let the monitor speak again, where ``run`` has silenced it.

    :raises StateError: the silence cannot be taken away; it ends when its time is over.
    """
    path = _path(work, directory)
    try:
        there = read_json(path)
    except StateError:
        there = None
    if there is not None and there.get("owner") == run:
        remove(path)


def lasting(now: Clock, directory: str = DIRECTORY) -> list[dict[str, Any]]:
    """Return the silences that are not over: for each its ``work``, ``reason``, ``run`` and the seconds ``left``."""
    found = []
    for path in sorted(Path(directory, FOLDER).glob("*.json")):
        try:
            one = read_json(path) or {}
            left = left_seconds(one, now)
            told = {"work": str(one["work"]), "reason": str(one["reason"]), "run": str(one["owner"]), "left": left}
        except (StateError, KeyError, TypeError):
            continue
        if left > 0:
            found.append(told)
    return found


def is_here(directory: str = DIRECTORY) -> bool:
    """Return whether there is a monitor on this host."""
    return Path(directory).is_dir()


def says(silence: Mapping[str, Any]) -> str:
    """Return a silence in words."""
    return f"{silence['work']} (run {silence['run']}: {silence['reason']}), {silence['left']:.0f} s more at most"


def _path(work: str, directory: str) -> Path:
    """:raises StateError: ``work`` is no name of a file."""
    if not NAME.fullmatch(work):
        raise StateError(f"{work!r} cannot be the name of a file: letters, digits and . _ : @ - only, up to 100")
    return Path(directory, FOLDER, f"{work}.json")
