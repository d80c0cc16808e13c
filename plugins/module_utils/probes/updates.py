# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Package updates that wait. Private to this collection."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._apt import (
    SHOW_HOLDS,
    SIMULATE,
    judge_updates,
    parse_simulation,
)
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError, limits

SECTION = "Updates"
OPTIONS = {
    "pending": Option("limits", "number of pending updates", limits(None)),
    "security": Option("limits", "number of security updates among them", limits(1)),
    "index_age_days": Option("limits", "days since the package index was refreshed", limits(8)),
}
NOT_DEBIAN = "this host has no apt-get: pending updates are known on Debian and its relatives only"
# apt keeps no date of a refresh, and leaves even its directory alone where a mirror had nothing new. The stamps
# tell of refreshes that succeeded: of Ubuntu's hook and of the role host_updates, and of apt's own daily timer.
STAMPS = ("var/lib/apt/periodic/update-success-stamp", "var/lib/apt/periodic/update-stamp", "var/lib/apt/lists")


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return the updates, and the age of the index."""

    def program(name: str) -> Callable[..., str]:
        return lambda *arguments: _run([name, *arguments], options["timeout_seconds"])

    return collect(program("apt-get"), program("apt-mark"), root=Path("/"), now=time.time())


def collect(apt_get: Callable[..., str], apt_mark: Callable[..., str], *, root: Path, now: float) -> dict[str, Any]:
    """Return the same, asking the two programs; ``now`` in seconds since 1970."""
    held = apt_mark(*SHOW_HOLDS).split()
    index_at = read_index_at(root)
    return {
        **parse_simulation(apt_get(*SIMULATE), held),
        "holds": held,
        "index_at": index_at,
        "index_age_seconds": None if index_at is None else max(0.0, now - index_at),
    }


def read_index_at(root: Path) -> float | None:
    """Return when the package index was refreshed last, in seconds since 1970; None without an index."""
    lists = root / "var/lib/apt/lists"
    if not any(lists.glob("*_Packages*")) and not any(lists.glob("*_InRelease")):
        return None
    return max((root / stamp).stat().st_mtime for stamp in STAMPS if (root / stamp).exists())


def _run(argv: list[str], timeout_seconds: float) -> str:
    try:
        done = subprocess.run(
            argv,
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_seconds,
            check=False,
        )
    except FileNotFoundError:
        raise ProbeError(NOT_DEBIAN, "leave this probe out for this host") from None
    except subprocess.TimeoutExpired:
        raise ProbeError(f"{argv[0]} did not answer within {timeout_seconds:g} s", "raise timeout_seconds") from None
    if done.returncode:
        said = (done.stderr.strip() or "it said nothing").splitlines()[-1]
        raise ProbeError(f"{argv[0]} failed ({done.returncode}): {said}", f"run it by hand: {' '.join(argv)}")
    return done.stdout


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one check each for pending updates, security updates and the index."""
    chosen = {name: options[name] for name in OPTIONS}
    return judge_updates(measured, section=options["section"], **chosen)
