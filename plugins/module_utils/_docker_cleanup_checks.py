# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks and changes of a clean-up of Docker. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_change, make_check
from ansible_collections.runbook.ops.plugins.module_utils._docker_cleanup import KINDS, Thing
from ansible_collections.runbook.ops.plugins.module_utils._units import human_size

SECTION = "Docker"
WORDS = {
    "containers": "stopped containers",
    "dangling_images": "untagged images",
    "unused_images": "unused images",
    "build_cache": "build cache",
}


def as_change(thing: Thing) -> dict[str, Any]:
    """Return the record of the removal of ``thing``, without the seconds it takes."""
    idle = f"of no use for {thing.days:g} days" if thing.days is not None else "of no use"
    what = "image" if thing.kind.endswith("images") else thing.kind[:-1] if thing.kind == "containers" else ""
    return make_change(
        f"{what} {thing.name}".strip(),
        action="removed",
        section=SECTION,
        reason=idle,
        before=thing.size_bytes,
        after=0,
        unit="bytes",
    )


def judge(
    things: Sequence[Thing], *, volumes: Sequence[str], limits: Mapping[str, float | None]
) -> list[dict[str, Any]]:
    """Return the checks: what can be given back, what stays although nothing uses it, and volumes without a container.

    :param volumes: names of those that no container refers to
    :param limits: of the bytes that could be given back
    """
    goes = [thing for thing in things if thing.stays is None]
    kept = [thing for thing in things if thing.stays is not None]
    status, limit = judge_high(_sum(goes), limits.get("warning"), limits.get("critical"))
    because = sorted({thing.stays for thing in kept if thing.stays})
    return [
        make_check(
            "docker-cleanup:reclaimable",
            name="Docker clean-up",
            section=SECTION,
            status=status,
            value=_sum(goes),
            unit="bytes",
            limit=limit,
            detail=f"{human_size(_sum(goes))} of {_named(goes)} can go" if goes else "nothing can go",
            remedy="run this without --check",
        ),
        make_check(
            "docker-cleanup:kept",
            name="Docker, kept",
            section=SECTION,
            status="ok",
            value=_sum(kept),
            unit="bytes",
            detail=f"{human_size(_sum(kept))} of {_named(kept)}: {'; '.join(because[:3])}" if kept else "nothing",
        ),
        make_check(
            "docker-cleanup:volumes",
            name="Volumes without a container",
            section=SECTION,
            status="ok",
            value=len(volumes),
            unit="volumes",
            detail=f"{', '.join(sorted(volumes)[:5])}: never removed here" if volumes else "none",
        ),
    ]


def _sum(things: Iterable[Thing]) -> int:
    return sum(thing.size_bytes for thing in things)


def _named(things: Sequence[Thing]) -> str:
    counts = {kind: sum(thing.kind == kind for thing in things) for kind in KINDS}
    return ", ".join(
        WORDS[kind] if kind == "build_cache" else f"{number} {WORDS[kind]}" for kind, number in counts.items() if number
    )
