# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate: a new release in its slot gets no request of a user before it has shown that it is right. Private to this collection."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from ansible_collections.runbook.ops.plugins.module_utils._release import Release
    from ansible_collections.runbook.ops.plugins.module_utils._slot import Slot


class GateError(Exception):
    """A release did not pass; the message is one line that says why. ``details`` has checks and the end of its log."""

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.details = details


class GateWishes(NamedTuple):
    """What a release has to show."""

    health: Mapping[str, Any] | None = None  # of the description: url, status, json, timeout_seconds
    version: Mapping[str, Any] | None = None  # of deploy: url, json, is
    smoke: Sequence[Mapping[str, Any]] = ()  # of deploy: request, status, json
    url: str | None = None  # of deploy: whose host is asked for
    start_timeout_seconds: float = 60
    stable_seconds: float = 5
    answers: int = 3  # in a row
    memory_bytes: int | None = None  # limit of all its processes together


def wishes_of(service: Mapping[str, Any]) -> GateWishes:
    """Return what the description asks of a release of ``service``."""
    deploy, limits = service["deploy"], service.get("limits") or {}
    health = service.get("health")
    return GateWishes(
        health=health if health and health.get("url") else None,
        version=deploy["version"],
        smoke=deploy["smoke"],
        url=deploy["url"],
        start_timeout_seconds=deploy["start_timeout_seconds"],
        stable_seconds=deploy["stable_seconds"],
        memory_bytes=limits.get("memory_bytes"),
    )


def pass_gate(
    slot: Slot,
    release: Release,
    wishes: GateWishes,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[dict[str, Any]]:
    """Wait until ``release`` has shown in ``slot`` that it is right, and return the checks; changes nothing.

    :raises GateError: it did not in time, or shows at once that it never will.
    """
    raise NotImplementedError
