# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happened to the releases of a service, line by line, and which of them was good. Private to this collection.

A line is ``{at, event, release, slot, run, reason}``. Lines are only ever added.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._change_lock import Fence, held
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import DeployPaths, StateError

# live: it got the requests. good: it did well for the time of the watch. bad: it did not, or never came so far.
# rolled_back: it was live, and somebody or the watch went back from it. retired: its slot was stopped. pruned: it is gone.
EVENTS = ("built", "staged", "live", "good", "bad", "rolled_back", "retired", "pruned")
UNDOES = ("bad", "rolled_back", "pruned")  # after one of these it is not good any more

Event = dict[str, Any]


def events(paths: DeployPaths) -> list[Event]:
    """Return what was noted, oldest first; a line that a power cut has torn is left out."""
    try:
        return parse(paths.ledger.read_text("utf-8", errors="replace"))
    except FileNotFoundError:
        return []


def parse(text: str) -> list[Event]:
    """Return the events that the lines of ``text`` tell of."""
    found = []
    for line in text.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, Mapping) and event.get("event") in EVENTS and isinstance(event.get("release"), str):
            found.append(dict(event))
    return found


def note(paths: DeployPaths, fence: Fence, event: str, release_id: str, **more: Any) -> Event:
    """Add ``event`` to what is known of a release, for good, and return the line.

    :param more: ``slot``, ``run``, ``reason``
    :raises ValueError: there is no such event.
    :raises LockError: somebody has taken the lock over.
    :raises StateError: it cannot be written.
    """
    if event not in EVENTS:
        raise ValueError(f"event must be one of {', '.join(EVENTS)}, not {event!r}")
    at = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    line = {"at": at, "event": event, "release": release_id, "slot": None, "run": None, "reason": None, **more}
    with held(fence):
        try:
            _append(paths.ledger, json.dumps(line, sort_keys=True) + "\n")
        except OSError as exc:
            raise StateError(f"cannot add to {paths.ledger} ({exc.strerror}): nothing was done after that") from exc
    return line


def good(events: Iterable[Event]) -> list[str]:
    """Return the releases that are known to be good, the one that was marked last at the end."""
    found: list[str] = []
    for event in events:
        name = event["release"]
        if name in found and event["event"] in ("good", *UNDOES):
            found.remove(name)
        if event["event"] == "good":
            found.append(name)
    return found


def last_good(events: Iterable[Event], *, but: str | None) -> str | None:
    """Return the release that was marked good last, other than ``but``: where a rollback goes to."""
    return next((name for name in reversed(good(events)) if name != but), None)


def newest_good(events: Iterable[Event], n: int) -> list[str]:
    """Return the ``n`` releases that were marked good last, the newest first."""
    return good(events)[::-1][: max(n, 0)]


def _append(path: Path, line: str) -> None:
    """Write one line at the end; what a power cut has left of another one there gets a line of its own."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(handle).st_size
        torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
        data = (("\n" if torn else "") + line).encode()
        while data:
            data = data[os.write(handle, data) :]
        os.fsync(handle)
    finally:
        os.close(handle)
