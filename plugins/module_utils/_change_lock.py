# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One change at a time on a host, with fencing: who was taken over cannot write. Private to this collection.

``lock.json`` says whose the lock is, and is replaced as a whole. The file ``lock`` beside it is flocked for the length of one step
only: while the lock changes hands, or while its owner commits. A worker that slept through the end of its lease wakes up
either before such a step, and is refused, or within it, and then nobody could take the lock over meanwhile.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._change_lease import (
    FORMAT,
    TAKEABLE,
    UNTAKEN,
    Clock,
    left_seconds,
    lost,
    released,
    renewed,
    standing,
    taken,
    told,
)
from ansible_collections.runbook.ops.plugins.module_utils._change_step import (
    STEP_SECONDS,
    LockError,
    StepTakenError,
    step,
)
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import StateError, write_json

DIRECTORY = "/var/lib/runbook-ops/change"
PROVEN_SECONDS = 300.0  # the lease of a worker that proves at each step that nobody took over: losing it costs a run, and harms nothing


class Fence(NamedTuple):
    """What proves that a run may change this host. Number 0: no lock is demanded."""

    directory: str
    number: int
    owner: str


class LockHeldError(LockError):
    """Another run holds the lock."""


@contextmanager
def held(fence: Fence, *, seconds: float = STEP_SECONDS) -> Iterator[None]:
    """Hold the lock against all others for ONE commit point; never within another one.

    :raises LockError: another run took over since, so nothing may be written.
    """
    if fence.number == 0:
        yield
        return
    with step(fence.directory, seconds):
        reason = lost(look(fence.directory), fence.number, fence.owner)
        if reason:
            raise LockError(f"{reason}: nothing was written after that")
        yield


@contextmanager
def keeping(fence: Fence, *, lease_seconds: float = 900.0) -> Iterator[None]:
    """Renew the lease for as long as a long step works. It ends with the process, also where that is only stopped."""
    ended = threading.Event()

    def renew_until_ended() -> None:
        while not ended.wait(lease_seconds / 3):
            try:
                renew(fence, lease_seconds=lease_seconds)
            except LockError:
                continue  # in the midst of a step of this very process; or lost, and the next commit point says so

    keeper = threading.Thread(target=renew_until_ended, daemon=True)
    if fence.number:
        renew(fence, lease_seconds=lease_seconds)
        keeper.start()
    try:
        yield
    finally:
        ended.set()
        if fence.number:
            keeper.join(STEP_SECONDS)


def look(directory: str) -> dict[str, Any]:
    """Return how the lock stands. Nobody is kept from anything by looking.

    :raises LockError: what is written there cannot be read.
    """
    path = Path(directory) / "lock.json"
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        if state["format"] != FORMAT:
            raise ValueError(f"format {state['format']}, known is {FORMAT}")
        return {**UNTAKEN, **state}
    except FileNotFoundError:
        return dict(UNTAKEN)
    except NotADirectoryError:
        return dict(UNTAKEN)
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise LockError(f"cannot read {path} ({exc}): remove it once no run is at work on this host") from exc


def take(
    directory: str,
    run: Mapping[str, Any],
    *,
    place: Mapping[str, Any],
    lease_seconds: float,
    gone: str = "",
    broken: str = "",
) -> tuple[dict[str, Any], str]:
    """Take the lock for ``run``, and return it with how it stood before: see :func:`standing`.

    :param gone: the run that is known to have ended without a word
    :param broken: the run whose lock is to be broken
    :raises LockError: another run holds it, or it cannot be written.
    """
    _make(directory)
    try:
        with step(directory, STEP_SECONDS):
            return _hand_over(directory, run, place=place, lease_seconds=lease_seconds, gone=gone, broken=broken)
    except StepTakenError as exc:
        # Somebody stands within a step. Where its time is over, it is stopped or hangs: steps survive being killed.
        before = standing(look(directory), run["id"], now(), gone=gone, broken=broken)
        if before not in ("over", "gone", "broken"):
            raise
        exc.kill()
    with step(directory, STEP_SECONDS):
        return _hand_over(directory, run, place=place, lease_seconds=lease_seconds, gone=gone, broken=broken)


def renew(fence: Fence, *, lease_seconds: float) -> dict[str, Any]:
    """Begin the lease anew, never for less than what is left of it, and return the lock.

    :raises LockError: another run took over since.
    """
    with held(fence):
        state, moment = look(fence.directory), now()
        state = renewed(state, moment, lease_seconds=max(lease_seconds, left_seconds(state, moment)))
        _write(fence.directory, state)
    return state


def release(directory: str, owner: str) -> bool:
    """Give the lock back where it is that of ``owner``, and return whether it was."""
    if look(directory)["owner"] != owner:
        return False
    with step(directory, STEP_SECONDS):
        state = look(directory)
        if state["owner"] != owner:
            return False
        _write(directory, released(state))
    return True


def now() -> Clock:
    """Return this moment."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return Clock(boot, time.clock_gettime(time.CLOCK_BOOTTIME), time.time())


def _hand_over(
    directory: str, run: Mapping[str, Any], *, place: Mapping[str, Any], lease_seconds: float, gone: str, broken: str
) -> tuple[dict[str, Any], str]:
    state, moment = look(directory), now()
    before = standing(state, run["id"], moment, gone=gone, broken=broken)
    if before not in TAKEABLE:
        raise LockHeldError(told(state, moment))
    state = taken(state, run, moment, place=place, lease_seconds=lease_seconds)
    _write(directory, state)
    return state, before


def _make(directory: str) -> None:
    try:
        Path(directory).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise LockError(f"cannot make {directory} ({exc.strerror}): run as root") from exc


def _write(directory: str, state: Mapping[str, Any]) -> None:
    try:
        write_json(Path(directory) / "lock.json", state)
    except StateError as exc:
        raise LockError(f"{exc}; make room, or see to its disk") from exc
