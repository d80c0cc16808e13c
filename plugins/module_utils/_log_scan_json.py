# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Count the lines of a log of JSON objects, one a line. Private to this collection."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._log_scan_endpoints import LONGEST, endpoint_of
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_tally import Tally

# Where loggers of Node, Python and nginx put what we look for; a dot leads into an object.
USUAL: Mapping[str, tuple[str, ...]] = {
    "status": ("status", "statusCode", "status_code", "res.statusCode", "response.status"),
    "request": ("request",),
    "method": ("method", "request_method", "req.method", "request.method"),
    "path": ("path", "request_uri", "uri", "url", "req.url", "request.path"),
    "seconds": ("request_time", "seconds", "duration_seconds"),
    "ms": ("responseTime", "response_time_ms", "duration_ms", "durationMs", "ms"),
    "address": ("remote_addr", "ip", "client_ip", "remoteAddress", "req.remoteAddress"),
    "agent": ("http_user_agent", "user_agent", "userAgent", "req.headers.user-agent"),
    "level": ("level", "severity", "levelname", "s"),
    "cache": ("upstream_cache_status", "cache_status", "cache"),
}
PINO = {10: "trace", 20: "debug", 30: "info", 40: "warn", 50: "error", 60: "fatal"}
SCALES = {"seconds": 1000.0, "ms": 1.0}


class JsonReader:
    """Counts the blocks of one log of JSON lines into a tally."""

    def __init__(self, fields: Mapping[str, str], tally: Tally, tops: frozenset[str]) -> None:
        self._tally, self._tops = tally, tops
        self._ways = {
            name: [tuple(way.split(".")) for way in ((fields[name],) if fields.get(name) else usual)]
            for name, usual in USUAL.items()
        }

    def add(self, block: bytes, lines: int) -> None:
        """Count a block of whole lines."""
        each = block.split(b"\n")[:lines]
        for told in _parsed(each):
            if isinstance(told, dict):
                self._count(told)
            else:
                self._tally.broken += 1
        self._tally.requests.trim()

    def _count(self, told: dict[str, Any]) -> None:
        level = self._find(told, "level")
        if isinstance(level, (str, int)) and not isinstance(level, bool):
            name = PINO.get(level, str(level)) if isinstance(level, int) else level
            self._tally.top("levels", [name.lower().encode("utf-8", "replace")[:40]])
        self._tally.cached(self._find(told, "cache"))
        status = self._find(told, "status")
        text = str(status)
        if isinstance(status, (bool, float)) or not (text.isascii() and text.isdigit() and 100 <= int(text[:9]) <= 599):
            return
        self._request(told, text)

    def _request(self, told: dict[str, Any], status: str) -> None:
        request = self._find(told, "request")
        path = self._find(told, "path")
        if not isinstance(request, str):
            request = f"{self._find(told, 'method') or 'GET'} {path if isinstance(path, str) else ''}"
        as_bytes = request.encode("utf-8", "replace")
        self._tally.requests.add(endpoint_of(as_bytes), status, self._took(told))
        for top, name in (("addresses", "address"), ("agents", "agent")):
            value = self._find(told, name) if top in self._tops else None
            if isinstance(value, str):
                self._tally.top(top, [value.encode("utf-8", "replace")[:LONGEST]])
        if "paths" in self._tops:
            self._tally.top("paths", [as_bytes.split(b" ", 2)[1].partition(b"?")[0][:LONGEST]])

    def _took(self, told: dict[str, Any]) -> float | None:
        for name, scale in SCALES.items():
            try:
                value = float(self._find(told, name))
            except (TypeError, ValueError, OverflowError):
                continue
            if math.isfinite(value) and value >= 0:
                return min(value, 1e9) * scale
        return None

    def _find(self, told: dict[str, Any], name: str) -> Any:
        for way in self._ways[name]:
            value: Any = told
            for key in way:
                value = value.get(key) if isinstance(value, dict) else None
            if value is not None:
                return value
        return None

    def flush(self) -> None:
        """There is nothing left to bring to the tally."""


def _parsed(lines: list[bytes]) -> Iterable[Any]:
    """Return the value of each line; None where it is no JSON."""
    try:
        parsed = json.loads(b"[%s]" % b",".join(lines))
        if len(parsed) == len(lines) and all(isinstance(one, dict) for one in parsed):
            return parsed
    except (ValueError, RecursionError):
        pass
    return map(_one, lines)


def _one(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
