# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One change of an upstream: tested, taken by nginx, proven by a request, or put back. Private to this collection."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils import _nginx_host
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change, make_check
from ansible_collections.runbook.ops.plugins.module_utils._nginx_change import Nginx, Place, Seen, look, write
from ansible_collections.runbook.ops.plugins.module_utils._nginx_files import Change
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
        seen = _look(task, change, check_mode=True)
        return _result(task, seen, changed=bool(seen.plan.actions))
    with change.locked():
        seen = _look(task, change, check_mode=False)
        if not seen.plan.files and not seen.stale:
            change.done()
            return _result(task, seen, changed=False)
        return _apply(task, change, seen)


def _place(task: Task) -> Place:
    wish = task.wish
    return Place(task.config, (wish.file, wish.block_file), task.directory / f"{wish.name}.before")


def _look(task: Task, change: Change, *, check_mode: bool) -> Seen:
    def plan_of(conf: Conf) -> Plan:
        return (plan_present if task.present else plan_absent)(task.wish, conf)

    return look(change, _place(task), task.nginx, plan_of, is_wanted=task.present, check_mode=check_mode)


def _apply(task: Task, change: Change, seen: Seen) -> dict[str, Any]:
    """Make the change, or raise with everything as it was."""
    for server in task.wish.servers if task.present else ():
        _nginx_host.connect(server)
    copies, old, switch_seconds = write(change, _place(task), task.nginx, seen, is_wanted=task.present)
    began = time.monotonic()
    left = _nginx_host.drain(old, seconds=task.drain_seconds)
    drain_seconds = round(time.monotonic() - began, 3)
    more = {"copies": copies, "switch_seconds": switch_seconds, "left": left, "drain_seconds": drain_seconds}
    return _result(task, seen, changed=True, **more)


def _result(task: Task, seen: Seen, *, changed: bool, **more: Any) -> dict[str, Any]:
    conf, plan = seen.conf, seen.plan
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
