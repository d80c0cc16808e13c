# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard of a maintenance window: the host closes one itself whose run is dead. Private to this collection.

A timer looks every half minute, also after a reboot. It is there from before the first step until after the last is undone.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._bare_module import BareModule
from ansible_collections.runbook.ops.plugins.module_utils._change_lease import Clock
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import (
    DIRECTORY,
    Fence,
    LockError,
    LockHeldError,
    look,
    now,
    release,
    take,
)
from ansible_collections.runbook.ops.plugins.module_utils._change_step import STEP_SECONDS, StepTakenError, step
from ansible_collections.runbook.ops.plugins.module_utils._command import Command
from ansible_collections.runbook.ops.plugins.module_utils._engine_file import (
    HOME,
    LIB,
    UNITS,
    File,
    build_engine,
    main_program,
    needed_sources,
)
from ansible_collections.runbook.ops.plugins.module_utils._engine_host import python_of_host, read_source, write
from ansible_collections.runbook.ops.plugins.module_utils._window import Keeper
from ansible_collections.runbook.ops.plugins.module_utils._window_journal import (
    Window,
    WindowError,
    is_over,
    over_seconds,
)
from ansible_collections.runbook.ops.plugins.module_utils._window_steps import Hands

UNIT = "runbook-ops-maintenance-window"
GRACE_SECONDS = 600  # in which a run that has taken the lock closes what it found
ENGINE = f"{LIB}/maintenance_window.pyz"
SERVICE = """# Written by runbook.ops (role maintenance_window), which removes it when the window is closed.
[Unit]
Description=Close a maintenance window whose run is dead

[Service]
Type=oneshot
ExecStart={python} -I {engine} {directory} {lock}
TimeoutStartSec=600
UMask=0077
"""
TIMER = """# Written by runbook.ops (role maintenance_window), which removes it when the window is closed.
[Unit]
Description=Look after a maintenance window

[Timer]
OnActiveSec={seconds}
OnUnitInactiveSec={seconds}
AccuracySec=1s

[Install]
WantedBy=timers.target
"""


def install(systemctl: Callable[..., str], *, directory: str, lock: str, seconds: int, root: str = "/") -> None:
    """Have this host look after the window, also after a reboot.

    :raises OSError: a file cannot be written.
    """
    base = Path(root)
    sources = needed_sources(read_source, f"{HOME}._window_guard")
    engine = build_engine(sources, main_program(f"{HOME}._window_guard", "maintenance_window"))
    words = {"python": python_of_host(), "engine": base / ENGINE, "directory": directory, "lock": lock}
    for path, file in (
        (ENGINE, File(engine, 0o644)),
        (f"{UNITS}/{UNIT}.service", File(SERVICE.format(**words).encode(), 0o644)),
        (f"{UNITS}/{UNIT}.timer", File(TIMER.format(seconds=seconds).encode(), 0o644)),
    ):
        (base / path).parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        write(base / path, file)
    systemctl("daemon-reload")
    systemctl("enable", "--now", f"{UNIT}.timer")


def uninstall(systemctl: Callable[..., str], *, root: str = "/") -> None:
    """Leave nothing of the guard on this host."""
    base = Path(root)
    if (base / UNITS / f"{UNIT}.timer").exists():
        systemctl("disable", "--now", f"{UNIT}.timer", accept=(0, 1))
    for path in (f"{UNITS}/{UNIT}.timer", f"{UNITS}/{UNIT}.service", ENGINE):
        (base / path).unlink(missing_ok=True)
    systemctl("daemon-reload")


def dismiss(systemctl: Callable[..., str], journal: Window, lock: str, *, root: str = "/") -> None:
    """Leave nothing of the guard on this host, unless a window is open: a run opens its own within a step of the lock too.

    :raises WindowError: the journal cannot be read.
    """
    try:
        with step(lock, STEP_SECONDS):
            if journal.read() is None:
                uninstall(systemctl, root=root)
    except StepTakenError:
        return  # somebody is at work: the next look, or the next run, sees to it
    except LockError:  # there is no lock on this host, so nobody opens a window under it
        if journal.read() is None:
            uninstall(systemctl, root=root)


def look_after(directory: str, lock: str, hands: Any, *, say: Callable[[str], None]) -> str:
    """Close the window where it has lasted too long; return ``none``, ``open``, ``busy`` or ``closed``.

    :raises WindowError: something could not be undone: the next look tries again.
    """
    journal = Window(directory)
    window = journal.read()
    if window is None:
        return "none"
    if not is_over(window, now()):
        return "open"
    me = {"id": f"guard-{os.getpid()}", "playbook": "guard of the maintenance window", "user": "root"}
    run = {**me, "controller": socket.gethostname(), "process": "", "started_at": ""}
    fence = Fence(lock, 0, "")
    try:
        state, _before = take(lock, run, place={}, lease_seconds=900, gone=window["run"])
        fence = Fence(lock, state["number"], run["id"])
    except LockHeldError as exc:
        if not _is_left_behind(window, look(lock), now()):
            say(f"left to another run: {exc}")  # which closes it before it does anything else
            return "busy"
        say(f"closing beside another run, which did not: {exc}")
    except LockError as exc:
        say(f"closing without a lock: {exc}")
    try:
        Keeper(journal, hands, fence, say=say).close(by="the host itself", ended=True)
    finally:
        if fence.number:
            release(lock, fence.owner)
    return "closed"


def _is_left_behind(window: Mapping[str, Any], holder: Mapping[str, Any], moment: Clock) -> bool:
    """Return whether the run that took the lock over had time enough to close the window, and did not: it is dead too, or cannot."""
    taken_at = datetime.strptime(holder["taken_at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    return min(over_seconds(window, moment), moment.at - taken_at.timestamp()) >= GRACE_SECONDS


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str]) -> int:
    """Look once."""
    directory, lock = [*arguments, DIRECTORY][:2]
    module = BareModule()
    try:
        state = look_after(directory, lock, Hands(module), say=say)
        if state in ("none", "closed"):
            dismiss(Command(module, "systemctl"), Window(directory), lock)
    except (WindowError, LockError) as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    return 0
