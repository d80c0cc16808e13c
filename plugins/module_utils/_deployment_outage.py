# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a service did not answer while it was replaced. Private to this collection."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import read_options
from ansible_collections.runbook.ops.plugins.module_utils.probes import http

PAUSE_SECONDS = 0.1


class Outage:
    """Asks the service again and again from its beginning to its end; without a URL, whether its port is open is not asked."""

    def __init__(self, service: Mapping[str, Any], port: int) -> None:
        self._name = service["name"]
        health = service.get("health") or {}
        self._url = (health.get("url") or "").replace("{port}", str(port)) or None
        self._status = health.get("status") or 200
        self._ended = threading.Event()
        self._good: list[float] = []
        self._began = self._until = 0.0
        self._helper = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> Outage:
        self._began = time.monotonic()
        if self._url:
            self._good.append(self._began)
            self._helper.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._until = time.monotonic()
        if self._url:
            self._helper.join()

    def seconds(self) -> float | None:
        """Return the longest time between two right answers; None where nothing can be asked."""
        return longest([*self._good, self._until]) if self._url else None

    def check(self) -> dict[str, Any]:
        """Return it as a check."""
        seconds = self.seconds()
        return make_check(
            f"deployment:{self._name}:outage",
            name=f"outage of {self._name}",
            section="Deployment",
            status="unknown" if seconds is None else "warning",
            value=None if seconds is None else round(seconds, 2),
            unit="s",
            detail="it has no health.url to ask" if seconds is None else f"nothing answered for {seconds:.1f} s",
            remedy="deploy it with strategy blue_green, which has none"
            if seconds is not None
            else "describe health.url",
        )

    def _ask(self) -> None:
        options = read_options(
            {"probe": "http", "url": self._url, "status": [self._status], "timeout_seconds": 2},
            http.OPTIONS,
            where="health",
        )
        while not self._ended.wait(PAUSE_SECONDS):
            (check,) = http.judge(http.measure(options), options)
            if check["status"] != "critical":
                self._good.append(time.monotonic())


def longest(moments: list[float]) -> float:
    """Return the longest time between two of ``moments``."""
    return max((later - earlier for earlier, later in zip(moments, moments[1:])), default=0.0)
