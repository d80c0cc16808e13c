# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""On the host: the calls that a deploy, a rollback and the next run are made of, one after the other, and a kill of one of them.

For ``deploy_kills.py --calls``, which copies it beside the collection: what playbooks do, without their controller, which takes longer than all
the rest and is killed by ``deploy_kills.py`` without that option. The ways to kill:

``module``  the module alone, at the point. The controller goes on, and gives the lock back
``tree``    the module and all that it started
``orphan``  only the controller. The module goes on once the next run has taken the lock over
``hung``    only the controller. The module stays stopped for ever
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from ansible.module_utils import basic
from ansible_collections.runbook.ops.plugins.module_utils import _change_lock

MODULES = "ansible_collections.runbook.ops.plugins.modules."
DIRECTORY = "/var/lib/runbook-ops/change"
LOADED = {name: importlib.import_module(MODULES + name) for name in ("release", "deployment")}
ENDED = 60.0
NEVER = -1


class Cut(Exception):  # noqa: N818  # no error: it is what was wanted
    """The run was killed."""


class Run:
    """One run: its lock, and its calls."""

    def __init__(self, known: dict[str, Any], name: str, *, gone: str = "", cut: dict[str, Any] | None = None) -> None:
        self.known, self.name, self.cut = known, name, cut
        self.hit, self.left, self.said = False, 0, []
        state, _before = _change_lock.take(
            DIRECTORY, {"id": name, "playbook": "deploy"}, place={}, lease_seconds=300, gone=gone
        )
        self.fence = {"directory": DIRECTORY, "number": state["number"], "owner": name}

    def __call__(self, module: str, **arguments: Any) -> dict[str, Any]:
        given = {"service": self.known["service"], "run": self.name, "fence": self.fence, **arguments}
        if module == "deployment":
            given["deployment"] = self.known["deployment"]
        cut = self.cut or {}
        pid, output = begin(module, given, stop_at=cut.get("point"))
        status = NEVER
        if cut.get("delay") is not None and cut.get("call") == f"{module} {arguments.get('state', '')}".strip():
            status = wait(pid, cut["delay"], stopped=False)
            if status == NEVER:
                os.kill(pid, signal.SIGSTOP)
        if status == NEVER:
            status = wait(pid, 300)
        if os.WIFSTOPPED(status):
            self.hit = True
            if cut["way"] in ("orphan", "hung"):
                self.left = pid
                raise Cut
            (os.kill if cut["way"] == "module" else os.killpg)(pid, signal.SIGKILL)
            wait(pid, 30)
            if cut["way"] == "tree":
                raise Cut
            return {"failed": True, "msg": "it was killed"}
        told: dict[str, Any] = json.loads(Path(output).read_text(encoding="utf-8").strip().splitlines()[-1])
        if told.get("failed"):
            self.said.append(f"{module} {arguments.get('state', '')}: {told['msg']}")
        return told

    def release(self) -> None:
        _change_lock.release(DIRECTORY, self.name)


def begin(module: str, arguments: dict[str, Any], *, stop_at: str | None) -> tuple[int, str]:
    """Run a module in a process of its own, in a session of its own."""
    output = f"/root/call.{time.monotonic_ns()}"
    pid = os.fork()
    if pid:
        return pid, output
    os.setsid()
    os.environ["RUNBOOK_OPS_STOP_AT"] = stop_at or "nowhere"
    os.environ["LC_ALL"] = "C.UTF-8"
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT, 0o600), 1)
    os.dup2(os.open("/root/call.errors", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 2)
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode()
    basic._ANSIBLE_PROFILE = "legacy"
    code = 1
    try:
        LOADED[module].main()
    except SystemExit as exc:
        code = int(exc.code or 0)
    finally:
        sys.stdout.flush()
        os._exit(code)
    return 0, ""


def wait(pid: int, seconds: float, *, stopped: bool = True) -> int:
    """Wait until a child ended, or was stopped; return its status, NEVER where its time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found, status = os.waitpid(pid, os.WNOHANG | (os.WUNTRACED if stopped else 0))
        if found:
            return status
        time.sleep(0.02)
    return NEVER


def made(
    known: dict[str, Any],
    kind: str,
    version: str,
    name: str,
    *,
    gone: str,
    cut: dict[str, Any] | None,
    goes_on: int = 0,
) -> Run:
    """Do what a playbook does, unless it is killed.

    :param goes_on: a process that was stopped, and goes on once the lock is taken
    """
    run = Run(known, name, gone=gone, cut=cut)
    if goes_on:
        os.kill(goes_on, signal.SIGCONT)
    try:
        if Path("/var/lib/runbook-ops/deploy/shop/journal.json").exists():
            run("deployment", state="recovered")
        if kind in ("deploy", "bad"):
            built = run("release", version=version)
            identity = (built.get("release") or {}).get("id")
            if not built.get("failed") and not run("deployment", state="staged", release=identity).get("failed"):
                promoted = run("deployment", state="promoted", release=identity)
                if not promoted.get("failed"):
                    run("release", state="pruned")
        elif kind == "rollback":
            run("deployment", state="rolled_back")
        run.release()
    except Cut:
        pass
    return run


def one(known: dict[str, Any], wanted: dict[str, Any], versions: list[str], ask: Any, look: Any) -> dict[str, Any]:
    """Kill a run, have the next one at work, and tell how all is."""
    version, other = versions
    began = f"cut-{time.monotonic_ns()}"
    cut = {key: wanted[key] for key in ("point", "delay", "call", "way")}
    old = ask(1)
    first = made(known, wanted["run"], version, began, gone="", cut=cut)
    between = ask(5)
    if wanted["next"] == "reboot":  # there is nobody left who could go on
        return {"hits": int(first.hit), "between": between}
    following = {"same": ("deploy", version), "other": ("deploy", other)}.get(wanted["next"], (wanted["next"], ""))
    orphan = first.left if wanted["way"] == "orphan" else 0  # it goes on beside the next run, which takes the lock over
    second = made(known, *following, f"next-{time.monotonic_ns()}", gone=began, cut=None, goes_on=orphan)
    ended = not first.left or wait(first.left, ENDED, stopped=False) != NEVER
    after = look()
    says = ask(1)
    again = None
    if wanted["twice"] and wanted["next"] != "rollback":
        third = made(known, *following, f"again-{time.monotonic_ns()}", gone="", cut=None)
        again = look()
        second.said += third.said
    for file in Path("/root").glob("call.[0-9]*"):
        file.unlink()
    return {
        "hits": int(first.hit), "old": old, "between": between, "output": second.said, "first": first.said, "after": after,
        "says": says, "again": again, "ended": ended,
    }  # fmt: skip
