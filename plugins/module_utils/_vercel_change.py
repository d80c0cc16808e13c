# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a deployment into production at Vercel, or another one back. Private to this collection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change, make_check
from ansible_collections.runbook.ops.plugins.module_utils._service_state import SECTION
from ansible_collections.runbook.ops.plugins.module_utils._vercel import (
    AT_WORK,
    Deployment,
    VercelError,
    refuse_redeploy,
    version_of,
)
from ansible_collections.runbook.ops.plugins.module_utils._vercel_choose import (
    named,
    refuse_busy,
    source_of,
    to_go_back_to,
    to_promote,
    url,
)
from ansible_collections.runbook.ops.plugins.module_utils._vercel_watch import LOOKED_AT, Waiting, Watch


class Wish(NamedTuple):
    """What the options ask for."""

    state: str  # redeployed | deployed | promoted | rolled_back
    deployment: str  # identifier, URL or commit; empty for the natural one
    ref: str
    staged: bool  # build it, and leave the domains where they are
    reason: str
    wait_timeout_seconds: float
    version: str = ""  # what the commit was asked for by
    rebuild: bool = False  # build it once more where it is built: it has the variables that it was built with


class Step(NamedTuple):
    """What is to be done."""

    action: str  # for the record
    says: str  # what is asked of Vercel
    to: Deployment | None  # None: it is to be built
    order: Callable[[], Deployment | None]  # asks it; returns what is being built


def run(vercel: Any, wish: Wish, waiting: Waiting, *, check_mode: bool) -> dict[str, Any]:
    """Return the module's result.

    :raises VercelError: it cannot be done, or did not come about; what production is then stands in the message.
    """
    live, latest = vercel.look(LOOKED_AT)
    followed = _assigns(vercel)
    step = _plan(vercel, wish, live, latest)
    result: dict[str, Any] = {"changed": bool(step), "actions": [], "changes": []}
    if step and not wish.staged:
        change = make_change(
            vercel.project,
            action=step.action,
            section=SECTION,
            reason=wish.reason,
            before=url(live),
            after=url(step.to) if step.to else None,
        )
        result.update(changes=[change])
    elif step:
        change = make_change(vercel.project, action="staged", section=SECTION, reason=wish.reason)
        result.update(changes=[change])
    if step:
        before = version_of(live) if live else "nothing"
        after = before if wish.staged else version_of(step.to) if step.to else step.says.partition(" ")[2]
        result.update(actions=[step.says], diff={"before": {"live": before}, "after": {"live": after}})
    else:
        result["diff"] = {}
    built = None
    about = live if step is None else step.to
    if wish.state == "deployed" and step is None:
        about = named([one for one in [live, *latest] if one], wish.deployment)
    if step and not check_mode:
        begin = waiting.clock()
        built = step.order()
        about = about or built
        change["after"] = url(built) if built else change["after"]
        try:
            watch = Watch(vercel, waiting, live, wish.wait_timeout_seconds)
            live = _serve(vercel, watch, wish, built) if built else watch.domains(step.to) if step.to else live
        except VercelError as exc:  # what was done was done, and belongs into the record
            raise VercelError(str(exc), **result) from exc
        change["seconds"] = round(waiting.clock() - begin, 2)
    return {
        **result,
        "live": asdict(live) if live else None,
        "built": asdict(built) if built else None,
        "deployment": asdict(about) if about else None,
        "checks": _checks(vercel, wish, step, check_mode=check_mode, followed=followed),
    }


def _plan(vercel: Any, wish: Wish, live: Deployment | None, latest: list[Deployment]) -> Step | None:
    if wish.state == "redeployed":
        old = refuse_redeploy(live, latest, project=vercel.project)
        return Step("redeployed", f"redeploy {old.url}", None, lambda: vercel.redeploy(old))
    if wish.state == "deployed":
        return _plan_deploy(vercel, wish, live, latest)
    refuse_busy(latest, project=vercel.project)
    back = wish.state == "rolled_back"
    to = (to_go_back_to if back else to_promote)(live, latest, wish.deployment)
    if live and to.id == live.id and (back or _assigns(vercel) is not False):
        return None
    if back:
        return Step("rolled back", f"rollback {to.url}", to, lambda: vercel.roll_back(to.id, wish.reason))
    return Step("promoted", f"promote {to.url}", to, lambda: vercel.promote(to.id))


