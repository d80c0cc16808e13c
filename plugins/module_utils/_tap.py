# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at a stream while it flows on elsewhere. Private to this collection."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

AHEAD = 8  # pieces that may wait for who looks
PATIENCE_SECONDS = 0.5


class Tap:
    """Iterate over it to let the stream flow; ``look`` sees the same pieces in a thread of its own.

    The stream does not end well unless ``look`` has: what it raises is raised here.
    """

    def __init__(self, pieces: Iterator[bytes], look: Callable[[Iterator[bytes]], Any]) -> None:
        self._pieces, self._look = pieces, look
        self._queue: queue.Queue[bytes] = queue.Queue(AHEAD)
        self._error: BaseException | None = None
        self.result: Any = None  # what look returned

    def __iter__(self) -> Iterator[bytes]:
        looker = threading.Thread(target=self._run, daemon=True)
        looker.start()
        try:
            for piece in self._pieces:
                if piece:
                    self._hand_over(piece)
                    yield piece
            self._hand_over(b"")
            looker.join()
            if self._error:
                raise self._error
        finally:
            # Who is left with half a stream shall know that it has ended.
            while looker.is_alive():
                try:
                    self._queue.put(b"", timeout=PATIENCE_SECONDS)
                    looker.join(PATIENCE_SECONDS)
                except queue.Full:
                    continue

    def _run(self) -> None:
        try:
            self.result = self._look(iter(self._queue.get, b""))
        except BaseException as exc:  # raised again where the stream flows
            self._error = exc

    def _hand_over(self, piece: bytes) -> None:
        while True:
            if self._error:
                raise self._error
            try:
                return self._queue.put(piece, timeout=PATIENCE_SECONDS)
            except queue.Full:
                continue
