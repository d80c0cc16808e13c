# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Environment variables of a project at Vercel: which differ, and what is to be asked. Private to this collection."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change, make_check
from ansible_collections.runbook.ops.plugins.module_utils._service_state import SECTION
from ansible_collections.runbook.ops.plugins.module_utils._vercel import VercelError

SENSITIVE = "sensitive"


class Step(NamedTuple):
    """One variable that is not as it should be."""

    name: str
    action: str  # added | changed | removed
    identity: str  # Vercel's, empty for one that is added
    unknown: bool = False  # whether nobody can read the value it has


def plan(
    known: Sequence[Mapping[str, Any]],
    wanted: Mapping[str, str],
    unwanted: Sequence[str],
    *,
    targets: Sequence[str],
    replace: bool,
    value_of: Callable[[str], str | None],
) -> list[Step]:
    """Return what is to be done, in the order of the names.

    :param known: the project's variables, as the API lists them
    :param replace: whether values that nobody can read are written all the same
    :param value_of: reads the value of one; None where nobody can
    :raises VercelError: a variable stands for other environments as well, which must not change along.
    """
    steps = []
    for name in sorted({*wanted, *unwanted}):
        found = [one for one in _ours(known, targets) if one["key"] == name]
        for one in found:
            _refuse_wider(one, targets)
        if name not in wanted:
            steps += [Step(name, "removed", str(one["id"])) for one in found]
        elif not found:
            steps.append(Step(name, "added", ""))
        elif len(found) > 1 or set(found[0]["target"]) != set(targets):
            steps.append(Step(name, "changed", str(found[0]["id"])))
        else:
            value = None if found[0].get("type") == SENSITIVE else value_of(str(found[0]["id"]))
            if value is None and replace:
                steps.append(Step(name, "changed", str(found[0]["id"]), unknown=True))
            elif value is not None and value != wanted[name]:
                steps.append(Step(name, "changed", str(found[0]["id"])))
    return steps


def _ours(known: Sequence[Mapping[str, Any]], targets: Sequence[str]) -> list[Mapping[str, Any]]:
    """Return the variables that stand for ``targets``, but for those of one branch only, which are another matter."""
    return [one for one in known if set(one.get("target") or []) & set(targets) and not one.get("gitBranch")]


def _refuse_wider(one: Mapping[str, Any], targets: Sequence[str]) -> None:
    others = sorted(set(one.get("target") or []) - set(targets))
    if others:
        raise VercelError(
            f"{one['key']} stands for {', '.join(others)} as well: name these in targets too, or part them at Vercel"
        )


def run(vercel: Any, params: Mapping[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Return the module's result.

    :raises VercelError: it cannot be done; what was done before stands in the details.
    """
    wanted = {name: str(value) for name, value in (params["variables"] or {}).items()}
    unwanted = [name for name in params["absent"] or [] if name not in wanted]
    targets = params["targets"]
    known = vercel.variables()
    steps = plan(known, wanted, unwanted, targets=targets, replace=params["replace"], value_of=vercel.value_of)
    done: list[dict[str, Any]] = []
    for step in steps:
        try:
            if not check_mode:
                _do(vercel, step, wanted, params)
        except VercelError as exc:
            raise VercelError(f"{step.name}: {exc}", changes=done, changed=bool(done)) from exc
        done.append(
            make_change(
                step.name, action=step.action, section=SECTION, reason=params["reason"], after=", ".join(targets)
            )
        )
    unread = [
        one["key"] for one in known if one["key"] in wanted and one.get("type") == SENSITIVE and not params["replace"]
    ]
    names = {one["key"] for one in _ours(known, targets)}
    after = (names | set(wanted)) - set(unwanted)
    return {
        "changed": bool(steps),
        "variables": sorted(after),
        "unread": sorted(unread),
        "changes": done,
        "checks": [] if params.get("redeployed") else _checks(vercel.project, steps),
        "diff": {
            "before": "".join(f"{name}\n" for name in sorted(names)),
            "after": "".join(f"{name}\n" for name in sorted(after)),
        },
    }


def _do(vercel: Any, step: Step, wanted: Mapping[str, str], params: Mapping[str, Any]) -> None:
    if step.action == "removed":
        vercel.remove_variable(step.identity)
    else:
        kind = SENSITIVE if params["sensitive"] else "encrypted"
        vercel.set_variable(
            {"key": step.name, "value": wanted[step.name], "type": kind, "target": list(params["targets"])}
        )


def _checks(project: str, steps: Sequence[Step]) -> list[dict[str, Any]]:
    if not steps:
        return []
    return [
        make_check(
            f"vercel:{project}:variables",
            name=f"variables of {project}",
            section=SECTION,
            status="warning",
            value=len(steps),
            unit="changed",
            detail="what is in production goes on with the values before",
            remedy="Redeploy it: service, with -e service_state=restarted",
        )
    ]
