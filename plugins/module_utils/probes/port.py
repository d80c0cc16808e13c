# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A TCP port that must accept connections. Private to this collection."""

from __future__ import annotations

import socket
import time
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_check
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, limits

SECTION = "Services"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
OPTIONS = {
    "host": Option("str", "name or address", "127.0.0.1"),
    "port": Option("int", "TCP port", required=True),
    "seconds": Option("limits", "time until the connection stands", limits(1)),
}


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return ``seconds`` until the connection stood, and ``error`` where it did not."""
    began = time.monotonic()
    try:
        with socket.create_connection((options["host"], options["port"]), timeout=options["timeout_seconds"]):
            error = None
    except OSError as exc:
        error = str(exc.strerror or exc)
    return {"seconds": round(time.monotonic() - began, 4), "error": error}


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one check."""
    place = f"{options['host']}:{options['port']}"
    status, limit = judge_high(measured["seconds"], **options["seconds"])
    detail = f"{place} accepts connections"
    if measured["error"]:
        status, detail = "critical", f"{place}: {measured['error']}"
    return [
        make_check(
            f"port:{place}",
            name=options["name"] or f"Port {place}",
            section=options["section"],
            status=status,
            value=measured["seconds"],
            unit="s",
            limit=limit,
            detail=detail,
            remedy="see who listens: ss -tlnp"
            + ("" if options["host"] in LOOPBACK else ", over there; then look at firewalls"),
        )
    ]
