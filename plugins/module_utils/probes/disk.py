# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Space and inodes of mounted file systems. Private to this collection."""

# ruff: noqa: PTH112, PTH116, PTH123  # pathlib would be an import more, and this runs every few minutes
from __future__ import annotations

import os
import time
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, judge_low, make_check
from ansible_collections.runbook.ops.plugins.module_utils._forecast import DAY, days_until, read_points
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError, limits
from ansible_collections.runbook.ops.plugins.module_utils._units import human_size

SECTION = "Host"
OPTIONS = {
    "paths": Option("list", "paths whose file systems count; without it all local ones. Name network mounts here", []),
    "percent": Option("limits", "used space, in percent of what can be used", limits(80, 90)),
    "inodes_percent": Option("limits", "used inodes, in percent", limits(80, 90)),
    "days": Option(
        "limits", "days until it is full, where the history tells of a day or more of growth", limits(14, 3)
    ),
    "history": Option(
        "str",
        "file of earlier looks, as the monitor on the host keeps it",
        "/var/lib/runbook-ops/monitor/history.jsonl",
    ),
    "history_days": Option("float", "how far back the history counts", 7.0),
}
# Full by nature, or without a size; on a network mount a question can hang, so those are looked at only by name.
OTHER = {"squashfs", "iso9660", "nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs"}
WITHOUT_DEVICE = {"zfs", "btrfs"}  # a container's overlay counts as its root only


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return ``filesystems``: path, bytes and inodes of each."""
    paths = options["paths"]
    if not paths:
        with open("/proc/self/mounts", encoding="utf-8", errors="replace") as file:
            paths = real_mounts(file.read())
        paths = [path for path in paths if os.path.isdir(path)]
    found, devices = [], set()
    for path in paths:
        try:
            stat, device = os.statvfs(path), os.stat(path).st_dev
        except FileNotFoundError:
            raise ProbeError(f"{path} does not exist", "correct paths") from None
        if device in devices and not options["paths"]:
            continue  # the same file system, mounted or bound a second time
        devices.add(device)
        size, free = stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize
        used = size - stat.f_bfree * stat.f_frsize
        found.append(
            {"path": path, "used_bytes": used, "free_bytes": free, "inodes": stat.f_files, "inodes_free": stat.f_favail}
        )
    return {"filesystems": found, "history": _history(options["history"]), "now": time.time()}


def _history(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    except OSError:  # without a monitor there is none, and without its rights it is not ours to read
        return []


def real_mounts(mounts: str) -> list[str]:
    """Return the mount points in the text of /proc/self/mounts that lie on a local file system, shortest first."""
    paths = set()
    for line in mounts.splitlines():
        device, path, kind = line.split()[:3]
        own = device.startswith("/") or kind in WITHOUT_DEVICE or (kind == "overlay" and path == "/")
        if own and kind not in OTHER:
            paths.add(path.replace("\\040", " "))
    return sorted(paths, key=lambda path: (len(path), path))


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one check for the space and, where it has a fixed number of them, one for the inodes of each."""
    checks = []
    for item in measured["filesystems"]:
        path, usable = item["path"], item["used_bytes"] + item["free_bytes"]
        free = f"{human_size(item['free_bytes'])} of {human_size(usable)} free"
        amounts = [("disk", "Disk", 100 * item["used_bytes"] / usable if usable else 0.0, options["percent"], free)]
        if item["inodes"] > 0:
            used = 100 * (1 - item["inodes_free"] / item["inodes"])
            free = f"{item['inodes_free']} of {item['inodes']} free"
            amounts.append(("inodes", "Inodes", used, options["inodes_percent"], free))
        for identity, word, percent, limit, detail in amounts:
            status, reached = judge_high(round(percent, 1), **limit)
            checks.append(
                make_check(
                    f"{identity}:{path}",
                    name=f"{options['name'] or word} {path}",
                    section=options["section"],
                    status=status,
                    value=round(percent, 1),
                    unit="%",
                    limit=reached,
                    detail=detail,
                    remedy=f"find what grew: du -x --max-depth=2 {path}"
                    if identity == "disk"
                    else f"find where the many small files are: du -x --inodes --max-depth=2 {path}",
                )
            )
        checks += _forecast(measured, options, path, 100 * item["used_bytes"] / usable if usable else 0.0)
    return checks


def _forecast(measured: dict[str, Any], options: dict[str, Any], path: str, percent: float) -> list[dict[str, Any]]:
    """Return a check of the days until the file system is full, where its growth is known."""
    now = measured["now"]
    since = now - options["history_days"] * DAY
    points = read_points(measured["history"], f"disk:{path}", since=since, now=now)
    days = days_until(100.0, [*points, (now, percent)])
    if days is None:
        return []
    status, limit = judge_low(days, **options["days"])
    grown = percent - points[0][1]
    return [
        make_check(
            f"forecast:{path}",
            name=f"{options['name'] or 'Disk'} {path} full in",
            section=options["section"],
            status=status,
            value=round(days, 1),
            unit="days",
            limit=limit,
            detail=f"{grown:+.1f} points of {percent:.1f} % in {(now - points[0][0]) / DAY:.1f} days",
            remedy=f"find what grows: du -x --max-depth=2 {path}, today and tomorrow",
        )
    ]
