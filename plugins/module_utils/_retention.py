# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backups a keep rule lets go. Private to this collection.

The rules mean what they mean in ``restic forget``: backups are looked at from the newest to the oldest; ``daily: 7``
keeps the newest of each of the last seven days *that have one*; every rule is applied to all backups, and one rule
suffices to stay; a rule with counts left keeps the oldest backup too; ``within`` counts from the newest backup, not
from now, so that backups that stopped are never thinned out by the calendar. Three things are stricter here: a backup
that is not good uses up no count, one dated in the future neither, and the newest good ones stay whatever a rule says.
So do the newest ones of every floor, such as the three newest that are verified: neither clock nor age is asked there.

Backups are the strings of :func:`read_dates`: ``YYYYMMDDHHMMSS/name``, oldest first.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._dated_names import NAME, STAMP, parse_stamp
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration, parse_duration

COUNTED = ("last", "hourly", "daily", "weekly", "monthly", "yearly")
PERIOD = {"hourly": 10, "daily": 8, "monthly": 6, "yearly": 4}  # characters of YYYYMMDDHHMMSS that name the period
FUTURE_TOLERANCE = timedelta(days=1)  # names may be in UTC and the clock in local time, or the other way round


# The newest so many backups of which this is true stay; what is true of a backup makes it a good one too.
Floors = Mapping[str, tuple[int, Callable[[str], bool]]]


class RetentionError(ValueError):
    """A rule that cannot be meant."""


@dataclass
class Plan:
    """What goes, and why the rest stays."""

    delete: list[str] = field(default_factory=list)  # as they were given, oldest first
    kept_by: Counter[str] = field(default_factory=Counter)  # rule: number of backups it keeps
    newest_key: str | None = None  # the newest good backup, as it was given
    newest_good: str | None = None  # its name
    newest_good_at: datetime | None = None
    in_future: list[str] = field(default_factory=list)  # names
    not_good: list[str] = field(default_factory=list)  # names, of those that a rule had to look at
    reasons: dict[str, tuple[str, ...]] = field(
        default_factory=dict
    )  # backup: the counted rules and floors that keep it
    within_from: str | None = None  # the oldest backup that `within` keeps
    newest_of: dict[str, str] = field(default_factory=dict)  # floor: its newest backup

    def oldest_by_rule(self, floors: Floors) -> str | None:
        """Return the oldest backup that stays for another reason than a floor."""
        ruled = [backup for backup, why in self.reasons.items() if not floors.keys() >= set(why)]
        return min([*ruled, *([self.within_from] if self.within_from else [])], default=None)


def read_keep(rules: Mapping[str, Any]) -> dict[str, float | None]:
    """Return ``rules`` with numbers only; ``within``, a duration, may be called ``within_seconds`` too.

    :raises ValueError: ``within`` is not a duration.
    """
    keep = {rule: value for rule, value in rules.items() if value is not None}
    within = keep.pop("within_seconds", keep.get("within"))
    return keep if within is None else {**keep, "within": parse_duration(within)}


def describe_keep(keep: Mapping[str, float | None]) -> str:
    """Return the rules in one line for people, such as ``last 7, within 90d``."""
    counts = [f"{rule} {keep[rule]}" for rule in COUNTED if keep.get(rule)]
    within = keep.get("within")
    return ", ".join([*counts, *([] if within is None else [f"within {human_duration(within)}"])])


