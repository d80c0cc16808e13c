# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compose projects of a system, and whether their images are current. Private to this collection."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check

SECTION = "Images"
PREVIOUS = "runbook-ops/previous"
# Variables of the official images. A newer Redis writes what an older one cannot read even where only its second number is
# another (7.0 does not load what 7.2 has saved), so the way back would be lost.
MAJORS = {"PG_MAJOR": ("PostgreSQL", 1), "MONGO_MAJOR": ("MongoDB", 1), "REDIS_VERSION": ("Redis", 2)}


class Image(NamedTuple):
    """The image that the containers of one service were made from."""

    service: str  # its name in the description
    reference: str  # as the Compose file names it
    identity: str  # its number
    digests: tuple[str, ...]  # by which registries know it; none for one that was built here
    created_at: str
    tagged: str | None  # number of what the name stands for on this host now
    published: str | None  # digest of what the name stands for in its registry now
    unknown: str | None = None  # why that is not known


def projects(services: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return each Compose project of ``services`` once: its ``directory``, ``file`` and ``project``."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for service in services:
        if service["manager"] == "compose":
            place = {
                "directory": service["path"],
                "file": service.get("compose_file") or "docker-compose.yml",
                "project": service.get("project"),
            }
            found.setdefault(tuple(place.values()), place)
    return list(found.values())


def is_fixed(reference: str) -> bool:
    """Return whether ``reference`` names one image for ever: by digest or by its number."""
    return "@sha256:" in reference or reference.startswith("sha256:")


def is_newer(image: Image) -> bool | None:
    """Return whether the registry has another image by the same name; None where that is not known, or cannot be."""
    if is_fixed(image.reference) or not image.digests or image.published is None:
        return None
    return all(digest.rpartition("@")[2] != image.published for digest in image.digests)


def judge(images: Iterable[Image], *, now: float) -> list[dict[str, Any]]:
    """Return one check of each image: whether its registry has a newer one by the same name."""
    return [_judge(image, now) for image in images]


def _judge(image: Image, now: float) -> dict[str, Any]:
    newer, waits = is_newer(image), image.tagged is not None and image.tagged != image.identity
    made = datetime.fromisoformat(image.created_at.partition(".")[0].rstrip("Z")).replace(tzinfo=timezone.utc)
    days = max(0, int((now - made.timestamp()) // 86_400))
    said = [f"{image.reference}, made {days} days ago"]
    status, remedy = "ok", None
    if is_fixed(image.reference):
        said.append("named by its digest: a deploy changes it")
    elif image.unknown:
        status, remedy = "unknown", "ask by hand: docker manifest inspect, and log in where the registry wants that"
        said.append(f"not known whether it is current: {image.unknown}")
    elif not image.digests:
        said.append("built on this host: a deploy makes a new one")
    elif newer:
        status, remedy = (
            "warning",
            "read what it changes; a database after a backup. docs/monthly_maintenance.md says how it is taken into service",
        )
        said.append(f"the registry has {str(image.published)[:19]}")
    if waits:
        status = max(status, "warning", key=["ok", "unknown", "warning"].index)
        remedy = remedy or "recreate the service: its name stands for another image on this host already"
        said.append("another image of that name is on this host, and not in service")
    return make_check(
        f"image:{image.service}",
        name=f"{image.service} image",
        section=SECTION,
        status=status,
        value=days,
        unit="days",
        detail="; ".join(said),
        remedy=remedy,
    )


def previous_name(service: str, stamp: str) -> str:
    """Return the name under which the image before is kept."""
    return f"{previous_repository(service)}:{stamp}"


def previous_repository(service: str) -> str:
    """Return what the names of kept images of a service have before the colon."""
    return f"{PREVIOUS}/{re.sub('[^a-z0-9]+', '-', service.lower()).strip('-')}"


def majors(environment: Iterable[str]) -> dict[str, str]:
    """Return the versions of servers with data that the variables of an image tell, as far as data depend on them, by the server."""
    found = {}
    for one in environment:
        name, _sign, value = one.partition("=")
        if name in MAJORS and value:
            server, numbers = MAJORS[name]
            found[server] = ".".join(value.split(".")[:numbers])
    return found
