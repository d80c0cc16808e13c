# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The maintenance page: nginx is made ready for it, it is shown by a file, and a request proves it. Private to this collection."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils import _nginx_host
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import sync_directory
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change
from ansible_collections.runbook.ops.plugins.module_utils._nginx_change import Look, Nginx, carry_out, prove
from ansible_collections.runbook.ops.plugins.module_utils._nginx_conf import NginxError
from ansible_collections.runbook.ops.plugins.module_utils._nginx_files import Change, changed_at, keep_copies, read_conf
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
    conf, plan, stale, killed = _look(task, change, check_mode=check_mode)
    is_to_be = task.state == "shown"
    actions = [*plan.actions]
    if is_shown != is_to_be:
        actions.append(f"{flag} is {'made: users see the page' if is_to_be else 'removed: users see the application'}")
    if actions and not check_mode:
        if not is_to_be:
            _hide(flag)
        if plan.files or stale:
            _write(task, change, conf, plan, killed)
        if is_to_be and not is_shown:
            _show(task, flag)
        elif not is_to_be and is_shown and task.prove_ready is not None:
            prove(Nginx(task.test, task.prove_ready, task.proof_seconds))
    return _result(task, conf, plan, actions, is_shown=is_shown)


def _look(task: Task, change: Change, *, check_mode: bool) -> tuple[Conf, Plan, bool, dict[str, str | None]]:
    """Return the configuration, what has to change in it, and what a killed change has left."""
    wish = task.wish
    if not task.wired:
        return Conf([], {}, lambda _pattern, _file: False), Plan({}, [], []), False, {}
    killed = change.pending()
    if killed is not None and not check_mode and task.test():
        change.put_back(killed)
    ours = [wish.http_file, wish.server_file, wish.page_file]
    conf = read_conf(task.config, *ours)
    plan = (plan_absent if task.state == "absent" else plan_ready)(wish, conf)
    master = _nginx_host.master_of(conf.directives)
    stale = killed is not None or (task.state != "absent" and not _nginx_host.has_taken(master, changed_at(ours[:2])))
    if stale and not plan.files:
        plan.actions.append("nginx takes the configuration that it has not taken yet")
    return conf, plan, stale, killed or {}


def _write(task: Task, change: Change, conf: Conf, plan: Plan, killed: dict[str, str | None]) -> None:
    wish = task.wish
    rank = {wish.page_file: 0, wish.http_file: 1, wish.server_file: 2}
    files = dict(sorted(plan.files.items(), key=lambda item: rank.get(item[0], 3), reverse=task.state == "absent"))
    others = {path: text for path, text in files.items() if path not in rank}
    keep_copies(task.directory / f"{wish.name}.maintenance.before", others, conf)
    carry_out(change, conf, files, Nginx(task.test, None, task.proof_seconds), killed=killed)


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
        prove(Nginx(task.test, task.prove_shown, task.proof_seconds))
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


def _result(task: Task, conf: Conf, plan: Plan, actions: list[str], *, is_shown: bool) -> dict[str, Any]:
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
                {"before_header": path, "after_header": path, "before": conf.texts.get(path, ""), "after": text or ""}
                for path, text in plan.files.items()
            ),
            *([{"before": f"{before}\n", "after": f"{after}\n"}] if before != after else []),
        ],
    }
