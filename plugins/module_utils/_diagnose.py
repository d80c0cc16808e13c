# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collect evidence on a host that may be ill: bounded in time and bytes, nothing changed. Private to this collection.

A collector is a function of its options that returns :class:`Found`, or raises. One that fails or hangs is said to have
failed, and takes no other down.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._live_options import at_live, read_slot
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError
from ansible_collections.runbook.ops.plugins.module_utils._redact import Redactor

AT_ONCE = 6  # an ill host has other things to do
LONGEST_LINE = 2000
LONGEST_EVENT = 200
EVENTS_OF_TOPIC = 200


@dataclass
class Found:
    """What a collector found."""

    text: str
    note: str = ""  # one line for people: what stands out
    cut: bool = False  # there was more than is kept
    error: str | None = None  # why this is less than was asked for
    events: list[dict[str, Any]] = field(default_factory=list)  # what changed, and when
    # Note and heading of a text that is counted or cut: only once the secrets are out of it. Half a secret is not known as one.
    digest: Callable[[str], tuple[str, str]] | None = None


def event(at: float, what: str, text: str) -> dict[str, Any]:
    """Return one thing that happened, such as a package that was upgraded.

    :param at: seconds since 1970
    """
    return {"at": round(at), "what": what, "text": text}


class Job:
    """One collector at work in a thread of its own."""

    def __init__(self, spec: Mapping[str, Any], collect: Callable[[dict[str, Any]], Found]) -> None:
        self.spec, self._collect = spec, collect
        self.found: Found | None = None
        self.error: str | None = None
        self.began = self.ended = 0.0
        # A daemon: one that the kernel holds must not hold the result.
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        self.began = time.monotonic()
        try:
            options = dict(self.spec.get("options") or {})
            if options.get("live"):  # of a deployed service, the slot that gets the requests now
                options, _names = at_live(options, read_slot)
            self.found = self._collect(options)
        except ProbeError as exc:
            self.error = str(exc)
        except OSError as exc:
            self.error = f"{exc.filename}: {exc.strerror}" if exc.filename else str(exc.strerror or exc)
        except Exception as exc:  # a collector that breaks must never take the others down
            self.error = f"the collector broke: {type(exc).__name__}: {exc}".splitlines()[0]
        self.ended = time.monotonic()

    def result(self, redact: Redactor, most_bytes: int) -> dict[str, Any]:
        """Return what is handed on: without secrets, and not too long."""
        found = self.found or Found("")
        error = self.error or found.error
        if self.thread.is_alive() or not (found.text or error):
            waited = time.monotonic() - self.began if self.began else 0.0
            error = f"no answer within {waited:.0f} s" if self.began else "not begun: the others took all of the time"
            error = error if self.thread.is_alive() or not self.ended else None
        raw, too_much = end_of(found.text, most_bytes * 3 // 2)
        whole = redact(raw)
        note, head = found.digest(whole) if found.digest else (redact(found.note), "")
        text, cut = shorten(whole, most_bytes)
        text = f"{head}\n\n{text}" if head else text
        return {
            "topic": self.spec["topic"],
            "title": self.spec["title"],
            "status": "failed" if error else "collected" if text else "empty",
            "error": redact(error) if error else None,
            "note": note,
            "seconds": round((self.ended or time.monotonic()) - self.began, 2) if self.began else None,
            "cut": found.cut or cut or too_much,
            "events": [
                {**one, "text": clip(redact(one["text"]), LONGEST_EVENT)}
                for one in sorted(found.events, key=lambda one: -one["at"])[:EVENTS_OF_TOPIC]
            ],
            "text": text,
        }


def collect(
    specs: Sequence[Mapping[str, Any]],
    collectors: Mapping[str, Callable[[dict[str, Any]], Found]],
    *,
    timeout_seconds: float,
) -> list[Job]:
    """Return all jobs once they have ended, or the time is up.

    :raises ValueError: a collector is not known; nothing was looked at.
    """
    for spec in specs:
        if spec.get("collector") not in collectors:
            raise ValueError(
                f"there is no collector {spec.get('collector')!r}; known are {', '.join(sorted(collectors))}"
            )
    jobs = [Job(spec, collectors[str(spec["collector"])]) for spec in specs]
    end = time.monotonic() + timeout_seconds
    waiting = list(jobs)
    running: list[Job] = []
    while (waiting or running) and time.monotonic() < end:
        while waiting and len(running) < AT_ONCE:
            running.append(waiting.pop(0))
            running[-1].thread.start()
        running[0].thread.join(min(0.05, max(0.0, end - time.monotonic())))
        running = [job for job in running if job.thread.is_alive()]
    return jobs


def end_of(text: str, most: int) -> tuple[str, bool]:
    """Return the last lines of ``text``, and whether some are missing: to take secrets out costs a second for each half megabyte."""
    if len(text) <= most:
        return text, False
    # Begun in the middle of a line, it may begin in the middle of a secret.
    return text[-most:].partition("\n")[2], True


def shorten(text: str, most_bytes: int) -> tuple[str, bool]:
    """Return the end of ``text``, its lines not too long and without control characters, and whether something is missing."""
    lines = []
    size, cut = 0, False
    for line in reversed(text.splitlines()):
        shown = "".join(
            sign if sign.isprintable() or sign == "\t" else " " for sign in clip(line, LONGEST_LINE)
        ).rstrip()
        size += len(shown.encode("utf-8", "replace")) + 1
        if size > most_bytes:
            cut = True
            break
        lines.append(shown)
    return "\n".join(reversed(lines)).strip("\n"), cut


def clip(text: str, most: int) -> str:
    """Return ``text``, with a sign in place of what is too long."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return rows below their heads in columns; a number stands at the right of its own."""
    cells = [[str(cell) if cell is not None else "-" for cell in row] for row in rows]
    widths = [max(len(row[index]) for row in [list(heads), *cells]) for index in range(len(heads))]
    right = [bool(rows) and all(isinstance(row[index], (int, float)) for row in rows) for index in range(len(heads))]
    lines = [
        "  ".join(cell.rjust(width) if flush else cell.ljust(width) for cell, width, flush in zip(row, widths, right))
        for row in [list(heads), *cells]
    ]
    return "\n".join(line.rstrip() for line in lines)