def _plan_deploy(vercel: Any, wish: Wish, live: Deployment | None, latest: list[Deployment]) -> Step | None:
    """Return how the commit comes into production: one that is built is not built again."""
    found = named([one for one in [live, *latest] if one], wish.deployment)
    if found and found.state in AT_WORK and found.version and wish.staged:  # a killed run of ours has begun it
        return Step("deployed", f"wait for {found.url}", None, lambda: found)
    found = None if wish.rebuild else found
    if found and ((live and found.id == live.id) or (found.state == "READY" and wish.staged)):
        return None
    if found and found.state == "READY":
        return Step("deployed", f"promote {found.url}", found, lambda: vercel.promote(found.id))
    refuse_busy(latest, project=vercel.project)
    source = source_of(vercel.settings, wish.deployment, wish.ref)
    version = wish.version or wish.deployment

    def order() -> Deployment | None:
        built: Deployment = vercel.build(source, assign=not wish.staged, version=version)
        return built

    return Step("deployed", f"build {wish.deployment}", None, order)


def _serve(vercel: Any, watch: Watch, wish: Wish, built: Deployment) -> Deployment | None:
    """Return what serves once ``built`` is ready. Since a rollback Vercel leads no domains to what is built: then that is asked for."""
    leads = not wish.staged and _assigns(vercel) is False
    live = watch.build(built, staged=wish.staged or leads)
    if not leads:
        return live
    vercel.promote(built.id)
    return watch.domains(built)


def _assigns(vercel: Any) -> bool | None:
    """Return whether the domains follow the production branch; None where Vercel does not say."""
    said = vercel.settings.get("autoAssignCustomDomains")
    return None if said is None else bool(said)


def _checks(
    vercel: Any, wish: Wish, step: Step | None, *, check_mode: bool, followed: bool | None
) -> list[dict[str, Any]]:
    """Return a warning where a push is built, and served by nobody since a rollback, or where that has ended unasked.

    :param followed: whether it was served before
    """
    will = check_mode and step is not None
    if wish.state == "redeployed" and step and followed is False and (will or _assigns(vercel)):
        return _again_check(vercel.project, will=will)
    if will and wish.state in ("rolled_back", "promoted"):
        follows: bool | None = wish.state == "promoted"
    else:
        follows = _assigns(vercel)
    if follows is None:
        return []
    return _follow_check(vercel.project, follows=follows, back=(will and not follows) or _went_back(vercel))


def _went_back(vercel: Any) -> bool:
    """Return whether the last order was a rollback: else it is the project's settings that have a push served by nobody."""
    return (vercel.settings.get("lastAliasRequest") or {}).get("type") == "rollback"


def _again_check(project: str, *, will: bool) -> list[dict[str, Any]]:
    return [
        make_check(
            f"vercel:{project}:auto_assign",
            name=f"{project} follows its branch",
            section=SECTION,
            status="warning",
            value=True,
            detail=f"what is built once more had to be promoted: a push to the production branch {'will be' if will else 'is'} served again",
            remedy="Where the branch holds what was gone back from: revert it there before anybody pushes, or switch automatic assignment "
            "off in the project's settings at Vercel",
        )
    ]


def follow_checks(vercel: Any) -> list[dict[str, Any]]:
    """Return whether a push is served, as it was at the last look; nothing where Vercel does not say."""
    follows = _assigns(vercel)
    return [] if follows is None else _follow_check(vercel.project, follows=follows, back=_went_back(vercel))


def _follow_check(project: str, *, follows: bool, back: bool) -> list[dict[str, Any]]:
    """Return what becomes of a push: switched off in the settings, nobody has to do anything about it."""
    since = ", since a rollback" if back else ": automatic assignment is off in the project's settings"
    return [
        make_check(
            f"vercel:{project}:auto_assign",
            name=f"{project} follows its branch",
            section=SECTION,
            status="warning" if back and not follows else "ok",
            value=follows,
            detail="a push to the production branch is served"
            if follows
            else f"what is pushed is built, and not served{since}",
            remedy="Deploy a release that is good, or promote what is live (vercel_deployment): from then on the domains follow the branch again",
        )
    ]
