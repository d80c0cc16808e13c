# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probes of a performance review, and how they are given the counters of earlier looks. Private to this collection.

They are none of the health engine's: what looks every few minutes shall not carry them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._performance_looks import Look, choose
from ansible_collections.runbook.ops.plugins.module_utils._probe_index import PROBES as OF_HEALTH
from ansible_collections.runbook.ops.plugins.module_utils.probes import (
    latency,
    metrics_latency,
    pg_performance,
    pm2_metrics,
    queue_rate,
    redis_performance,
)

OWN: dict[str, Any] = {
    "pg_performance": pg_performance,
    "redis_performance": redis_performance,
    "queue_rate": queue_rate,
    "pm2_metrics": pm2_metrics,
    "metrics_latency": metrics_latency,
    "latency": latency,
}


class Noting:
    """A probe whose counters are noted when it has looked."""

    def __init__(self, name: str, probe: Any, notes: dict[str, Any]) -> None:
        self.name, self.probe, self.notes = name, probe, notes
        self.SECTION, self.OPTIONS, self.judge = probe.SECTION, probe.OPTIONS, probe.judge

    def measure(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return what the probe measures."""
        measured: dict[str, Any] = self.probe.measure(options)
        if measured.get("counters"):
            self.notes[key_of({**options, "probe": self.name})] = measured["counters"]
        return measured


def key_of(spec: Mapping[str, Any]) -> str:
    """Return what the counters of a probe are kept under."""
    return f"{spec['probe']}:{spec.get('name') or spec.get('database') or spec.get('queue') or spec.get('app') or spec.get('url') or ''}"


def probes(notes: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    """Return all probes by name; the counters of those of a review get into ``notes``."""
    own = {name: _loader(Noting(name, probe, notes)) for name, probe in OWN.items()}
    return {**own, **OF_HEALTH}


def _loader(probe: Any) -> Callable[[], Any]:
    return lambda: probe


def compared(
    specs: Sequence[Mapping[str, Any]], looks: Sequence[Look], *, now: float, since_seconds: float
) -> list[dict[str, Any]]:
    """Return ``specs``, each with the counters that it is compared with, where there are any."""
    found = []
    for spec in specs:
        probe = OWN.get(str(spec.get("probe")))
        before = None
        if probe and "before" in probe.OPTIONS:
            before = choose(looks, key_of(spec), now=now, since_seconds=since_seconds)
        found.append({**spec, **({"before": before[0], "before_at": before[1]} if before else {})})
    return found
