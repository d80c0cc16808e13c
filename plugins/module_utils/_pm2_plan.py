# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What brings a PM2 application to a state, and whether it stays there. Private to this collection."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._pm2 import App, Pm2Error


@dataclass(frozen=True)
class Wish:
    """What is wanted of one application."""

    name: str
    state: str  # started | stopped | restarted | reloaded | absent
    user: str
    instances: int | None = None
    ecosystem: str | None = None
    ecosystem_environment: str | None = None
    definition: Mapping[str, Any] | None = field(default=None, repr=False)  # in PM2's own words; holds secrets


@dataclass(frozen=True)
class Seen:
    """What was found: the applications, and those that PM2 would bring back."""

    running: bool
    apps: Mapping[str, App]
    saved: Mapping[str, App] = field(default_factory=dict)
    differs: tuple[str, ...] = ()  # options whose value is not what the definition says
    other_daemons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """One call of PM2."""

    arguments: tuple[str, ...]
    because: str
    stdin: str | None = field(default=None, repr=False)
    directory: str = "/"

    @property
    def verb(self) -> str:
        return self.arguments[0]


def refuse(name: str) -> None:
    """Raise where PM2 would take ``name`` for something else than the name of an application.

    :raises Pm2Error: it would.
    """
    if not name or name == "all" or name.startswith(("-", "/")):
        raise Pm2Error(f"{name!r} cannot be the name of an application: PM2 takes it for a selection of several")


def plan(seen: Seen, wish: Wish) -> list[Step]:
    """Return the calls of PM2, in order, that bring the application to the wished state.

    :raises Pm2Error: PM2 does not know the application, and nothing says how to start it.
    """
    app = seen.apps.get(wish.name, App(wish.name))
    if wish.state == "absent":
        return [] if app.status == "absent" else [Step(("delete", wish.name), "it is to be absent")]
    if wish.state == "stopped":
        return [] if app.status in ("absent", "stopped") else [Step(("stop", wish.name), "it is to be stopped")]
    if not seen.running and seen.saved:
        because = f"no daemon runs for {wish.user}; saved are {', '.join(seen.saved)}"
        known = seen.saved.get(wish.name)
        rest = _scale(known, wish) if known else [_start(seen, wish, "PM2 does not know it yet")]
        return [Step(("resurrect",), because), *rest]
    return _plan_up(app, seen, wish)


def _plan_up(app: App, seen: Seen, wish: Wish) -> list[Step]:
    """Return the calls that make ``app`` run, where a daemon runs already or there is nothing to bring back."""
    if app.status == "absent":
        return [_start(seen, wish, "PM2 does not know it yet")]
    if seen.differs:
        because = f"other {', '.join(seen.differs)}"
        return [Step(("delete", wish.name), because), _start(seen, wish, because)]
    steps = []
    if wish.state != "started":
        verb = "reload" if wish.state == "reloaded" and not app.down_ids else "restart"  # a reload does not start
        steps = [Step((verb, wish.name), f"it is to be {wish.state}")]
    elif app.down_ids:
        # By name, PM2 would restart the instances that run, too.
        one_by_one = app.down_ids != app.ids
        which = tuple(str(number) for number in app.down_ids) if one_by_one else (wish.name,)
        steps = [Step(("start", *which), f"{len(app.down_ids)} of {app.instances} instances do not run")]
    return [*steps, *_scale(app, wish)]


def _scale(app: App, wish: Wish) -> list[Step]:
    if wish.instances is None or wish.instances == app.instances:
        return []
    return [Step(("scale", wish.name, str(wish.instances)), f"{app.instances} instances, wanted are {wish.instances}")]


def _start(seen: Seen, wish: Wish, because: str) -> Step:
    if wish.definition is not None:
        app = {**wish.definition, "name": wish.name, "instances": wish.instances or 1}
        return Step(("start", "-"), because, stdin=json.dumps({"apps": [app]}), directory=str(app["cwd"]))
    if wish.ecosystem is not None:
        arguments = ["start", wish.ecosystem, "--only", wish.name]
        if wish.ecosystem_environment:
            arguments += ["--env", wish.ecosystem_environment]
        if wish.instances:
            arguments += ["--instances", str(wish.instances)]
        return Step(tuple(arguments), because, directory=posixpath.dirname(wish.ecosystem))
    known = ", ".join(seen.apps) or ("none" if seen.running else "none, and no daemon runs")
    hint = f"; other daemons run in {', '.join(seen.other_daemons)}" if seen.other_daemons else ""
    raise Pm2Error(
        f"PM2 of {wish.user} does not know {wish.name!r} (known: {known}){hint}; "
        "correct name or user, or set ecosystem or script to what starts it"
    )


def predict(seen: Seen, steps: list[Step], wish: Wish) -> App:
    """Return the application as it will be once ``steps`` have run."""
    app = seen.apps.get(wish.name, App(wish.name))
    for step in steps:
        if step.verb == "delete":
            app = App(wish.name)
        elif step.verb == "stop":
            app = replace(app, status="stopped", down_ids=app.ids)
        elif step.verb == "scale":
            app = replace(app, instances=int(step.arguments[-1]), ids=(), down_ids=())
        elif step.verb == "resurrect":
            app = seen.saved.get(wish.name, app)
        else:  # start, restart, reload
            app = replace(app, status="online", down_ids=(), instances=app.instances or wish.instances or 1)
    return app


def is_stable(app: App, *, now: float, stable_seconds: float, restarts_before: int = 0) -> bool:
    """Return whether all instances are online for ``stable_seconds``; False while they may become so.

    :raises Pm2Error: PM2 has given it up.
    """
    if app.errored_ids or app.status == "absent":
        crashes = max(app.restarts - restarts_before, 1)
        raise Pm2Error(
            f"{app.name} is {app.status}: it crashed {crashes} times in a row; read the end of {app.error_log}"
        )
    up = app.uptime_seconds(now)
    return up is not None and up >= stable_seconds


def gave_up(app: App, *, restarts_before: int, waited_seconds: float) -> Pm2Error:
    """Return the error for an application that was not stable in time."""
    crashes = app.restarts - restarts_before
    if crashes > 0:
        return Pm2Error(
            f"{app.name} is in a crash loop: restarted {crashes} times in {waited_seconds:g} s; "
            f"read the end of {app.error_log}"
        )
    return Pm2Error(
        f"{app.name} is {app.status} after {waited_seconds:g} s, wanted is online; read the end of {app.error_log}, "
        "or raise wait_timeout_seconds"
    )
