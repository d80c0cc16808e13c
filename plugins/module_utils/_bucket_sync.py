# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One synchronisation: list both places, decide, refuse what cannot be meant, copy, delete last, list again. Private to this collection.

Nothing here knows Ansible. The plan is written to a file without a name, so memory stays flat however much there is.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_set import SetError, locked
from ansible_collections.runbook.ops.plugins.module_utils._bucket_ends import (
    Folder,
    SyncError,
)
from ansible_collections.runbook.ops.plugins.module_utils._bucket_plan import (
    GONE,
    NEW,
    REPLACED,
    Plan,
    Rails,
    refusal,
)
from ansible_collections.runbook.ops.plugins.module_utils._bucket_report import Outcome, report
from ansible_collections.runbook.ops.plugins.module_utils._bucket_work import Sync
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._units import parse_duration

WORK = "runbook-ops-bucket_sync"


def run(options: Mapping[str, Any], *, now: Callable[[], datetime], check_mode: bool) -> dict[str, Any]:
    """Bring the target to what the source holds, or with ``state: compared`` only tell how they differ.

    :raises SyncError: it cannot or should not be done, or is not done after all.
    :raises S3Error: a bucket does not do what it should.
    :raises ValueError: an option cannot be meant.
    """
    if not 1 <= options["jobs"] <= 64:
        raise ValueError(f"jobs must be between 1 and 64, not {options['jobs']}")
    max_age = None if options["max_age"] is None else parse_duration(options["max_age"])
    history = None if options["history"] is None else parse_duration(options["history"])
    sync = Sync(options, now=now(), check_mode=check_mode)
    looks = options["state"] == "compared"
    with ExitStack() as held:
        work = None if looks or check_mode else _begin(sync, held)
        before = sync.target.manifest() if sync.is_mirror else None
        keeps, plan = sync.target.keeps(), sync.plan()
        deletes, sync.locked = sync.deletes(keeps["versioned"]), bool((keeps["object_lock"] or {}).get("enabled"))
        actions = [] if looks else _actions(plan, deletes=deletes)
        if not looks:
            _refuse(sync, plan, before, deletes=deletes)
            reached("bucket_sync:planned")
        after = plan
        if work is not None:
            try:
                after = _change(sync, plan, work, deletes=deletes, now=now, keeps=keeps)
            except Exception as exc:
                _tell(exc, sync)
                raise
            if history is not None and isinstance(sync.target, Folder):
                sync.target.forget(history)
        return report(
            Outcome(
                name=options["name"] or sync.target.label,
                source=sync.source,
                target=sync.target,
                wants=options,
                is_mirror=sync.is_mirror,
                is_prediction=check_mode and not looks,
                began_at=sync.began_at,
                plan=plan,
                after=after,
                done=sync.done,
                actions=actions,
                keeps=keeps,
                deletes=deletes,
                before=before,
                max_age_seconds=max_age,
                now=now(),
            )
        )


def _begin(sync: Sync, held: ExitStack) -> Path:
    """Make the place for what is on its way, hold its lock, and remove what a killed run left there."""
    if isinstance(sync.target, Folder):
        place = sync.target.own
    else:
        name = "".join(letter if letter.isalnum() else "-" for letter in sync.target.label)[-100:]
        place = Path(sync.options["work_directory"]) / f"{WORK}-{name}"
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    if place.is_symlink() or place.stat().st_uid != os.geteuid():
        raise SyncError(
            f"{place} belongs to somebody else: name another work_directory, one that only this account writes to"
        )
    try:
        held.enter_context(locked(place, "run"))
    except SetError as exc:
        raise SyncError(
            f"another run copies to {sync.target.label}: wait until it has ended ({place}/.run.lock)"
        ) from exc
    work = place / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(mode=0o700)
    held.callback(shutil.rmtree, work, ignore_errors=True)
    return work


def _refuse(sync: Sync, plan: Plan, before: Mapping[str, Any] | None, *, deletes: bool) -> None:
    rails = Rails(sync.options["max_delete_percent"], sync.options["max_replace_percent"])
    known = before if before and before.get("source") == sync.source.identity else {}
    reason = refusal(
        plan.counts,
        plan.target.objects,
        rails,
        deletes=deletes,
        last=(known or {}).get("source_objects"),
        now=plan.source.objects,
    )
    if reason:
        raise SyncError(f"{sync.source.label} to {sync.target.label}: {reason}")


def _change(
    sync: Sync, plan: Plan, work: Path, *, deletes: bool, now: Callable[[], datetime], keeps: Mapping[str, Any]
) -> Plan:
    """Do it, look again, and write down what is there then."""
    sync.act(plan, work, deletes=deletes)
    touched = plan.counts[NEW] + plan.counts[REPLACED] + (plan.counts[GONE] if deletes else 0)
    after = sync.plan() if touched else plan
    wrong = (
        [one.key for one in after.steps(NEW, REPLACED) if one.source and one.source.modified_at < sync.began_at - 1]
        if touched and not sync.done["moved_on"]
        else []
    )
    if wrong:
        raise SyncError(
            f"{len(wrong)} objects are not in {sync.target.label} as they are in {sync.source.label} after they were copied, "
            f"{wrong[0]} among them: see who else writes there, and run again"
        )
    reached("bucket_sync:compared")
    if sync.is_mirror:
        told = {
            **{"format": 1, "kind": "bucket", "source": sync.source.identity, "target": sync.target.identity},
            **{"began_at": _iso(sync.now), "finished_at": _iso(now()), "source_objects": after.source.objects},
            **after.target.told(),
            **keeps,
        }
        sync.target.write_manifest(told, sync.settings)
    return after


def _actions(plan: Plan, *, deletes: bool) -> list[str]:
    words = {NEW: "copy", REPLACED: "replace", **({GONE: "delete"} if deletes else {})}
    return [line for kind, word in words.items() for line in _listed(word, plan.named[kind], plan.counts[kind])]


def _listed(word: str, names: Iterable[str], number: int) -> list[str]:
    lines = [f"{word} {name}" for name in names]
    return lines if number <= len(lines) else [*lines, f"{word} {number - len(lines)} more"]


def _iso(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).isoformat(timespec="seconds")


def _tell(exc: Exception, sync: Sync) -> None:
    """Add what was done before it failed."""
    if isinstance(exc, SyncError):
        exc.details.update(changed=bool(sync.done["copied"] or sync.done["deleted"]), **sync.done)
