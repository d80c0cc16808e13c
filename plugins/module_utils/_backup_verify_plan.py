# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backups are read again and which are restored as a test, and what to think of them. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_set import AHEAD_SECONDS, Backup
from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_check
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration

SECTION = "Backups"
DAMAGED = (
    "never restore it: take a backup now, look at the disk it lies on (smartctl, kernel log), "
    "and delete it once a newer one is verified"
)


@dataclass
class Look:
    """One backup, what was known of it, and what has been found."""

    backup: Backup
    proof: dict[str, Any] | None  # as it was before
    problems: list[str] = field(default_factory=list)
    checked: bool = False
    drill: dict[str, Any] | None = None  # the last that passed
    failed_drill: dict[str, Any] | None = None  # the last, where it did not
    foreseen: bool = False  # a run that is not a prediction would restore it now

    @property
    def verified(self) -> bool:
        return self.checked and not self.problems

    @property
    def proven(self) -> bool:
        return self.verified and bool(self.drill) and not self.failed_drill


def write_time(at: datetime) -> str:
    return at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_time(text: object) -> datetime | None:
    """Return the moment that a proof names; None where it names none."""
    try:
        return datetime.strptime(str(text), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        return None


def age_of(text: object, now: datetime) -> float | None:
    """Return the seconds since a moment that a proof names. One in the future says that a clock was wrong, and counts for nothing."""
    at = read_time(text)
    if at is None or (at - now).total_seconds() > AHEAD_SECONDS:
        return None
    return max(0.0, (now - at).total_seconds())


def known_files(proof: Mapping[str, Any] | None, *, now: datetime, reread_seconds: float | None) -> dict[str, Any]:
    """Return what of the payload need not be read again, because it was, and nobody has written to it since.

    :param reread_seconds: how long that counts: a disk forgets without a write
    """
    if not proof or not isinstance(proof.get("files"), dict):
        return {}
    age = age_of(proof.get("read_at") or proof.get("checked_at"), now)
    if age is None or (reread_seconds is not None and age >= reread_seconds):
        return {}
    return dict(proof["files"])


def due_drills(looks: Sequence[Look], *, which: str, max_age: float | None, now: datetime) -> list[Look]:
    """Return the backups that are restored now, newest first.

    :param looks: oldest first
    :param which: newest, or all
    :param max_age: seconds for which a test restore counts; None: for as long as its backup is undamaged
    """
    verified = [look for look in reversed(looks) if look.verified]

    def is_late(look: Look) -> bool:
        age = age_of((look.drill or {}).get("at"), now)
        return age is None or look.failed_drill is not None or (max_age is not None and age >= max_age)

    if which == "all":
        return [look for look in verified if is_late(look)]
    if not verified:
        return []
    newest = verified[0]
    others = [] if max_age is None or newest.failed_drill else verified  # one of the same set proves how they are made
    return [] if not is_late(newest) or any(not is_late(look) for look in others) else [newest]


def judge(
    looks: Sequence[Look],
    strays: Mapping[str, str],
    *,
    prefix: str,
    directory: str,
    now: datetime,
    max_age: float | None,
    drill_max_age: float | None,
    drilled: bool,
) -> list[dict[str, Any]]:
    """Return one check for the set, one for its test restores where they are wanted, and one for each damaged backup."""
    checks = [_newest(looks, prefix=prefix, directory=directory, now=now, max_age=max_age)]
    if drilled or drill_max_age is not None:
        checks.append(_drill(looks, prefix=prefix, now=now, max_age=drill_max_age))
    told = {**strays, **{look.backup.name: "; ".join(look.problems[:5]) for look in looks if look.problems}}
    checks += [
        make_check(
            f"backup_verify:{name}",
            name=f"Backup {name}",
            section=SECTION,
            status="critical",
            detail=problem,
            remedy=DAMAGED,
        )
        for name, problem in sorted(told.items())
    ]
    return checks


def _newest(
    looks: Sequence[Look], *, prefix: str, directory: str, now: datetime, max_age: float | None
) -> dict[str, Any]:
    about: dict[str, Any] = {"name": f"Newest verified backup {prefix}", "section": SECTION, "unit": "s"}
    identity = f"backup_verify:{prefix}"
    # One from the future says that a clock was wrong, not that there is a backup.
    verified = [
        look for look in looks if look.verified and (look.backup.taken_at - now).total_seconds() <= AHEAD_SECONDS
    ]
    if not verified:
        why = f"none of {len(looks)} backups is undamaged" if looks else "there is no whole backup"
        remedy = "take a backup now, and see why there is none"
        return make_check(identity, status="critical", detail=f"{why} in {directory}", remedy=remedy, **about)
    newest = verified[-1].backup
    age = (now - newest.taken_at).total_seconds()
    status, limit = judge_high(age, None, max_age)
    return make_check(
        identity,
        status=status,
        value=round(age),
        limit=limit,
        detail=f"{len(verified)} of {len(looks)} verified, the newest is {newest.name}, {human_duration(max(0, round(age)))} old",
        remedy="take a backup now, and see why there is no newer one",
        **about,
    )


def _drill(looks: Sequence[Look], *, prefix: str, now: datetime, max_age: float | None) -> dict[str, Any]:
    about: dict[str, Any] = {"name": f"Test restore of {prefix}", "section": SECTION, "unit": "s"}
    identity = f"backup_verify:{prefix}:drill"
    # A newer one that passed says that what failed is over; an older one says nothing of it.
    last_proven = max((number for number, look in enumerate(looks) if look.proven), default=-1)
    failed = [look for look in looks[last_proven + 1 :] if look.verified and look.failed_drill]
    if failed:
        look = failed[-1]
        said = (look.failed_drill or {}).get("differences") or ["it could not be restored"]
        more = f" and {len(said) - 3} more" if len(said) > 3 else ""
        return make_check(
            identity,
            status="critical",
            detail=f"{look.backup.name}: {'; '.join(said[:3])}{more}",
            remedy="do not count on this backup: remove the cause, take another, and test that",
            **about,
        )
    ages = [
        (age, look.backup.name)
        for look in looks
        if look.verified and (age := age_of((look.drill or {}).get("at"), now)) is not None
    ]
    foreseen = [look.backup.name for look in looks if look.foreseen]
    if foreseen:
        detail = f"{foreseen[-1]} would be restored and compared now"
        return make_check(identity, status="ok", detail=detail, limit=max_age, **about)
    if not ages:
        remedy = "run backup_verify with drill, with the key where they are encrypted"
        return make_check(identity, status="critical", detail="no backup has been restored yet", remedy=remedy, **about)
    age, name = min(ages)
    status, limit = judge_high(age, None, max_age) if age else ("ok", max_age)  # of this very run: it is not late
    return make_check(
        identity,
        status=status,
        value=round(age),
        limit=limit,
        detail=f"{name} was restored and compared {human_duration(round(age)) + ' ago' if age >= 1 else 'just now'}",
        remedy="run backup_verify with drill",
        **about,
    )
