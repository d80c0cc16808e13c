# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""In which order services are started and stopped that need each other. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def steps(
    services: Sequence[Mapping[str, Any]], name: str, state: str, *, with_dependants: bool = False
) -> list[dict[str, str]]:
    """Return what is done, in order: each with the ``name`` of a service and its ``state``.

    What a service needs is started before it; what needs it is stopped before it, where that is wanted. Everything else is
    done to the service alone.

    :param services: each after those it needs
    """
    if state == "started":
        names = [*needed_by(services, name), name]
    elif state == "stopped" and with_dependants:
        names = [*dependants(services, name), name]
    else:
        names = [name]
    return [{"name": one, "state": state} for one in names]


def needed_by(services: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    """Return the services that ``name`` needs, and what they need, each after those it needs itself."""
    after = {one["name"]: set(one.get("after") or []) for one in services}
    found: set[str] = set()
    new = after.get(name, set())
    while new:
        found |= new
        new = set().union(*(after.get(one, set()) for one in new)) - found
    return [one["name"] for one in services if one["name"] in found - {name}]


def dependants(services: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    """Return the services that need ``name``, and those that need them, each before those it needs itself."""
    return [one["name"] for one in reversed(services) if name in needed_by(services, one["name"])]