def prune(
    backups: list[str],
    *,
    keep: Mapping[str, float | None],
    now: datetime | None,
    minimum: int = 3,
    is_good: Callable[[str], bool] = bool,
    floors: Floors | None = None,
) -> Plan:
    """Return which of ``backups`` the rules let go.

    :param backups: what :func:`read_dates` returned
    :param keep: counts for any of :data:`COUNTED` (-1: all), and seconds for ``within``
    :param now: in the time zone of the names; backups dated more than a day later stay and count for nothing. None: any
        date is believed
    :param minimum: so many of the newest good backups stay whatever ``keep`` says
    :param is_good: asked for a name, and only where the answer matters
    :param floors: what stays beside, by the name that ``kept_by`` gives it
    :raises RetentionError: ``keep`` holds no rule, or one that is unknown or negative.
    """
    counts = _counts(keep)
    plan, end = Plan(), len(backups)
    if now is not None:
        end = bisect_left(backups, (now + FUTURE_TOLERANCE).strftime(STAMP) + "0")
        plan.in_future = [key[NAME] for key in backups[end:]]
    newest = end - 1
    while newest >= 0 and not is_good(backups[newest][NAME]):
        plan.not_good.append(backups[newest][NAME])
        newest -= 1
    if newest < 0:
        return plan  # nothing proves that the rest may go
    plan.newest_key, plan.newest_good = backups[newest], backups[newest][NAME]
    plan.newest_good_at = parse_stamp(backups[newest][:14])
    cutoff = newest + 1 if keep.get("within") is None else _first_within(backups, newest, keep["within"] or 0)
    if cutoff <= newest:
        plan.within_from = backups[cutoff]
    wanted = {**counts, **({"minimum": minimum} if minimum else {})}
    chosen = _choose(backups[: newest + 1], wanted, floors or {}, is_good, plan)
    plan.kept_by.update({"within": newest + 1 - cutoff} if keep.get("within") is not None else {})
    plan.delete = [key for index, key in enumerate(backups[: min(cutoff, newest)]) if index not in chosen]
    return plan


def _counts(keep: Mapping[str, float | None]) -> dict[str, int]:
    rules = {rule: value for rule, value in keep.items() if value is not None}
    unknown = sorted(set(rules) - {*COUNTED, "within"})
    if unknown:
        raise RetentionError(f"keep does not know {', '.join(unknown)}: use {', '.join(COUNTED)} or within")
    negative = [rule for rule, value in rules.items() if value < (-1 if rule in COUNTED else 0)]
    if negative:
        raise RetentionError(f"keep {negative[0]} must not be negative (-1 keeps all, but not for within)")
    if not any(rules.values()):
        raise RetentionError(f"keep holds no rule: give one of {', '.join(COUNTED)} or within")
    return {rule: int(rules[rule]) for rule in COUNTED if rules.get(rule)}


def _first_within(backups: list[str], newest: int, seconds: float) -> int:
    """Return the index of the oldest backup that is at most ``seconds`` older than the newest good one."""
    anchor = parse_stamp(backups[newest][:14])
    try:
        start = anchor - timedelta(seconds=seconds) if anchor else datetime.min
    except OverflowError:
        return 0
    return bisect_left(backups, f"{start.year:04d}{start:%m%d%H%M%S}", 0, newest + 1)


def _choose(
    backups: list[str], counts: Mapping[str, int], floors: Floors, is_good: Callable[[str], bool], plan: Plan
) -> set[int]:
    """Return the indexes that the counted rules and the floors keep; ``plan`` learns by which."""
    chosen: set[int] = set()
    left, period = dict(counts), dict.fromkeys(counts, "")
    held = {floor: count for floor, (count, _is_true) in floors.items() if count}
    for index in range(len(backups) - 1, -1, -1):
        if not left and not held:
            break
        key = backups[index]
        why = [floor for floor in held if floors[floor][1](key[NAME])]
        for floor in why:
            plan.newest_of.setdefault(floor, key)
            _use_up(held, floor)
        # As in restic, a rule with counts left keeps the oldest one: history grows until they are used up.
        wanted = [rule for rule in left if index == 0 or _period(rule, key) != period.get(rule)]
        if wanted and not (why or is_good(key[NAME])):
            plan.not_good.append(key[NAME])
            continue
        for rule in wanted:
            period[rule] = _period(rule, key)
            _use_up(left, rule)
        why = [*wanted, *why]
        if why:
            chosen.add(index)
            plan.reasons[key] = tuple(why)
            plan.kept_by.update(why)
    return chosen


def _use_up(left: dict[str, int], rule: str) -> None:
    left[rule] -= 1
    if left[rule] == 0:
        del left[rule]


def _period(rule: str, key: str) -> str:
    """Return the hour, day, week, month or year of ``key``; for rules without a period the backup itself."""
    if rule == "weekly":
        return _week(key[:8])
    return key[: PERIOD[rule]] if rule in PERIOD else key


@lru_cache(maxsize=1024)
def _week(day: str) -> str:
    year, week, _weekday = datetime.strptime(day, "%Y%m%d").isocalendar()
    return f"{year}-{week}"
