# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures against their targets, and how much of an error budget is used. Private to this collection.

A figure comes from the looks of one check, or of all that a pattern names. Where the looks are too few to prove it, it says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from statistics import fmean, median
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._series import percentile

UNITS: dict[str, tuple[str, float]] = {
    **dict.fromkeys(("ms", "milliseconds"), ("time", 0.001)),
    **dict.fromkeys(("s", "seconds"), ("time", 1.0)),
    **dict.fromkeys(("min", "minutes"), ("time", 60.0)),
    **dict.fromkeys(("h", "hours"), ("time", 3600.0)),
    "days": ("time", 86400.0),
    **dict.fromkeys(("%", "percent"), ("share", 1.0)),
    **{name: ("size", 1000.0**power) for power, name in enumerate(("B", "kB", "MB", "GB", "TB"))},
    "bytes": ("size", 1.0),
}
VALUES: dict[str, Callable[[Sequence[float]], float]] = {
    "mean": fmean,
    "median": median,
    "p95": lambda values: percentile(values, 0.95),
    "p99": lambda values: percentile(values, 0.99),
    "highest": max,
    "lowest": min,
    "last": lambda values: values[-1],
    "total": math.fsum,
}
FIGURES = (*VALUES, "ok_percent", "down_minutes")


class Look(NamedTuple):
    """One look at a check that a figure is made from."""

    status: str
    value: float | None
    unit: str | None


def wanted(kpis: Sequence[Mapping[str, Any]], host: str, identity: str) -> list[int]:
    """Return the places of the figures that the check ``identity`` of ``host`` is for."""
    return [
        place
        for place, kpi in enumerate(kpis)
        if kpi.get("check") and fnmatchcase(identity, kpi["check"]) and kpi.get("host") in (None, "", host)
    ]


def judge(kpi: Mapping[str, Any], looks: Sequence[Look], *, days: float) -> dict[str, Any]:
    """Return the figure against its target: met, missed or unknown, the reason, and what is left of the error budget."""
    target, higher = float(kpi["target"]), kpi.get("better") == "higher"
    told = {
        "name": kpi["name"],
        "target": target,
        "unit": kpi.get("unit"),
        "better": "higher" if higher else "lower",
        "figure": kpi.get("figure") or "mean",
        "check": kpi.get("check"),
        "looks": len(looks),
        "value": None,
        "budget_used_percent": None,
    }
    if not kpi.get("check"):
        return {**told, "verdict": "unknown", "reason": "no check is named that measures it"}
    value, reason = _figure(told, looks, days)
    if value is None:
        return {**told, "verdict": "unknown", "reason": reason}
    met = value >= target if higher else value <= target
    told.update(value=round(value, 4), budget_used_percent=_budget(told, value))
    few = _too_few(told, len(looks), days) if met else None
    verdict = "unknown" if few else "met" if met else "missed"
    return {**told, "verdict": verdict, "reason": few or f"from {_looks(len(looks))}"}


def _figure(told: Mapping[str, Any], looks: Sequence[Look], days: float) -> tuple[float | None, str]:
    known = [look for look in looks if look.status != "unknown"]
    if not known:
        return None, "nobody looked" if not looks else "every look ended unknown"
    figure = told["figure"]
    down = sum(look.status == "critical" for look in known) / len(known)
    if figure == "ok_percent":
        return 100 * (1 - down), ""
    if figure == "down_minutes":
        return down * days * 1440, ""
    values = [(look.value, look.unit) for look in known if look.value is not None]
    return _of_values(told, values) if values else (None, f"{told['check']} has no number")


def _of_values(told: Mapping[str, Any], values: Sequence[tuple[float, str | None]]) -> tuple[float | None, str]:
    """Return the figure of ``values``, each with its unit: a pattern may name checks of several."""
    units = dict.fromkeys(unit for _value, unit in values)
    factors = {unit: _factor(unit, told["unit"]) for unit in units}
    other = next((unit for unit, factor in factors.items() if factor is None), None)
    if other:
        return None, f"{told['check']} is in {other}, the target in {told['unit']}"
    if not told["unit"] and len(units) > 1:
        return None, f"{told['check']} is in {' and '.join(map(str, units))}, the target says no unit"
    return VALUES[told["figure"]]([value * (factors[unit] or 1.0) for value, unit in values]), ""


def _factor(from_: str | None, to: str | None) -> float | None:
    """Return by what a number is multiplied to be in another unit; None where it cannot be."""
    if not from_ or not to or from_ == to:
        return 1.0
    one, other = UNITS.get(from_), UNITS.get(to)
    return one[1] / other[1] if one and other and one[0] == other[0] else None


def _budget(told: Mapping[str, Any], value: float) -> float | None:
    """Return how much of what may go wrong has gone wrong, in percent; None where a target leaves no such room."""
    target, share = told["target"], UNITS.get(told["unit"] or "", ("", 0))[0] == "share"
    if told["better"] == "lower":
        return round(100 * value / target, 1) if target > 0 else None
    return round(100 * (100 - value) / (100 - target), 1) if share and target < 100 else None


def _too_few(told: Mapping[str, Any], looks: int, days: float) -> str | None:
    """Return why a good figure proves nothing: one bad look more would have missed the target."""
    if told["figure"] == "ok_percent" and told["target"] < 100:
        needed = math.ceil(100 / (100 - told["target"]) - 1e-9)
    elif told["figure"] == "down_minutes" and told["target"] > 0:
        needed = math.ceil(days * 1440 / told["target"])
    else:
        return None
    too_few = f"{_looks(looks)} {'is' if looks == 1 else 'are'} too few to prove it, {needed} are needed"
    return too_few if looks < needed else None


def _looks(count: int) -> str:
    return "1 look" if count == 1 else f"{count} looks"
