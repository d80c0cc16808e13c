# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring an engine and its timers from what they are to what they are to be, or back. Private to this collection."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from ansible_collections.runbook.ops.plugins.module_utils._command import CommandError
from ansible_collections.runbook.ops.plugins.module_utils._engine_host import EngineHost
from ansible_collections.runbook.ops.plugins.module_utils._engine_plan import Installed, Step

Do = Callable[[EngineHost, Step], None]


class EngineError(Exception):
    """An engine that could not be installed, changed or removed; the message says what is there now."""


def apply(host: EngineHost, before: Installed, steps: Sequence[Step], do: Do | None = None) -> None:
    """Do ``steps``; where one fails, put back what was there before.

    :param do: does one step; :func:`do_step` without it
    :raises EngineError: one failed.
    """
    tried: list[Step] = []
    try:
        for step in steps:
            tried.append(step)
            (do or do_step)(host, step)
    except (CommandError, EngineError, OSError) as exc:
        reason = _line(exc)
        if not before.files or all(step.verb != "write" for step in steps):
            raise EngineError(f"{reason}. Remove the cause and run again: it goes on from here") from exc
        try:
            put_back(host, before, tried)
        except OSError as again:
            raise EngineError(
                f"{reason}. Nor could all that was there before be put back ({_line(again)}): remove the cause and run again"
            ) from exc
        raise EngineError(f"{reason}. What was installed before is back in place") from exc


def _line(exc: Exception) -> str:
    return f"{exc.filename}: {exc.strerror}" if isinstance(exc, OSError) and exc.filename else str(exc)


def do_step(host: EngineHost, step: Step) -> None:
    """Do one step."""
    if step.verb == "write":
        host.write(step.path, step.content)
    elif step.verb == "link":
        host.link(step.path)
    elif step.verb == "unlink":
        host.unlink()
    elif step.verb == "remove":
        host.remove(step.path)
        host.remove_empty(*host.own)
    elif step.verb == "crontab":
        host.write_crontab(step.path, step.content)
    elif (
        step.verb == "rebase"
    ):  # stopped, for systemd also remembers its last run in memory, and acts on it when it reloads
        host.systemctl("stop", step.path)
        host.touch_stamp(step.path)
    elif step.verb == "reload":
        host.systemctl("daemon-reload")
    elif step.verb == "enable":
        host.systemctl("enable", step.path)
        host.systemctl("restart", step.path)
    elif step.verb == "disable":
        service = step.path.replace(".timer", ".service")
        host.systemctl("disable", "--now", step.path)
        host.systemctl("stop", service)
        with contextlib.suppress(CommandError):  # it has not failed, so there is nothing to forget
            host.systemctl("reset-failed", service)


def put_back(host: EngineHost, before: Installed, tried: Sequence[Step]) -> None:
    """Undo what of ``tried`` was done, each step of it or only half of one. What systemd refuses now it refused before.

    :raises OSError: a file could not be written.
    """
    for step in reversed(tried):
        if step.verb == "enable" and step.path not in before.timers:
            with contextlib.suppress(CommandError):
                do_step(host, Step("disable", step.path))
        elif step.verb == "crontab":
            host.write_crontab(step.path, before.crontabs[step.path])
        elif step.verb == "write" and step.path not in before.files:
            host.remove(step.path)
    for path, file in before.files.items():
        if host.read(path) != file:  # a full disk has no room for what need not be written
            host.write(path, file)
    if before.current:
        host.link(before.current)
    elif any(step.verb == "link" for step in tried):
        host.unlink()
    with contextlib.suppress(CommandError):
        host.systemctl("daemon-reload")
    for timer in before.timers:
        with contextlib.suppress(CommandError):
            host.systemctl("enable", timer)
            host.systemctl("restart", timer)
