# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait until Vercel has done what it was asked for. Private to this collection."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._vercel import Deployment, VercelError, alias_request, is_live
from ansible_collections.runbook.ops.plugins.module_utils._vercel_api import POLL_SECONDS
from ansible_collections.runbook.ops.plugins.module_utils._vercel_choose import url

LOOKED_AT = 20  # of the newest deployments


class Waiting(NamedTuple):
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


class Watch:
    """Waits until what was asked for serves."""

    def __init__(self, vercel: Any, waiting: Waiting, old: Deployment | None, limit_seconds: float) -> None:
        """Begin to wait; ``old`` serves meanwhile."""
        self._vercel, self._waiting, self._old, self._limit = vercel, waiting, old, limit_seconds
        self._begin = waiting.clock()

    def build(self, built: Deployment, *, staged: bool) -> Deployment | None:
        """Return what serves once ``built`` is ready, which for a staged one is what served before.

        :raises VercelError: it will not be, or not in time.
        """
        silence = ""
        while True:
            if is_live(built, old=self._old or built):
                return built
            if staged and built.state == "READY":
                return self._old
            self._pause(f"the new deployment {built.url} is {built.state}", silence)
            try:
                built, silence = self._vercel.deployment(built.id), ""
            except VercelError as exc:  # it goes on there whether we see it or not
                silence = f", and {exc}"

    def domains(self, to: Deployment) -> Deployment:
        """Return ``to`` once the domains lead to it.

        :raises VercelError: they will not, or not in time.
        """
        while True:
            state, silence = "asked for", ""
            try:
                now, _latest = self._vercel.look(LOOKED_AT)
                if now and now.id == to.id:
                    return to
                request = alias_request(self._vercel.settings)
                state = request[1] if request and request[0] == to.id else state
            except VercelError as exc:
                silence = f", and {exc}"
            if state in ("failed", "skipped"):
                raise VercelError(
                    f"Vercel did not lead the domains to {to.url} ({state}); production is still {url(self._old)}"
                )
            self._pause(f"the way of the domains to {to.url} is {state}", silence)

    def _pause(self, what: str, silence: str) -> None:
        if self._waiting.clock() - self._begin >= self._limit:
            raise VercelError(
                f"{what} after {self._limit:g} s{silence}; production is still {url(self._old)}. "
                "Look at it at Vercel, or raise wait_timeout_seconds"
            )
        self._waiting.sleep(POLL_SECONDS)
