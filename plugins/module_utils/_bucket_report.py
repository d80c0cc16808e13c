# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of a synchronisation of buckets: checks, changes, and what a module returns. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple, Union

from ansible_collections.runbook.ops.plugins.module_utils._bucket_ends import Bucket, Folder
from ansible_collections.runbook.ops.plugins.module_utils._bucket_list import parse_moment
from ansible_collections.runbook.ops.plugins.module_utils._bucket_plan import GONE, NEW, REPLACED, SAME, Plan
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change, make_check
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration, human_size

SECTION = "Backups"
UNKNOWN = "this access key may not read the setting"
Said = Mapping[str, Any]


class Outcome(NamedTuple):
    """What was found, and what was done or would be."""

    name: str
    source: Union[Bucket, Folder]  # noqa: UP007  # Python 3.9
    target: Union[Bucket, Folder]  # noqa: UP007  # as above
    wants: Said  # the options versioning and object_lock
    is_mirror: bool  # all of a place, as it is, so that what is there was written down
    is_prediction: bool
    began_at: float  # seconds since 1970
    plan: Plan
    after: Plan
    done: Said
    actions: list[str]
    keeps: Said
    deletes: bool
    before: Said | None  # what was written down when the last run had finished
    max_age_seconds: float | None
    now: datetime


def report(it: Outcome) -> dict[str, Any]:
    """Return what the module returns."""
    plan, counts = it.plan, it.plan.counts
    if it.is_prediction:
        there = {
            "objects": plan.target.objects + counts[NEW] - (counts[GONE] if it.deletes else 0),
            "bytes": plan.target.bytes + plan.grows + (0 if it.deletes else plan.bytes[GONE]),
        }
    else:
        there = {"objects": it.after.target.objects, "bytes": it.after.target.bytes}
    return {
        "changed": bool(it.actions),
        "actions": it.actions,
        "mirror": {
            "source": it.source.identity,
            "target": it.target.identity,
            "source_objects": plan.source.objects,
            **there,
            "sha256": None if it.is_prediction and it.actions else it.after.target.told()["sha256"],
            **{kind: counts[kind] for kind in (NEW, REPLACED, SAME, GONE)},
            **it.done,
            "left_out": plan.left_out,
            **it.keeps,
        },
        "changes": _changes(it) if it.actions else [],
        "checks": _kept(it) if it.is_prediction else [_compared(it), *_kept(it), *_finished(it), *_whole(it)],
        "diff": {"before": {"objects": plan.target.objects, "bytes": plan.target.bytes}, "after": there},
    }


def _changes(it: Outcome) -> list[dict[str, Any]]:
    words = {NEW: "copied", REPLACED: "replaced", **({GONE: "deleted"} if it.deletes else {})}
    reasons = {
        NEW: f"not there yet, {human_size(it.plan.bytes[NEW])}",
        REPLACED: f"another content of the same name, {human_size(it.plan.bytes[REPLACED])}",
        GONE: f"no longer in {it.source.label}",
    }
    return [
        make_change(
            f"{it.target.label}: {it.plan.counts[kind]} object{'' if it.plan.counts[kind] == 1 else 's'}",
            action=word,
            section=SECTION,
            reason=reasons[kind],
        )
        for kind, word in words.items()
        if it.plan.counts[kind]
    ]


def _compared(it: Outcome) -> dict[str, Any]:
    """Judge what is not in the target, and was in the source before the last run began, or for longer than is allowed."""
    oldest, late = it.began_at - 1, 0
    if it.wants["state"] == "compared" and it.max_age_seconds is not None:
        oldest = it.now.timestamp() - it.max_age_seconds
    elif it.wants["state"] == "compared" and it.before:
        oldest = parse_moment(str(it.before["began_at"]))
    same, missing, other, gone = (it.after.counts[kind] for kind in (SAME, NEW, REPLACED, GONE))
    if missing + other:
        late = sum(1 for one in it.after.steps(NEW, REPLACED) if one.source and one.source.modified_at <= oldest)
    detail = f"{same} objects are the same in {it.source.label}"
    if missing or other:
        detail = f"{missing} objects are missing, {other} are others than in {it.source.label}; {same} are the same"
    if gone:
        detail += f"; {gone} more are no longer there"
    return make_check(
        f"bucket_sync:{it.name}",
        name=f"{it.name} holds its source",
        section=SECTION,
        status="critical" if late else "ok",
        value=late,
        detail=detail,
        remedy="run the playbook mirror_buckets, and read the log of the run that should have copied them",
    )


def _kept(it: Outcome) -> list[dict[str, Any]]:
    """Judge whether what is replaced or deleted there stays."""
    if not it.target.is_bucket:
        return []
    checks = []
    if it.wants["versioning"]:
        words = {True: "versions are kept", False: "no versions are kept", None: UNKNOWN}
        remedy = "turn it on at the provider: without it a damaged or overwritten object replaces the good one here too"
        checks.append(_setting(it, "versioning", words, it.keeps["versioned"], remedy))
    if it.wants["object_lock"]:
        lock = it.keeps["object_lock"]
        days = f", {lock['days']} days {lock['mode']}" if lock and lock["days"] else ""
        words = {True: f"object lock is on{days}", False: "object lock is off", None: UNKNOWN}
        remedy = "mirror to a bucket with object lock: without it whoever has the key can delete versions"
        checks.append(_setting(it, "object_lock", words, lock and lock["enabled"], remedy))
    return checks


def _setting(it: Outcome, key: str, words: Mapping[Any, str], found: bool | None, remedy: str) -> dict[str, Any]:
    return make_check(
        f"bucket_sync:{it.name}:{key}",
        name=f"{it.name} {key.replace('_', ' ')}",
        section=SECTION,
        status={True: "ok", False: "warning", None: "unknown"}[found],
        value=found,
        detail=words[found],
        remedy=remedy if found is False else "allow this access key to read the setting",
    )


def _finished(it: Outcome) -> list[dict[str, Any]]:
    """Judge when the last run has finished, and whether the target is still what it was then."""
    if it.wants["state"] != "compared" or not it.is_mirror:
        return []
    age, status, remedy = None, "ok", "run the playbook mirror_buckets"
    if it.before is None:
        status, detail = "critical", "no run has finished yet"
    else:
        age = round(max(0.0, it.now.timestamp() - parse_moment(str(it.before["finished_at"]))))
        detail = f"the last run finished {human_duration(age)} ago"
        if it.before.get("sha256") != it.plan.target.told()["sha256"]:
            status, remedy = "warning", "see who wrote there, then run the playbook mirror_buckets"
            numbers = f"{it.before['objects']} objects then, {it.plan.target.objects} now"
            detail += f"; since then {it.target.label} was changed by something else: {numbers}"
        if it.max_age_seconds is not None and age >= it.max_age_seconds:
            status, remedy = "critical", "read the log of the job that should have run"
    check = make_check(
        f"bucket_sync:{it.name}:run",
        name=f"{it.name} last run",
        section=SECTION,
        status=status,
        value=age,
        unit="s",
        limit=it.max_age_seconds,
        detail=detail,
        remedy=remedy,
    )
    return [check]


def _whole(it: Outcome) -> list[dict[str, Any]]:
    """Warn of what cannot be copied at all."""
    number = it.plan.left_out_count
    if not number:
        return []
    check = make_check(
        f"bucket_sync:{it.name}:left_out",
        name=f"{it.name} is whole",
        section=SECTION,
        status="warning",
        value=number,
        detail=f"{number} objects cannot be files, among them {it.plan.left_out[0]}",
        remedy="copy to a bucket, or rename them",
    )
    return [check]
