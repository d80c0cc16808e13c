# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which lineages are renewed, which only tried, and why not. Private to this collection."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._certbot_files import Known

# The authority for which `certbot renew --dry-run` goes to a staging service by itself: whatever the lineage says, it goes there.
STAGED = (
    "https://acme-v02.api.letsencrypt.org/directory",
    "https://acme-staging-v02.api.letsencrypt.org/directory",
)
MOST_ALIKE, ALIKE_DAYS = 5, 7  # certificates for exactly the same names that Let's Encrypt makes out in a week
BEFORE_DAYS = 30  # certbot's own; of a life that is shorter than 90 days, a third
SHORT_DAYS = 10  # of a life up to that, half: as certbot 4 does it
LATE_DAYS = 2  # a timer that runs twice a day has failed a few times by then
INTERVAL = re.compile(r"(\d+)\s*([a-z]*)[\s,]*", re.IGNORECASE)
HOURS = {
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 1),
    **dict.fromkeys(("", "d", "day", "days"), 24),
    **dict.fromkeys(("w", "wk", "wks", "week", "weeks"), 168),
    **dict.fromkeys(("mth", "mths", "month", "months"), 720),
    **dict.fromkeys(("y", "yr", "yrs", "year", "years"), 8760),
}
HARMLESS = ("webroot", "dns-")


class Step(NamedTuple):
    """What is done about one lineage."""

    name: str
    does: str  # renew | keep | refuse
    reason: str
    is_early: bool = False
    late_days: float = 0.0  # since when it is due


def renew_before(known: Known, lifetime: timedelta) -> timedelta:
    """Return how long before its end a certificate is renewed."""
    written = _written(known.values.get("renew_before_expiry", ""))
    if written is not None:
        return written
    if lifetime <= timedelta(days=SHORT_DAYS):
        return lifetime / 2
    return min(timedelta(days=BEFORE_DAYS), lifetime / 3)


def _written(text: str) -> timedelta | None:
    """Return the interval that a renewal file sets; None where it sets none, or one that is not understood."""
    parts = list(INTERVAL.finditer(text.strip()))
    hours = [int(part[1]) * HOURS.get(part[2].lower(), -1) for part in parts]
    is_whole = "".join(part[0] for part in parts) == text.strip()
    return timedelta(hours=sum(hours)) if parts and is_whole and min(hours) >= 0 else None


def plan(
    lineages: Mapping[str, Known], names: Sequence[str], early: Sequence[str], *, required: Sequence[str], now: datetime
) -> list[Step]:
    """Return a step for each of ``lineages``, or for those called ``names``, and for each of ``required`` that is none.

    :param early: those that are renewed although they are not due
    """
    wanted = [name for name in dict.fromkeys([*lineages, *required]) if name in names or not names]
    return [_step(name, lineages.get(name), is_early=name in early, now=now) for name in sorted(wanted)]


def _step(name: str, known: Known | None, *, is_early: bool, now: datetime) -> Step:
    if known is None:
        return Step(name, "refuse", "certbot has no lineage of this name: obtain it, or say renewed_by: other")
    found = known.found
    if not known.values:
        return Step(name, "refuse", "there is no renewal file: certbot does not know how it was obtained")
    if found["expires_at"] is None:
        return Step(name, "refuse", "; ".join(found["problems"]))
    starts, ends = (_moment(found[key]) for key in ("valid_from", "expires_at"))
    due, is_off = ends - renew_before(known, ends - starts), known.values.get("autorenew") == "False"
    late = (now - due).total_seconds() / 86_400
    left = f"expired {-found['days_left']} days ago" if found["days_left"] < 0 else f"{found['days_left']} days left"
    if late >= 0 and not is_off:
        return Step(name, "renew", f"{left}, due since {due:%Y-%m-%d}", late_days=round(late, 1))
    if is_early:
        return _early(name, known, now)
    when = "autorenew is off in its renewal file" if is_off else f"due on {due:%Y-%m-%d}"
    return Step(name, "keep", f"{left}, {when}")


def _early(name: str, known: Known, now: datetime) -> Step:
    """Return the step of a lineage that is not due: what the authority allows goes before what is asked for."""
    recent = [at for at in known.issued if now - at < timedelta(days=ALIKE_DAYS)]
    if len(recent) < MOST_ALIKE:
        used = f"{len(recent)} of {MOST_ALIKE} for the same names within {ALIKE_DAYS} days are used"
        return Step(name, "renew", f"asked for before it is due; {used}", is_early=True)
    free = recent[-MOST_ALIKE] + timedelta(days=ALIKE_DAYS)
    said = f"{len(recent)} certificates for the same names were made out within {ALIKE_DAYS} days"
    return Step(
        name,
        "refuse",
        f"{said}, and Let's Encrypt makes out {MOST_ALIKE}: not before {free:%Y-%m-%d %H:%M} UTC",
    )


def trial_of(known: Known, *, dry_run: str, staging: str | None) -> tuple[list[str], str | None]:
    """Return the arguments of a dry run, and why there is none.

    Hooks do not run in it unless ``dry_run`` is ``all``: one that stops a server would stop it for a rehearsal.
    """
    server, how = known.values.get("server", STAGED[0]), known.values.get("authenticator", "")
    arguments: list[str] = []
    if staging:
        arguments = ["--server", staging]
    elif server not in STAGED:
        return [], f"{server} has no staging service that is described (staging_server), and a real order would count"
    if dry_run == "all":
        return arguments, None
    if how == "standalone":
        return [], "standalone takes the port of the server that runs: dry_run=all tries it, hooks and all"
    if not how.startswith(HARMLESS):
        return [], f"{how or 'its way'} changes more than files of its own for a challenge: dry_run=all tries it"
    return [*arguments, "--pre-hook", "", "--post-hook", "", "--no-directory-hooks"], None


def describe_problems(known: Known) -> list[str]:
    """Return what is wrong with how a lineage is renewed, beyond what its files show."""
    found = known.found
    if found["expires_at"] is None:
        return []
    before = known.values.get("renew_before_expiry", "")
    if before and _written(before) is None:
        return [f"renew_before_expiry is {before}, which is not understood here: write it in days"]
    lifetime = _moment(found["expires_at"]) - _moment(found["valid_from"])
    if renew_before(known, lifetime) < lifetime:
        return []
    return [f"renew_before_expiry is {before}, and it is valid for {lifetime.days + 1} days: every run renews it"]


def diff_of(lineages: Mapping[str, Known], steps: Sequence[Step]) -> dict[str, Any]:
    """Return what changes: certificates that will be others."""
    before = "".join(f"{step.name}: {step.reason}\n" for step in steps if step.does == "renew")
    after = "".join(f"{step.name}: renewed\n" for step in steps if step.does == "renew" and step.name in lineages)
    return {"before": before, "after": after}


def _moment(text: str) -> datetime:
    return datetime.strptime(text.replace("Z", "+0000"), "%Y-%m-%dT%H:%M:%S%z")
