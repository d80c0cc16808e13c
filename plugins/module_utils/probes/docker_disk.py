# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The space that Docker uses, and how much of it nothing needs. Private to this collection."""

from __future__ import annotations

import os
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_check
from ansible_collections.runbook.ops.plugins.module_utils._docker import DockerError, ask
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError, limits
from ansible_collections.runbook.ops.plugins.module_utils._units import human_size

SECTION = "Host"
OPTIONS = {
    "percent": Option("limits", "space that could be given back, in percent of the file system", limits(None)),
}


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return what images, containers, volumes and build cache take, and what of it is in use, in bytes."""
    timeout = options["timeout_seconds"]
    try:
        root = ask("/info", timeout_seconds=timeout)["DockerRootDir"]
        used = ask("/system/df", timeout_seconds=timeout)
    except DockerError as exc:
        raise ProbeError(str(exc), "see systemctl status docker") from exc
    stat = os.statvfs(root)
    return {**parse(used), "root": root, "total_bytes": stat.f_frsize * stat.f_blocks}


def parse(said: dict[str, Any]) -> dict[str, int]:
    """Return the sizes in bytes that matter in the engine's answer. Volumes count as needed: they hold data."""
    images = said.get("Images") or []
    # LayersSize counts what images share once, as the disk does; an image's own Size counts it again.
    shared = [max(0, image.get("SharedSize", 0)) for image in images]
    idle = [image["Size"] - one for image, one in zip(images, shared) if not image.get("Containers")]
    stopped = [one.get("SizeRw", 0) for one in said.get("Containers") or [] if one.get("State") != "running"]
    cache = [one for one in said.get("BuildCache") or [] if not one.get("Shared")]
    return {
        "images_bytes": said.get("LayersSize") or 0,
        "containers_bytes": sum(one.get("SizeRw", 0) for one in said.get("Containers") or []),
        "volumes_bytes": sum(max(0, (one.get("UsageData") or {}).get("Size", 0)) for one in said.get("Volumes") or []),
        "cache_bytes": sum(one["Size"] for one in cache),
        "idle_bytes": sum(idle) + sum(stopped) + sum(one["Size"] for one in cache if not one.get("InUse")),
    }


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one check."""
    percent = round(100 * measured["idle_bytes"] / max(1, measured["total_bytes"]), 1)
    status, limit = judge_high(percent, **options["percent"])
    parts = ("images", "containers", "volumes", "cache")
    sizes = ", ".join(f"{part} {human_size(measured[f'{part}_bytes'])}" for part in parts)
    return [
        make_check(
            "docker:disk",
            name=options["name"] or "Docker disk",
            section=options["section"],
            status=status,
            value=percent,
            unit="%",
            limit=limit,
            detail=f"{human_size(measured['idle_bytes'])} could be given back; {sizes}",
            remedy="see what is idle: docker system df --verbose; named volumes and images for a rollback are not",
        )
    ]
