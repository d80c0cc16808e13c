# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a maintenance window has done, on disk before it is done, so that it is undone whoever dies. Private to this collection.

The steps are a stack: each is written down as ``begun`` before it is done, and undone from the last to the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._change_lease import Clock
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import StateError, read_json, remove, write_json

DIRECTORY = "/var/lib/runbook-ops/maintenance_window"
FORMAT = 1


class WindowError(Exception):
    """The window cannot be opened or closed; the message is one line and says what stands."""


class Window:
    """The journal of the window on this host: there is one at most."""

    def __init__(self, directory: str = DIRECTORY) -> None:
        self.directory = Path(directory)
        self.path = self.directory / "journal.json"
        self.last = self.directory / "last.json"

    def read(self) -> dict[str, Any] | None:
        """Return the window that is open; None where none is.

        :raises WindowError: what is written there cannot be read.
        """
        try:
            found = read_json(self.path)
        except StateError as exc:
            raise WindowError(str(exc)) from exc
        if found is not None and found.get("format") != FORMAT:
            raise WindowError(f"{self.path} is not of format {FORMAT}: close it with the version that wrote it")
        return found

    def write(self, window: Mapping[str, Any]) -> None:
        """Write down how the window stands.

        :raises WindowError: it cannot be written.
        """
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_json(self.path, {**window, "format": FORMAT})
        except OSError as exc:
            raise WindowError(f"cannot make {self.directory} ({exc.strerror}): run as root") from exc
        except StateError as exc:
            raise WindowError(str(exc)) from exc

    def end(self, window: Mapping[str, Any], *, by: str, at: float) -> None:
        """End the window, and keep for those who ask later who ended it; without its secrets.

        :raises WindowError: it cannot be written.
        """
        kept = {key: window[key] for key in ("name", "run", "phase", "opened_at", "seconds")}
        try:
            write_json(self.last, {**kept, "closed_by": by, "closed_at": at})
            remove(self.path)
        except StateError as exc:
            raise WindowError(str(exc)) from exc

    def ended(self, run: str) -> dict[str, Any] | None:
        """Return how the window of ``run`` ended; None where it has not, or was none."""
        try:
            last = read_json(self.last)
        except StateError:
            return None
        return last if last and last.get("run") == run else None


def opened(name: str, run: str, now: Clock, *, seconds: float) -> dict[str, Any]:
    """Return a window that has begun and has done nothing yet."""
    return {
        "name": name,
        "run": run,
        "phase": "open",
        "opened_at": now.at,
        "steps": [],
        "secrets": {},
        **until(now, seconds),
    }


def until(now: Clock, seconds: float) -> dict[str, Any]:
    """Return for how long a window is to stay open from now, by both clocks."""
    return {"seconds": seconds, "ends": {"boot": now.boot, "ticks": now.ticks + seconds, "at": now.at + seconds}}


def is_over(window: Mapping[str, Any], now: Clock) -> bool:
    """Return whether the window has lasted longer than it was to."""
    return over_seconds(window, now) >= 0


def over_seconds(window: Mapping[str, Any], now: Clock) -> float:
    """Return for how long the window has been over; below 0 where it is not."""
    ends = window["ends"]
    return float(now.ticks - ends["ticks"] if ends["boot"] == now.boot else now.at - ends["at"])


def with_step(window: Mapping[str, Any], step: Mapping[str, Any]) -> dict[str, Any]:
    """Return the window with one step more on its stack, or with that step as it is now."""
    same = [one["kind"] == step["kind"] and one["name"] == step["name"] for one in window["steps"]]
    steps = [dict(step) if is_same else one for one, is_same in zip(window["steps"], same)]
    return {**window, "steps": steps if any(same) else [*steps, dict(step)]}


def without_step(window: Mapping[str, Any], step: Mapping[str, Any]) -> dict[str, Any]:
    """Return the window without a step that is undone."""
    steps = [one for one in window["steps"] if (one["kind"], one["name"]) != (step["kind"], step["name"])]
    return {**window, "steps": steps}
