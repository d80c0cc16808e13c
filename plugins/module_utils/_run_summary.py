# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collect checks and changes from the results of tasks. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import STATUSES, worst_status

OWN = "__record_summary"  # what an earlier summary found is found again by itself


def summarise(registered: Mapping[str, Any]) -> dict[str, Any]:
    """Return the checks and changes among ``registered`` results, in the order in which they were registered.

    Of checks with the same id the later one counts: a check after a repair replaces the one before it. A change counts once.
    """
    checks: dict[str, dict[str, Any]] = {}
    changes: list[dict[str, Any]] = []
    for name, value in registered.items():
        for result in _results(value) if name != OWN else ():
            for check in _list(result, "checks"):
                checks.pop(check["id"], None)  # the later one also takes the later place
                checks[check["id"]] = check
            # A role that predicts before it acts registers the same change twice.
            changes += [change for change in _list(result, "changes") if change not in changes]
    found = list(checks.values())
    counts = {status: sum(check["status"] == status for check in found) for status in STATUSES}
    return {
        "checks": found,
        "changes": changes,
        "status": worst_status(found),
        "counts": {**counts, "changes": len(changes)},
    }


def verdict(checks: list[dict[str, Any]], fail_on: str) -> str | None:
    """Return one line that names the checks for which a run fails; None where there are none.

    :param fail_on: the best status that is bad enough: warning, critical or never
    """
    if fail_on == "never":
        return None
    statuses = STATUSES[STATUSES.index(fail_on) :]
    bad = [check for check in checks if check["status"] in statuses]
    if not bad:
        return None
    verb = "is" if len(bad) == 1 else "are"
    names = ", ".join(str(check["name"]) for check in bad)
    return f"{len(bad)} of {len(checks)} checks {verb} {' or '.join(statuses)}: {names}"


def failure_of(task: Any, result: Any) -> dict[str, Any] | None:
    """Return which task failed and what it said; None where none did."""
    if not isinstance(result, Mapping) or not result:
        return None
    named = task if isinstance(task, Mapping) else {}
    name = named.get("name") or named.get("action")
    if named.get("no_log") or result.get("_ansible_no_log") or "censored" in result:
        return {"task": name, "message": "hidden, because the task handles a secret"}
    for each in _results(result):
        if each.get("failed") and each.get("msg"):
            return {"task": name, "message": _first(each)}
    return {"task": name, "message": _first(result)}


def _first(result: Mapping[str, Any]) -> str:
    """Return what a failed result says, with the reason that a program gave where there is one."""
    said = str(result.get("msg") or "").strip()
    more = str(result.get("stderr") or result.get("module_stderr") or "").strip()
    if more and (not said or "non-zero return code" in said):  # the words differ between versions of Ansible
        said = more.splitlines()[-1]
    return said or "no reason was given"


def _results(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the results that a registered variable holds: one, or one for each item of a loop."""
    if not isinstance(value, Mapping):
        return
    items = value.get("results")
    if isinstance(items, list):
        yield from (item for item in items if isinstance(item, Mapping))
    yield value


def _list(result: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """Return the mappings listed under ``key`` that have the shape the collection gives them."""
    mark = "id" if key == "checks" else "thing"
    items = result.get(key)
    return [item for item in items if isinstance(item, Mapping) and mark in item] if isinstance(items, list) else []  # type: ignore[misc]  # checked here
