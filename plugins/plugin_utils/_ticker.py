# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The console's clock, and the one line of a terminal that it redraws. Private to this collection."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TextIO

ERASE = "\r\x1b[K"


class Ticker:
    """Calls ``beat`` every ``interval_seconds`` in a thread that sleeps in between, until it is stopped."""

    def __init__(self, interval_seconds: float, beat: Callable[[], None], failed: Callable[[Exception], None]) -> None:
        """:param failed: is told, once, what ``beat`` raised; there is no further call then."""
        self._interval = interval_seconds
        self._beat = beat
        self._failed = failed
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="runbook-console", daemon=True)

    def start(self) -> None:
        """Begin to tick."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for a beat under way."""
        self._over.set()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(timeout=2)

    def _run(self) -> None:
        while not self._over.wait(self._interval):
            try:
                self._beat()
            except Exception as exc:  # handed on: a console that cannot draw must not end the run
                self._failed(exc)
                return


class LiveLine:
    """One line at the bottom of a terminal that is redrawn in place."""

    def __init__(self, stream: TextIO, lock: AbstractContextManager[Any]) -> None:
        """:param lock: Ansible's own lock of the screen, which it holds while it forks."""
        self._stream = stream
        self._lock = lock
        self._shown = ""

    def draw(self, text: str) -> None:
        """Show ``text``, which holds no line end and fits the terminal."""
        with self._lock:
            if text != self._shown:
                self._stream.write(f"{ERASE}{text}")
                self._stream.flush()
                self._shown = text

    def erase(self) -> None:
        """Take the line away, so that something else can be printed."""
        self.draw("")
