# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One change of an upstream: tested, taken by nginx, proven by a request, or put back. Private to this collection."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils import _nginx_host
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change, make_check
from ansible_collections.runbook.ops.plugins.module_utils._nginx_change import Nginx, carry_out
from ansible_collections.runbook.ops.plugins.module_utils._nginx_files import Change, changed_at, keep_copies, read_conf
from ansible_collections.runbook.ops.plugins.module_utils._nginx_plan import (
    Conf,
    Plan,
    Wish,
    check_wish,
    plan_absent,
    plan_present,
    servers_of,
)

SECTION = "Proxy"


class Task(NamedTuple):
    """One call of the module."""

    wish: Wish
    present: bool
    config: str
    directory: Path  # of the journal and of the copies
    nginx: Nginx
    drain_seconds: float


def run(task: Task, *, check_mode: bool) -> dict[str, Any]:
    """Bring the upstream to what is wished, and return the module's result.

    :raises NginxError: it cannot be, and all is as it was before; or it could not be put back, and what to look at.
    :raises ValueError: what is wished is wrong in itself.
    """
    check_wish(task.wish)
    change = Change(task.directory / f"{task.wish.name}.json")
    if check_mode:
        conf, plan, _stale = _look(task, killed=change.pending() is not None)
        return _result(task, conf, plan, changed=bool(plan.actions))
    with change.locked():
        killed = change.pending()
        if killed is not None and task.nginx.test():
            change.put_back(killed)  # it was cut off between two files that belong together
        conf, plan, stale = _look(task, killed=killed is not None)
        if not plan.files and not stale:
            change.done()
            return _result(task, conf, plan, changed=False)
        return _apply(task, change, conf, plan, killed or {})


def _look(task: Task, *, killed: bool) -> tuple[Conf, Plan, bool]:
    """Return the configuration, what has to change, and whether nginx has yet to take what is there."""
    wish = task.wish
    conf = read_conf(task.config, wish.file, wish.block_file)
    plan = (plan_present if task.present else plan_absent)(wish, conf)
    master = _nginx_host.master_of(conf.directives)
    ours = [wish.file, wish.block_file]
    stale = killed or (task.present and not _nginx_host.has_taken(master, changed_at(ours)))
    if stale and not plan.files:
        plan.actions.append("nginx takes the configuration that it has not taken yet")
    return conf, plan, stale


def _apply(task: Task, change: Change, conf: Conf, plan: Plan, killed: Mapping[str, str | None]) -> dict[str, Any]:
    """Make the change, or raise with everything as it was."""
    for server in task.wish.servers if task.present else ():
        _nginx_host.connect(server)
    others = {path: text for path, text in plan.files.items() if path not in (task.wish.file, task.wish.block_file)}
    copies = keep_copies(task.directory / f"{task.wish.name}.before", others, conf)
    old, switch_seconds = carry_out(change, conf, _in_order(task, plan.files), task.nginx, killed=killed)
    began = time.monotonic()
    left = _nginx_host.drain(old, seconds=task.drain_seconds)
    drain_seconds = round(time.monotonic() - began, 3)
    more = {"copies": copies, "switch_seconds": switch_seconds, "left": left, "drain_seconds": drain_seconds}
    return _result(task, conf, plan, changed=True, **more)


def _in_order(task: Task, files: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return the files so that none names one that is not there: the servers first, and last where they go."""
    rank = {task.wish.file: 0, task.wish.block_file: 1}
    return dict(sorted(files.items(), key=lambda item: rank.get(item[0], 2), reverse=not task.present))


def _result(task: Task, conf: Conf, plan: Plan, *, changed: bool, **more: Any) -> dict[str, Any]:
    before = servers_of(conf.texts.get(task.wish.file))
    after = list(task.wish.servers) if task.present else []
    left = more.get("left", [])
    checks = [
        make_check(
            f"nginx_upstream:{task.wish.name}:{number}",
            name=f"upstream {task.wish.name}",
            section=SECTION,
            status="warning",
            detail=note,
            remedy="look at what the application does with it",
        )
        for number, note in enumerate(plan.notes)
    ]
    if left:
        checks.append(
            make_check(
                f"nginx_upstream:{task.wish.name}:drain",
                name=f"old workers of nginx at {task.wish.name}",
                section=SECTION,
                status="warning",
                value=len(left),
                detail=f"{len(left)} still finish requests of the servers before, after {task.drain_seconds:g} s",
                remedy="leave the servers before running, or set worker_shutdown_timeout",
            )
        )
    changes = [
        make_change(
            f"upstream {task.wish.name}",
            action="switched" if task.present else "taken back",
            section=SECTION,
            reason="; ".join(plan.actions),
            before=", ".join(before) or None,
            after=", ".join(after) or None,
            seconds=more.get("switch_seconds"),
        )
    ]
    return {
        "changed": changed,
        "actions": plan.actions,
        "upstream": {
            "name": task.wish.name,
            "servers": after,
            "servers_before": before,
            "drained": not left,
            "switch_seconds": more.get("switch_seconds"),
            "drain_seconds": more.get("drain_seconds"),
            "copies": more.get("copies", []),
        },
        "checks": checks,
        "changes": changes if changed else [],
        "diff": [
            {
                "before_header": path,
                "after_header": path,
                "before": conf.texts.get(path, ""),
                "after": text or "",
            }
            for path, text in plan.files.items()
        ],
    }
