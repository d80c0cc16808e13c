# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the console prints: a terminal with colours and a live line, or plain lines. Private to this collection."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import sys
from collections.abc import Callable
from typing import Any

from ansible import constants as C  # noqa: N812  # the name that all of Ansible gives it
from ansible.utils.color import ANSIBLE_COLOR, stringc
from ansible_collections.runbook.ops.plugins.plugin_utils._console import Line, plain
from ansible_collections.runbook.ops.plugins.plugin_utils._ticker import LiveLine, Ticker

PLAIN_WIDTH, WIDEST = 100, 118  # columns
STYLES = {
    "ok": C.COLOR_OK,
    "changed": C.COLOR_CHANGED,
    "warning": C.COLOR_CHANGED,
    "unknown": C.COLOR_WARN,
    "failed": C.COLOR_ERROR,
}


class Screen:
    """Prints lines through Ansible's display, which also writes the log file."""

    def __init__(self, display: Any, *, captured: bool) -> None:
        """:param captured: another program reads the output, though it may have given it a pseudo-terminal."""
        self._display = display
        self._ticker: Ticker | None = None
        self._live: LiveLine | None = None
        self.terminal = sys.stdout.isatty() and not captured and os.environ.get("TERM", "dumb") != "dumb"
        self.color = bool(C.ANSIBLE_FORCE_COLOR or (ANSIBLE_COLOR and self.terminal))

    @property
    def live(self) -> bool:
        """Whether there is a line that shows the running step."""
        return self._live is not None

    @property
    def width(self) -> int:
        """How many columns a line may take: what the terminal has now, within reason."""
        return min(shutil.get_terminal_size().columns, WIDEST) if self.terminal else PLAIN_WIDTH

    def print(self, *lines: Line, stderr: bool = False) -> None:
        """Print ``lines``: painted on the screen, never in the log file."""
        for line in lines:
            if self.color:
                self._display.display(self._paint(line), screen_only=True, stderr=stderr)
                self._display.display(plain(line), log_only=True)
            else:
                self._display.display(plain(line), stderr=stderr)

    def _paint(self, line: Line) -> str:
        painted = []
        for text, paint in line:
            if not text.strip() or not paint:
                painted.append(text)
            elif paint in STYLES:
                painted.append(stringc(text, STYLES[paint]))
            else:
                painted.append(f"\x1b[{'1' if paint == 'bold' else '2'}m{text}\x1b[0m")
        return "".join(painted).rstrip()

    def show_live(self, line: Callable[[], Line], failed: Callable[[Exception], None]) -> None:
        """Redraw the last line of the terminal with what ``line`` returns, until :meth:`stop`."""
        live = self._live = LiveLine(sys.stdout, self._display._lock)
        self._erase_before_display(live)

        def draw() -> None:
            live.draw(self._paint(line()) if self.color else plain(line()))

        self.beat(0.25, draw, failed)

    def beat(self, interval_seconds: float, beat: Callable[[], None], failed: Callable[[Exception], None]) -> None:
        """Call ``beat`` every ``interval_seconds`` until :meth:`stop`."""
        self._ticker = Ticker(interval_seconds, beat, failed)
        self._ticker.start()
        atexit.register(self.stop)  # an interrupted run does not come to its end

    def stop(self) -> None:
        """Leave the terminal as it was found."""
        atexit.unregister(self.stop)
        ticker, self._ticker = self._ticker, None
        if ticker:
            ticker.stop()
        if self._live:
            self._live.erase()

    def _erase_before_display(self, live: LiveLine) -> None:
        display, process = self._display.display, os.getpid()

        @functools.wraps(display)
        def erase_first(*args: Any, **kwargs: Any) -> None:
            if os.getpid() == process:  # a forked worker has no screen: it sends what it says to this process
                live.erase()
            display(*args, **kwargs)

        self._display.display = erase_first
