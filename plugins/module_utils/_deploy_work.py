# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One call at a time works on a service: also one whose controller is gone works on to its end. Private to this collection."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import DeployPaths, StateError

PAUSE_SECONDS = 0.2


@contextmanager
def working(paths: DeployPaths, *, seconds: float) -> Iterator[None]:
    """Hold the service for one call. A process that dies lets go of it.

    :raises StateError: another call is at work for longer than ``seconds``.
    """
    try:
        handle = os.open(paths.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as exc:
        raise StateError(f"cannot write {paths.lock}: {exc.strerror}") from exc
    try:
        end = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise StateError(
                        f"another call is at work on {paths.service} for more than {seconds:g} s: see deploy_status, then run this again"
                    ) from None
            time.sleep(PAUSE_SECONDS)
        yield
    finally:
        os.close(handle)
