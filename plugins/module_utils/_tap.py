# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at a stream in a thread of its own while it flows. Private to this collection."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any

AHEAD = 8  # pieces that may wait for who looks
PATIENCE_SECONDS = 0.5


class Looker:
    """Hand it the pieces of a stream; ``look`` sees them in a thread. Use it with ``with``: at its end ``look`` has ended too.

    What ``look`` raises is raised by the next call, or at the end. Pieces that it does not take are dropped.
    """

    def __init__(self, look: Callable[[Iterator[bytes]], Any]) -> None:
        self._look = look
        self._queue: queue.Queue[bytes] = queue.Queue(AHEAD)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.result: Any = None  # what look returned

    def __call__(self, piece: bytes) -> None:
        if piece:
            self._put(piece)

    def _put(self, piece: bytes) -> None:
        while True:
            if self._error:
                raise self._error
            try:
                return self._queue.put(piece, timeout=PATIENCE_SECONDS)
            except queue.Full:
                continue

    def _run(self) -> None:
        pieces = iter(self._queue.get, b"")
        try:
            self.result = self._look(pieces)
            for _piece in pieces:
                pass
        except BaseException as exc:  # raised again where the stream flows
            self._error = exc

    def __enter__(self) -> Looker:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Who is left with half a stream learns that it has ended, and what it says of that is of no interest.
        while self._thread.is_alive():
            try:
                self._queue.put(b"", timeout=PATIENCE_SECONDS)
                self._thread.join(PATIENCE_SECONDS)
            except queue.Full:
                continue
        if kind is None and self._error:
            raise self._error


class Tap:
    """Iterate over it to let the stream flow; it does not end well unless ``look`` has."""

    def __init__(self, pieces: Iterable[bytes], look: Callable[[Iterator[bytes]], Any]) -> None:
        self._pieces, self._look = pieces, look
        self.result: Any = None

    def __iter__(self) -> Iterator[bytes]:
        with Looker(self._look) as looker:
            for piece in self._pieces:
                looker(piece)
                yield piece
        self.result = looker.result
