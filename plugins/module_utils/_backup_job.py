# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of a backup job: which of its tasks follow from which, and what is told of it. Private to this collection."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_tasks import MAKERS
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration, human_size

Task = Mapping[str, Any]
# What is not done for a set after one of its tasks failed. A copy proves itself, so damage in one backup keeps no other from being
# copied; and a copy that failed keeps nothing from being pruned: a store that is away for weeks must not fill the disk.
BLOCKS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(MAKERS, ("backup_verify", "backup_offsite", "backup_rotate")),
    "backup_verify": ("backup_rotate",),
}
WORDS = {**dict.fromkeys(MAKERS, "saved"), "backup_offsite": "copied", "bucket_sync": "mirrored"}


@dataclass(frozen=True)
class Outcome:
    """What came of one task."""

    task: Task
    result: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None  # one line
    skipped: bool = False  # because of what came before it


def run_tasks(
    tasks: Sequence[Task],
    do: Callable[[Task], Mapping[str, Any]],
    *,
    attempts: int = 1,
    wait: Callable[[], Any] = lambda: None,
) -> list[Outcome]:
    """Do ``tasks`` in order, and return what came of each.

    One that fails is tried again, after ``wait``, before the next begins. What is bad in spite of that does not keep other sets from
    being saved.

    :param do: does one task; whatever it raises is why it failed
    """
    outcomes: list[Outcome] = []
    blocked: set[tuple[str, str]] = set()
    for task in tasks:
        name = task["set"] or task["name"]
        if (name, task["module"]) in blocked:
            outcomes.append(Outcome(task, skipped=True))
            continue
        outcome = _done(task, do)
        for _again in range(attempts - 1):
            if outcome.error is None or task["module"] == "backup_verify":
                break
            wait()
            outcome = _done(task, do)
        if outcome.error:
            blocked |= {(name, module) for module in BLOCKS.get(task["module"], ())}
        outcomes.append(outcome)
    return outcomes


def _done(task: Task, do: Callable[[Task], Mapping[str, Any]]) -> Outcome:
    try:
        result = do(task)
    except Exception as exc:  # whatever keeps one set from being saved, the others are saved
        return Outcome(task, error=" ".join(str(exc).split()) or type(exc).__name__)
    critical = [check for check in result.get("checks") or [] if check["status"] == "critical"]
    return Outcome(task, result, error=_said(critical[0]) if critical else None)


def _said(check: Mapping[str, Any]) -> str:
    return f"{check['name']}: {check['detail']}" + (f"; {check['remedy']}" if check.get("remedy") else "")


def failures(outcomes: Sequence[Outcome]) -> list[str]:
    """Return what went wrong, a line for each task."""
    return [f"{one.task['module']} {one.task['set'] or one.task['name']}: {one.error}" for one in outcomes if one.error]


def log_lines(outcomes: Sequence[Outcome], *, job: str, success: str, at: str, seconds: float) -> list[str]:
    """Return the lines for the log of the job: one that says that it succeeded, or one for each thing that failed.

    :param success: what a line says that the health check looks for
    :param at: when it ended, such as ``2026-11-21T02:00:07Z``
    """
    wrong = failures(outcomes)
    if wrong:
        return [f"{at} {job} backup failed: {line}" for line in wrong]
    words = [text for one in outcomes if (text := _figures(one))]
    return [f"{at} {success}: {', '.join(words) or 'nothing was due'} ({human_duration(round(seconds))})"]


def _figures(outcome: Outcome) -> str:
    """Return what one task did, in words; nothing where that is no news."""
    module, name, result = outcome.task["module"], outcome.task["set"] or outcome.task["name"], outcome.result
    if module in MAKERS:
        backup = result.get("backup") or {}
        size = backup.get("size_bytes", backup.get("size"))
        return f"{backup.get('name') or name}" + (f" {human_size(size)}" if size is not None else "")
    if module == "backup_rotate":
        return f"{result['deleted']} of {name} pruned" if result.get("deleted") else ""
    return f"{name} {WORDS[module]}" if module in WORDS and result.get("changed") else ""
