# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far the clock of this host is off. Private to this collection."""

from __future__ import annotations

import ctypes
import os
import time
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_check
from ansible_collections.runbook.ops.plugins.module_utils._http import HttpError, ask
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError, limits

SECTION = "Host"
OPTIONS = {
    "seconds": Option("limits", "how far it is off, either way", limits(2, 30)),
    "url": Option(
        "str",
        "URL of another host, whose Date the clock is compared with; its certificate is not checked, for a clock that is wrong "
        "trusts none. Without it the kernel's word counts",
    ),
    "synchronised": Option("bool", "whether something must keep it right, as far as the kernel knows", False),
}
UNSYNCHRONISED, NANOSECONDS = 0x40, 0x2000  # STA_UNSYNC and STA_NANO of adjtimex(2)


class _Timex(ctypes.Structure):
    """``struct timex`` of adjtimex(2); what comes behind ``time`` is room only."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_long * 40),
    )


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return whether the clock is kept right, its ``offset`` in seconds, and how exactly that is known."""
    timex = _Timex()  # modes is 0: nothing is set
    if ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex)) < 0:
        raise ProbeError(f"the kernel does not tell about its clock: {os.strerror(ctypes.get_errno())}")
    kept = not timex.status & UNSYNCHRONISED
    if options["url"]:
        return {"kept": kept, **_compared(options)}
    unit = 1e9 if timex.status & NANOSECONDS else 1e6
    return {"kept": kept, "offset": timex.offset / unit if kept else None, "exact": 0.0}


def _compared(options: dict[str, Any]) -> dict[str, Any]:
    from email.utils import parsedate_to_datetime  # noqa: PLC0415  # only who compares pays for it

    before = time.time()
    try:
        answer = ask(options["url"], method="HEAD", timeout_seconds=options["timeout_seconds"], verify=False)
        there = parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
    except (HttpError, TypeError, ValueError) as exc:
        raise ProbeError(f"{options['url']} does not tell the time: {exc}", "correct url, or leave it out") from exc
    # It tells whole seconds, and told them some time between question and answer.
    here, took = (before + time.time()) / 2, time.time() - before
    return {"offset": here - (there + 0.5), "exact": 0.5 + took / 2}


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one check; what the comparison cannot tell is not counted."""
    kept = "kept right" if measured["kept"] else "nothing keeps it right, as far as the kernel knows"
    status, limit, value = "ok", options["seconds"]["warning"], None
    if measured["offset"] is not None:
        value = round(max(0.0, abs(measured["offset"]) - measured["exact"]), 3)
        status, limit = judge_high(value, **options["seconds"])
    off = f"{'ahead' if (measured['offset'] or 0) > 0 else 'behind'}, " if value else ""
    if status == "ok" and options["synchronised"] and not measured["kept"]:
        status = "warning"
    return [
        make_check(
            "clock:offset",
            name=options["name"] or "Clock",
            section=options["section"],
            status=status,
            value=value,
            unit="s",
            limit=limit,
            detail=f"{off}{kept}",
            remedy="see what keeps it: timedatectl timesync-status, or chronyc tracking",
        )
    ]
