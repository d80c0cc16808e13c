# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deployment came to, for people, for the record and for the caller. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change, make_check
from ansible_collections.runbook.ops.plugins.module_utils._deploy_journal import Entry
from ansible_collections.runbook.ops.plugins.module_utils._deployment_plan import NEW_SLOT, STEPS, Seen
from ansible_collections.runbook.ops.plugins.module_utils._deployment_terms import Done

SECTION = "Deployment"
# What a change is called; a step that is missing here only looks.
VERBS = {
    "adopt": "adopted",
    "start": "started",
    "switch": "made live",
    "mark": "marked good",
    "back": "made live again",
    "retire": "stopped",
    "undo": "taken away",
    "give": "given back to the proxy's own files",
}


def words(steps: Iterable[str], release: str | None, slot: str | None) -> list[str]:
    """Return ``steps`` for people."""
    about = f"{release} in slot {slot}" if release and slot and slot not in (release, NEW_SLOT) else release or ""
    return [f"{STEPS[step]} ({about})" if about and step in ("start", "switch") else STEPS[step] for step in steps]


def changes_of(service: str, done: Iterable[Done], *, before: str | None, reason: str) -> list[dict[str, Any]]:
    """Return what was done as changes."""
    return [
        make_change(
            f"{service} {one.release}"
            + (f" ({one.slot})" if one.slot and one.slot not in (one.release, NEW_SLOT) else ""),
            action=VERBS[one.step],
            section=SECTION,
            reason=reason,
            before=before if one.step in ("switch", "back") else None,
            after=one.release if one.step in ("switch", "back") else None,
            seconds=one.seconds,
        )
        for one in done
        if one.step in VERBS
    ]


def predicted(
    service: str, steps: Iterable[str], release: str, slot: str, *, before: str | None
) -> list[dict[str, Any]]:
    """Return what would be done as changes."""
    done = [
        Done(step, before or "", None, 0.0) if step in ("adopt", "retire") else Done(step, release, slot, 0.0)
        for step in steps
    ]
    return [
        {**change, "seconds": None} for change in changes_of(service, done, before=before, reason="it is asked for")
    ]


def note_checks(service: str, notes: Iterable[str]) -> list[dict[str, Any]]:
    """Return what was found half-way and ended as checks."""
    return [
        make_check(
            f"deployment:{service}:cut_off:{number}",
            name=f"deployment of {service}",
            section=SECTION,
            status="warning",
            detail=note,
            remedy="see the record of that run for why it ended",
        )
        for number, note in enumerate(notes)
    ]


def state_check(service: str, seen: Seen, entry: Entry | None) -> dict[str, Any]:
    """Return how the service's deployment is."""
    status, remedy = "ok", None
    if seen.live is None:
        detail = "nothing was deployed here yet"
    else:
        where = "" if seen.live.slot == seen.live.release else f" from slot {seen.live.slot}"
        detail = f"{seen.live.release or 'something unknown'} serves{where}"
        if seen.slots.get(seen.live.slot) != seen.live.release:
            status, detail = "critical", f"{detail}, and does not run"
            remedy = "start it with playbook service, or go back with playbook rollback"
    if entry is not None:
        parked = entry.phase == "gated" and entry.parked
        detail += f"; {entry.release} is staged" if parked else f"; {entry.kind} of {entry.release} is {entry.phase}"
        if not parked:
            status = "warning" if status == "ok" else status
            remedy = remedy or "if nobody is at work, run the deployment again: it ends what was cut off"
    return make_check(
        f"deployment:{service}",
        name=f"deployment of {service}",
        section=SECTION,
        status=status,
        value=seen.live.release if seen.live else None,
        detail=detail,
        remedy=remedy,
    )


def snapshot(service: str, seen: Seen) -> dict[str, Any]:
    """Return how the service is deployed."""
    entry = seen.entry
    return {
        "service": service,
        "live": {"slot": seen.live.slot, "release": seen.live.release} if seen.live else None,
        "slots": dict(seen.slots),
        "last_good": seen.last_good,
        "staged": entry.release if entry and entry.phase == "gated" else None,
        "journal": entry._asdict() if entry else None,
    }


def lines(found: Mapping[str, Any]) -> list[str]:
    """Return how a service is deployed for people: what serves, and what there is to go back to."""
    runs = {release: slot for slot, release in found["slots"].items() if release and release != slot}
    live = found["live"]["release"] if found["live"] else None
    told = [
        f"{found['service']}: {live or 'nothing was deployed yet'}"
        + (f", back to {found['last_good']}" if found["last_good"] else "")
    ]
    for one in found["releases"]:
        marks = [
            *(["live"] if one["id"] == live else []),
            *(["staged"] if one["id"] == found["staged"] else []),
            *(["good"] if one["good"] else []),
            *([f"runs in {runs[one['id']]}"] if one["id"] in runs else []),
        ]
        about = " ".join(part for part in (one["version"], one["ref"]) if part)
        told.append(f"  {one['id']}  {about or '-'}  {', '.join(marks) or '-'}")
    return told


def diff(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return what differs in what is decided."""
    return {
        side: {"live": value["live"], "staged": value["staged"]}
        for side, value in (("before", before), ("after", after))
    }
