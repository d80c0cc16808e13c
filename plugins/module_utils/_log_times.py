# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a line of a log was written, and what of it may be shown. Private to this collection."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

MONTHS = {month: index for index, month in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}
ISO = re.compile(
    rb"(?<!\d)(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,]\d+)?(?: ?(Z|[+-]\d\d:?\d\d)(?!\d))?", re.ASCII
)
ACCESS = re.compile(rb"\[(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-]\d{4})\]", re.ASCII)
SYSLOG = re.compile(rb"(?:<\d+>)?([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d) ", re.ASCII)
EPOCH = re.compile(rb'"time(?:stamp)?": ?(\d{10})(\d{3})?(?!\d)', re.ASCII)
HEAD = 256  # bytes of a line in which its time stands
SECRETS = re.compile(
    r"(?i)((?:password|passwd|pwd|secret|token|api[-_]?key|authorization|cookie)[\"']?\s*[=:]\s*[\"']?(?:(?:bearer|basic)\s+)?)"
    r"[^\s\"',;&]+"
)
ACCOUNTS = re.compile(r"(\w+://[^\s:/@]*):[^\s@/]+@")


def line_time(line: bytes, now: float) -> float | None:
    """Return when ``line`` was written, in seconds since 1970; None where it does not say.

    A time without a zone is the host's own, one without a year lies in the year before ``now``.
    """
    head = line[:HEAD]
    try:
        if found := ISO.search(head):
            return _moment(*(int(part) for part in found.groups()[:6]), zone=found[7])
        if found := ACCESS.search(head):
            hour, minute, second = int(found[4]), int(found[5]), int(found[6])
            return _moment(int(found[3]), MONTHS[found[2]], int(found[1]), hour, minute, second, zone=found[7])
        if found := SYSLOG.match(head):
            year = datetime.fromtimestamp(now).year
            rest = (MONTHS[found[1]], int(found[2]), int(found[3]), int(found[4]), int(found[5]))
            moment = _moment(year, *rest, zone=None)
            return moment if moment <= now + 86400 else _moment(year - 1, *rest, zone=None)
    except (KeyError, ValueError):
        return None  # the digits looked like a time and are none
    found = EPOCH.search(head)
    return float(found[1]) if found else None


def _moment(*civil: int, zone: bytes | None) -> float:
    year, month, day, hour, minute, second = civil
    moment = datetime(year, month, day, hour, minute, min(second, 59))  # a leap second is none to Python
    if zone is None:  # the host's own
        return moment.timestamp()
    offset = timedelta()
    if zone != b"Z":
        digits = zone[1:].replace(b":", b"")
        offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:])) * (-1 if zone[:1] == b"-" else 1)
    return moment.replace(tzinfo=timezone(offset)).timestamp()


def redact(line: bytes, *, most: int = 200) -> str:
    """Return ``line`` fit to be shown: no secrets that can be told, no control characters, not too long."""
    text = line.decode("utf-8", "replace")
    text = ACCOUNTS.sub(r"\1:***@", SECRETS.sub(r"\1***", text))
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    text = "".join(sign if sign.isprintable() else " " for sign in text).strip()
    return text if len(text) <= most else f"{text[: most - 1]}…"
