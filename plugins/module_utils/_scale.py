# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many instances of a service a host and its databases can carry. Private to this collection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._service_state import SECTION
from ansible_collections.runbook.ops.plugins.module_utils._units import human_size

FIRST_GUESS_BYTES = 128 << 20  # of an instance where none runs and nobody says: a small Node.js application


class Instances(NamedTuple):
    """Those that there are."""

    running: int
    memory_bytes: int  # resident, of all of them
    limit_bytes: int | None = None  # what one may use
    connections: int | None = None  # what one opens at most, of each database


class Memory(NamedTuple):
    """The host's."""

    total_bytes: int
    available_bytes: int


class Database(NamedTuple):
    """One that each instance opens connections to."""

    name: str
    used: int | None  # sessions; None where it did not tell
    most: int = 0  # that ordinary roles may have
    said: str = ""  # why it did not tell


class Bound(NamedTuple):
    """How many instances one thing carries."""

    what: str
    most: int | None  # None: it did not tell
    why: str


def bounds(instances: Instances, memory: Memory, databases: Sequence[Database], *, keep_percent: float) -> list[Bound]:
    """Return how many instances the host's memory and each database carry.

    An instance is taken for as large as the largest it may be by the description, or as the running ones are on average.

    :param keep_percent: of the memory and of the connections that is to stay free
    """
    return [
        _memory(instances, memory, keep_percent),
        *(_connections(instances, one, keep_percent) for one in databases),
    ]


def _memory(instances: Instances, memory: Memory, keep_percent: float) -> Bound:
    average = instances.memory_bytes // instances.running if instances.running and instances.memory_bytes else 0
    one = max(average, instances.limit_bytes or 0) or FIRST_GUESS_BYTES
    # What runs may still grow up to what one may use.
    grown = max(0, one * instances.running - instances.memory_bytes)
    free = memory.available_bytes - grown - int(memory.total_bytes * keep_percent / 100)
    most = max(0, instances.running + free // one)
    why = f"{human_size(memory.available_bytes)} of memory are available, an instance takes up to {human_size(one)}"
    return Bound("memory", most, f"{why}, {keep_percent:g} % stay free")


def _connections(instances: Instances, database: Database, keep_percent: float) -> Bound:
    what = f"connections of {database.name}"
    if database.used is None:
        return Bound(what, None, database.said)
    estimated = -(-database.used // instances.running) if instances.running else 10
    one = instances.connections or max(1, estimated)
    usable = database.most - int(database.most * keep_percent / 100)
    others = max(0, database.used - one * instances.running)
    word = "opens up to" if instances.connections else "is taken to open"
    return Bound(
        what,
        max(0, (usable - others) // one),
        f"{database.used} of {database.most} are in use, an instance {word} {one}, {keep_percent:g} % stay free",
    )


def judge(service: str, running: int, wanted: int, found: Sequence[Bound]) -> dict[str, Any]:
    """Return ``fits``, ``most`` and the checks of scaling ``service`` to ``wanted``; fewer than run always fit."""
    known = [one.most for one in found if one.most is not None]
    more = wanted > running
    short = [one for one in found if more and (one.most is None or wanted > one.most)]
    checks = [
        make_check(
            f"scale:{service}:{one.what}",
            name=f"{service}, {one.what}",
            section=SECTION,
            status="ok" if one not in short else "unknown" if one.most is None else "critical",
            value=wanted,
            limit=one.most,
            unit="instances",
            detail=one.why,
            remedy="Scale to fewer, or make room first: limits.memory and limits.connections of the service say what one takes",
        )
        for one in found
    ]
    return {
        "fits": not short,
        "most": min(known) if known else None,
        "checks": checks,
        "why": "; ".join(f"{one.what}: {one.why}" for one in short),
    }
