# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send the summary of a report once to each receiver. Private to this collection.

What was taken is noted after it was taken: who is killed between the two sends it again, under the same id.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _notify
from ansible_collections.runbook.ops.plugins.module_utils._notify import NotifyError
from ansible_collections.runbook.ops.plugins.module_utils._receivers import receivers
from ansible_collections.runbook.ops.plugins.module_utils._small_file import replace_file

NOTE = ".sent.json"
KEPT = 400
Send = Callable[[str, Mapping[str, Any], Mapping[str, Any], Mapping[str, str]], None]


def channels_of(
    options: Mapping[str, Any], wanted: Sequence[str], *, hostname: str
) -> dict[str, tuple[dict[str, Any], dict[str, str]]]:
    """Return settings and secrets of each receiver that is wanted and described.

    :param options: those of the module
    :raises ValueError: one is wanted and not described.
    """
    channels, secrets = receivers(options, hostname=hostname)
    for channel in wanted:
        if channel not in channels:
            raise ValueError(
                f"the report is to be sent by {channel}, and ops_alerts.{channel} does not say where: "
                "add it, or take it out of ops_reports.send_to"
            )
    return {channel: (channels[channel], secrets) for channel in wanted}


def pending(directory: Path, stem: str, wanted: Sequence[str]) -> list[str]:
    """Return the receivers that have not taken the report ``stem`` yet."""
    taken = _noted(directory).get(stem, [])
    return [channel for channel in wanted if channel not in taken]


def send(
    directory: Path,
    stem: str,
    message: Mapping[str, Any],
    channels: Mapping[str, tuple[Mapping[str, Any], Mapping[str, str]]],
    *,
    hand_over: Send = _notify.send,
) -> tuple[list[str], list[str]]:
    """Hand ``message`` to each of ``channels``, and return who took it and one line for each that did not.

    :raises OSError: it cannot be noted that it was sent.
    """
    sent, problems = [], []
    for channel, (settings, secrets) in channels.items():
        try:
            hand_over(channel, message, settings, secrets)
        except NotifyError as exc:
            problems.append(f"{channel}: {exc}")
            continue
        sent.append(channel)
        noted = _noted(directory)
        noted[stem] = sorted({*noted.get(stem, []), channel})
        kept = dict(sorted(noted.items())[-KEPT:])
        replace_file(directory / NOTE, json.dumps(kept, indent=1).encode() + b"\n")
    return sent, problems


def make_message(stem: str, summary: Mapping[str, str], *, system: str, host: str, at: float) -> dict[str, Any]:
    """Return the summary as the senders take it. Its id is the report's, whoever sends it."""
    digest = hashlib.sha256(f"{system} {stem}".encode()).hexdigest()[:16]
    place = re.sub(r"[^A-Za-z0-9.-]", "-", stem)
    return {"id": f"report-{place}-{digest}", "system": system, "host": host, "at": at, **summary}


def _noted(directory: Path) -> dict[str, list[str]]:
    try:
        told = json.loads((directory / NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return (
        {str(key): list(value) for key, value in told.items() if isinstance(value, list)}
        if isinstance(told, dict)
        else {}
    )
