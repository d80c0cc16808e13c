# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nginx that runs: which workers it has, how it takes a new configuration, and when the old workers are gone.

Private to this collection.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

from ansible_collections.runbook.ops.plugins.module_utils._command import Command, CommandError
from ansible_collections.runbook.ops.plugins.module_utils._nginx_conf import Directive, NginxError
from ansible_collections.runbook.ops.plugins.module_utils._proc import TICK_SECONDS, Process, processes

PID_FILE = "/run/nginx.pid"  # Debian's, where the configuration names none
RELOAD_SECONDS = 15.0
LOOK_SECONDS = 0.02


def nginx_test(nginx: Command, config: str) -> Callable[[], str | None]:
    """Return a function that says what ``nginx -t`` objects to, in one line; None where it passes."""

    def test() -> str | None:
        try:
            nginx("-t", "-q", "-c", config)
        except CommandError as exc:
            said = [line for line in exc.details.get("stderr", "").splitlines() if "[emerg]" in line]
            return said[0].partition("[emerg] ")[2].partition(": ")[2] if said else str(exc)
        return None

    return test


def master_of(directives: list[Directive]) -> int:
    """Return the process that reads this configuration.

    :raises NginxError: there is none.
    """
    named = [found.texts()[0] for found in directives if found.name.text == "pid" and found.arguments]
    file = Path(named[0] if named else PID_FILE)
    try:
        pid = int(file.read_text(encoding="ascii"))
        name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        raise NginxError(f"nginx does not run: {file} names no process; start it, then run this again") from None
    if name != "nginx":
        raise NginxError(f"{file} names the process {pid}, which is {name} and not nginx: start nginx")
    return pid


def workers_of(master: int) -> tuple[list[Process], list[Process]]:
    """Return the workers that take new connections, and those that only finish what they have."""
    found = [
        process for process in processes().values() if process.parent == master and "worker process" in process.title
    ]
    return (
        [process for process in found if "shutting down" not in process.title],
        [process for process in found if "shutting down" in process.title],
    )


def has_taken(master: int, changed_at: float) -> bool:
    """Return whether all workers that take connections were started after ``changed_at``, in seconds since 1970."""
    serving, _leaving = workers_of(master)
    return bool(serving) and all(worker.started_at + TICK_SECONDS > changed_at for worker in serving)


def reload(master: int, *, seconds: float = RELOAD_SECONDS) -> list[int]:
    """Have nginx read its configuration, wait until only new workers take connections, and return the old ones.

    :raises NginxError: it does not take it; the old workers serve on.
    """
    old = {worker.pid for worker in workers_of(master)[0]}
    try:
        os.kill(master, signal.SIGHUP)
    except OSError as exc:
        raise NginxError(f"nginx's process {master} is gone ({exc.strerror}): was it restarted meanwhile?") from exc
    if not _wait(lambda: _is_new(master, old), seconds):
        raise NginxError(f"nginx has not taken its configuration within {seconds:g} s: its error log says why")
    return sorted(old)


def drain(pids: list[int], *, seconds: float) -> list[int]:
    """Wait until these workers are gone, and return those that are not after ``seconds``."""
    _wait(lambda: not any(map(_lives, pids)), seconds)
    return [pid for pid in pids if _lives(pid)]


def connect(server: str, *, seconds: float = 2.0) -> None:
    """Connect to a server of an upstream once.

    :raises NginxError: nothing listens there.
    """
    try:
        if server.startswith("unix:"):
            with socket.socket(socket.AF_UNIX) as end:
                end.settimeout(seconds)
                end.connect(server[len("unix:") :])
        else:
            host, _colon, port = server.rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), seconds).close()
    except OSError as exc:
        raise NginxError(f"nothing answers at {server} ({exc.strerror or exc}): nothing has changed") from exc


def _is_new(master: int, old: set[int]) -> bool:
    serving, _leaving = workers_of(master)
    return bool(serving) and not old & {worker.pid for worker in serving}


def _lives(pid: int) -> bool:
    try:
        return "nginx" in Path(f"/proc/{pid}/comm").read_text(encoding="utf-8")
    except OSError:
        return False


def _wait(done: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() >= end:
            return False
        time.sleep(LOOK_SECONDS)
    return True
