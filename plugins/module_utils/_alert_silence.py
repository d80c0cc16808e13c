# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Silence all alerts of this host for a work on it: the monitor's here, and Alertmanager's where there is one. Private to this collection."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils import _monitor_silence
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import now as this_moment
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import StateError
from ansible_collections.runbook.ops.plugins.module_utils._http import HttpError, ask
from ansible_collections.runbook.ops.plugins.module_utils._silence import Matcher, SilenceError, request

EVERYTHING = Matcher("alertname", ".+", regex=True)
LEASE_SECONDS = 120.0  # a silence outlives a process that is killed by so long
FAILURES = (SilenceError, HttpError, StateError)


class Work(NamedTuple):
    """For what alerts are silenced, and whom to ask for it."""

    name: str  # there is one of it on a host
    run: str
    reason: str
    by: str
    url: str | None = None  # of Alertmanager


class Silence(NamedTuple):
    """A silence of Alertmanager."""

    id: str
    starts_at: str


def is_needed(work: Work) -> bool:
    """Return whether there is anybody to silence."""
    return bool(work.url) or _monitor_silence.is_here()


def silence(work: Work, seconds: float, before: Silence | None = None) -> Silence | None:
    """Silence all alerts for so long from now, and return the silence of Alertmanager; None where there is none.

    :param before: what was returned the last time: it is prolonged
    :raises SilenceError, HttpError, StateError: one of them could not be silenced.
    """
    _silence_monitor(work, seconds)
    return _silence_alertmanager(work, seconds, before)


def _silence_monitor(work: Work, seconds: float) -> None:
    _monitor_silence.begin(work.name, work.run, reason=work.reason, seconds=seconds, now=this_moment())


def _silence_alertmanager(work: Work, seconds: float, before: Silence | None) -> Silence | None:
    if not work.url:
        return None
    old = {"id": before.id, "startsAt": before.starts_at} if before else None
    moment = datetime.now(timezone.utc)
    body = request([EVERYTHING], old, now=moment, seconds=seconds, comment=work.reason, by=work.by)
    answer = _alertmanager(work.url, "POST", "silences", json.dumps(body).encode())
    try:
        return Silence(str(json.loads(answer)["silenceID"]), body["startsAt"])
    except (ValueError, KeyError, TypeError):
        raise SilenceError(
            f"what answers at {work.url} is no Alertmanager: correct ops_monitoring.alertmanager.url"
        ) from None


def speak(work: Work, identity: str | None) -> None:
    """Let them speak again. A silence that has ended is no trouble.

    :raises SilenceError, HttpError, StateError: it could not be ended before its time.
    """
    _monitor_silence.end(work.name, work.run)
    _end_silence(work, identity)


def _end_silence(work: Work, identity: str | None) -> None:
    if work.url and identity:
        _alertmanager(work.url, "DELETE", f"silence/{identity}", b"", gone=(404, 500))


@contextmanager
def silencing(work: Work, seconds: float | None, *, warn: Callable[[str], None]) -> Iterator[None]:
    """Silence all alerts for as long as this works, but not for longer than ``seconds``; None for not at all.

    Killed, it is over after :data:`LEASE_SECONDS`. What cannot be silenced keeps nobody from working.
    """
    if not seconds or not is_needed(work):
        yield
        return
    ended, end = threading.Event(), time.monotonic() + seconds
    made: list[Silence | None] = [None]

    def renew() -> list[str]:
        seconds = min(LEASE_SECONDS, max(1.0, end - time.monotonic()))

        def ask_alertmanager() -> None:
            made[0] = _silence_alertmanager(work, seconds, made[0])

        return _failures(lambda: _silence_monitor(work, seconds), ask_alertmanager)

    def renew_until_ended() -> None:
        while not ended.wait(LEASE_SECONDS / 3) and time.monotonic() < end:
            renew()

    keeper = threading.Thread(target=renew_until_ended, daemon=True)
    failed = renew()
    if failed:
        warn(f"alerts are not all silenced: {', '.join(failed)}")
    keeper.start()  # what could not be silenced now may be in a moment, and what could has to be prolonged
    try:
        yield
    finally:
        ended.set()
        keeper.join(15)
        identity = made[0].id if made[0] else None
        failed = _failures(lambda: _monitor_silence.end(work.name, work.run), lambda: _end_silence(work, identity))
        if failed:
            warn(f"a silence is left, and ends within {LEASE_SECONDS:g} s: {', '.join(failed)}")


def _failures(*parts: Callable[[], None]) -> list[str]:
    """Do all of ``parts``, whatever becomes of one, and return what failed."""
    failed = []
    for part in parts:
        try:
            part()
        except FAILURES as exc:
            failed.append(str(exc))
    return failed


def _alertmanager(url: str, method: str, path: str, body: bytes, gone: tuple[int, ...] = ()) -> bytes:
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    place = f"{url.rstrip('/')}/api/v2/{path}"
    try:
        answer = ask(place, method=method, headers=headers, body=body, timeout_seconds=10, body_limit_bytes=1 << 20)
    except ValueError as exc:
        raise SilenceError(f"ops_monitoring.alertmanager.url: {exc}") from exc
    if answer.status not in (200, *gone):
        raise SilenceError(f"Alertmanager at {url} answers {answer.status} to {method} {path}")
    return answer.body
