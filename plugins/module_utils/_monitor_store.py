# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the monitor keeps what it knows: whole or not at all, with a second place for a full disk. Private to this collection."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._small_file import replace_file

State = dict[str, Any]
MOST_HISTORY_BYTES = 2_000_000


class Store:
    """The state on disk, and in memory where the disk takes no more."""

    def __init__(self, directory: str, runtime: str) -> None:
        self.directory, self.runtime = Path(directory), Path(runtime)
        self.state, self.spare = self.directory / "state.json", self.runtime / "state.json"
        self.history = self.directory / "history.jsonl"

    @contextlib.contextmanager
    def locked(self) -> Iterator[bool]:
        """Hold the store against another run; yield whether nobody else has it."""
        for folder in (self.runtime, self.directory):
            with contextlib.suppress(OSError):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(self.runtime / "lock", os.O_RDWR | os.O_CREAT, 0o600), "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    def load(self) -> State:
        """Return the newest state that can be read, a new one where there is none."""
        found = [state for state in (_read(self.state), _read(self.spare)) if state]
        fresh = {"version": 1, "number": 0, "saved": 0, "checks": {}, "outbox": [], "channels": {}}
        return max(found, key=lambda state: state["saved"], default=fresh)

    def save(self, state: State) -> str | None:
        """Write the state, to memory where the disk takes none, and return why where it did not."""
        state["saved"] += 1
        content = json.dumps(state, ensure_ascii=False, separators=(",", ":")) + "\n"
        try:
            replace_file(self.state, content.encode())
        except OSError as exc:
            replace_file(self.spare, content.encode())
            return f"{self.state}: {exc.strerror or exc}; kept in {self.spare} until there is room"
        with contextlib.suppress(OSError):
            self.spare.unlink()
        return None

    def remember(self, measured: Mapping[str, Any], now: float, *, every_seconds: float, days: float) -> None:
        """Add a line to the history where the last one is old enough, and let go of what is older than ``days``.

        :raises OSError: it could not be written; nothing is lost.
        """
        lines = self._history()
        last = _at(lines[-1]) if lines else None
        if last is not None and 0 <= now - last < every_seconds:
            return
        line = json.dumps({"at": round(now), **measured}, separators=(",", ":"))
        kept = [old for old in lines if (at := _at(old)) is not None and now - days * 86400 <= at <= now]
        if len(kept) == len(lines) and lines:
            with self.history.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")
            return
        replace_file(self.history, "".join(f"{old}\n" for old in [*kept, line]).encode(), mode=0o644)

    def _history(self) -> list[str]:
        """Return the lines that are whole; one that a crash cut off makes the next write a new file."""
        try:
            with self.history.open("rb") as file:
                file.seek(max(0, self.history.stat().st_size - MOST_HISTORY_BYTES))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return []
        return text.splitlines() if text.endswith("\n") else [*text.splitlines(), ""]


def _at(line: str) -> float | None:
    try:
        return float(json.loads(line)["at"])
    except (ValueError, KeyError, TypeError):
        return None


def _read(path: Path) -> State | None:
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    usable = isinstance(state, dict) and state.get("version") == 1 and isinstance(state.get("saved"), int)
    return state if usable else None
