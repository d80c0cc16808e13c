# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The maintenance page: nginx is made ready for it, it is shown by a file, and a request proves it. Private to this collection."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._backup_set import sync_directory
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change
from ansible_collections.runbook.ops.plugins.module_utils._nginx_change import (
    Look,
    Nginx,
    Place,
    Seen,
    look,
    prove,
    write,
)
from ansible_collections.runbook.ops.plugins.module_utils._nginx_conf import NginxError
from ansible_collections.runbook.ops.plugins.module_utils._nginx_files import Change
from ansible_collections.runbook.ops.plugins.module_utils._nginx_page import Wish, check_wish, plan_absent, plan_ready
from ansible_collections.runbook.ops.plugins.module_utils._nginx_plan import Conf, Plan

SECTION = "Proxy"
CONTENT = "The maintenance page is shown while this file exists (runbook.ops nginx_maintenance).\n"


class Task(NamedTuple):
    """One call of the module."""

    wish: Wish
    state: str  # shown | ready | absent
    wired: bool  # whether this module makes nginx look for the flag, or the site does it already
    config: str
    directory: Path
    test: Look
    prove_shown: Look | None
    prove_ready: Look | None
    proof_seconds: float


def run(task: Task, *, check_mode: bool) -> dict[str, Any]:
    """Show the page, or take it away, and return the module's result.

    :raises NginxError: it cannot be, and users see what they saw before.
    :raises ValueError: what is wished is wrong in itself.
    """
    check_wish(task.wish)
    change = Change(task.directory / f"{task.wish.name}.maintenance.json")
    with change.locked() if task.wired and not check_mode else contextlib.nullcontext():
        return _run(task, change, check_mode=check_mode)


def _run(task: Task, change: Change, *, check_mode: bool) -> dict[str, Any]:
    flag = Path(task.wish.flag)
    is_shown = flag.exists()
    seen = _look(task, change, check_mode=check_mode)
    is_to_be = task.state == "shown"
    actions = [*seen.plan.actions]
    if is_shown != is_to_be:
        actions.append(f"{flag} is {'made: users see the page' if is_to_be else 'removed: users see the application'}")
    if actions and not check_mode:
        if not is_to_be:
            _hide(flag)
        if seen.plan.files or seen.stale:
            write(change, _place(task), _nginx(task), seen, is_wanted=task.state != "absent")
        if is_to_be and not is_shown:
            _show(task, flag)
        elif not is_to_be and is_shown and task.prove_ready is not None:
            prove(_nginx(task, task.prove_ready))
    return _result(task, seen, actions, is_shown=is_shown)


def _look(task: Task, change: Change, *, check_mode: bool) -> Seen:
    """Return the configuration, what has to change in it, and what a killed change has left."""
    if not task.wired:
        return Seen(Conf([], {}, lambda _pattern, _file: False), Plan({}, [], []), stale=False, killed={})

    def plan_of(conf: Conf) -> Plan:
        return (plan_absent if task.state == "absent" else plan_ready)(task.wish, conf)

    is_wanted = task.state != "absent"
    return look(change, _place(task), _nginx(task), plan_of, is_wanted=is_wanted, check_mode=check_mode)


def _place(task: Task) -> Place:
    wish = task.wish
    ours = (wish.page_file, wish.http_file, wish.server_file)
    return Place(task.config, ours, task.directory / f"{wish.name}.maintenance.before", wish.page_file)


def _nginx(task: Task, proof: Look | None = None) -> Nginx:
    return Nginx(task.test, proof, task.proof_seconds)


def _show(task: Task, flag: Path) -> None:
    """Make the flag, and prove that users see the page; without proof it goes again."""
    try:
        flag.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        flag.write_text(CONTENT, encoding="ascii")
        flag.chmod(0o644)
        sync_directory(flag.parent)
    except OSError as exc:
        raise NginxError(f"cannot make {flag}: {exc.strerror}; users see the application") from exc
    if task.prove_shown is None:
        return
    try:
        prove(_nginx(task, task.prove_shown))
    except NginxError as exc:
        _hide(flag)
        raise NginxError(f"{exc}; does the site look for {flag}? It is removed again") from exc


def _hide(flag: Path) -> None:
    try:
        flag.unlink()
        sync_directory(flag.parent)
    except FileNotFoundError:
        return
    except OSError as exc:
        raise NginxError(f"cannot remove {flag}: {exc.strerror}; users see the page") from exc


def _result(task: Task, seen: Seen, actions: list[str], *, is_shown: bool) -> dict[str, Any]:
    before, after = ("shown" if is_shown else "not shown"), ("shown" if task.state == "shown" else "not shown")
    change = make_change(
        f"maintenance page of {task.wish.name}",
        action={"shown": "shown", "ready": "made ready", "absent": "removed"}[task.state],
        section=SECTION,
        reason="; ".join(actions),
        before=before,
        after=after,
    )
    return {
        "changed": bool(actions),
        "actions": actions,
        "maintenance": {"name": task.wish.name, "shown": task.state == "shown", "flag": task.wish.flag},
        "changes": [change] if actions else [],
        "diff": [
            *(
                {
                    "before_header": path,
                    "after_header": path,
                    "before": seen.conf.texts.get(path, ""),
                    "after": text or "",
                }
                for path, text in seen.plan.files.items()
            ),
            *([{"before": f"{before}\n", "after": f"{after}\n"}] if before != after else []),
        ],
    }
