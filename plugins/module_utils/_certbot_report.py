# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people are told of renewals: checks and changes. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._certbot import SECTION
from ansible_collections.runbook.ops.plugins.module_utils._certbot_files import Known
from ansible_collections.runbook.ops.plugins.module_utils._certbot_plan import LATE_DAYS, describe_problems
from ansible_collections.runbook.ops.plugins.module_utils._certbot_run import Outcome
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change, make_check


def checks_of(
    outcomes: Sequence[Outcome], lineages: Mapping[str, Known], *, dry_run: str, check: bool
) -> list[dict[str, Any]]:
    """Return for each lineage whether it is renewed as it should be, and in check mode whether a renewal would succeed."""
    found = []
    for outcome in outcomes:
        found.append(_renewal(outcome, lineages.get(outcome.step.name), check=check))
        if check and dry_run != "never" and outcome.step.does != "refuse":
            found.append(_trial(outcome))
    return found


def _renewal(outcome: Outcome, known: Known | None, *, check: bool) -> dict[str, Any]:
    step, status, detail = outcome.step, "ok", outcome.reason
    remedy = f"mend the reason, then run this again; rehearse it with certbot renew --dry-run --cert-name {step.name}"
    problems = describe_problems(known) if known else []
    if step.does == "refuse" or (outcome.status == "failed" and not check):
        status = "critical"
    elif check and step.does == "renew":
        detail = f"{step.reason}: would be renewed"
        if step.late_days > LATE_DAYS:
            status, remedy = "warning", "renew it, and see why nobody has: journalctl -u certbot.service"
    elif check:
        detail = step.reason
    if outcome.status == "renewed" and known:
        detail = f"renewed, valid until {known.found['expires_at'][:10]}"
    if problems and status == "ok":
        status, remedy = "warning", "take renew_before_expiry out of its renewal file"
    return make_check(
        f"certificate_renewal:{step.name}",
        name=f"Renewal of {step.name}",
        section=SECTION,
        status=status,
        value=0 if outcome.status == "renewed" else max(step.late_days, 0),
        unit="days",
        limit=LATE_DAYS,
        detail="; ".join([detail, *problems]),
        remedy=remedy,
    )


def _trial(outcome: Outcome) -> dict[str, Any]:
    name = outcome.step.name
    return make_check(
        f"certificate_trial:{name}",
        name=f"Dry run of {name}",
        section=SECTION,
        status={"tried": "ok", "untried": "unknown"}.get(outcome.status, "critical"),
        value=outcome.seconds,
        unit="s",
        detail=outcome.reason,
        remedy="mend it before it is due: the next renewal will fail in the same way"
        if outcome.status == "failed"
        else "see docs/certificates.md for how a dry run is made possible",
    )


def changes_of(
    outcomes: Sequence[Outcome], before: Mapping[str, Known], after: Mapping[str, Known], *, check: bool
) -> list[dict[str, Any]]:
    """Return a change for each certificate that is another now, or would be."""
    return [
        make_change(
            outcome.step.name,
            action="renew",
            section=SECTION,
            reason=outcome.step.reason,
            before=before[outcome.step.name].found["expires_at"],
            after=None if check else after[outcome.step.name].found["expires_at"],
            seconds=None if check else outcome.seconds,
        )
        for outcome in outcomes
        if (outcome.step.does == "renew" if check else outcome.status == "renewed")
    ]
