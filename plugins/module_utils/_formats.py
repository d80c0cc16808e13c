# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a key of a system's description holds: its name says its format, everywhere. Private to this collection."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.runbook.ops.plugins.module_utils._units import parse_duration, parse_size

CRON_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7))
CRON_NAMES = {
    "month": ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    "weekday": ["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
}


def duration(value: str) -> float:
    """Return ``26h`` in seconds. A number without a unit is refused: nobody can tell what it was meant to be."""
    if value.replace(".", "").isdigit():
        raise ValueError("write a duration with its unit, such as 90s, 15m, 26h or 8d")
    try:
        seconds = parse_duration(value)
    except ValueError:
        raise ValueError("write a duration with its unit, such as 90s, 15m, 26h or 8d") from None
    return int(seconds) if seconds == int(seconds) else seconds


def size(value: str) -> int:
    """Return ``500MB`` in bytes. A number without a unit is refused."""
    if value.replace(".", "").isdigit():
        raise ValueError("write a size with its unit, such as 1kB, 500MB or 2GiB")
    try:
        return parse_size(value)
    except ValueError:
        raise ValueError("write a size with its unit, such as 1kB, 500MB or 2GiB") from None


def between(low: float, high: float, what: str) -> Callable[[Any], Any]:
    """Return a format that takes numbers from ``low`` to ``high``."""

    def check(value: Any) -> Any:
        if not low <= value <= high:
            raise ValueError(f"{what} is a number between {low} and {high}")
        return value

    return check


def matching(pattern: str, what: str) -> Callable[[str], str]:
    """Return a format that takes text that ``pattern`` matches as a whole."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(f"write {what}")
        return value

    return check


def url(value: str) -> str:
    """Return an HTTP URL with a host. ``{port}`` may stand for the port."""
    try:
        parts = urlsplit(value.replace("{port}", "1"))
        valid = (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.port != 0
            and not re.search(r"\s", value)
        )
    except ValueError:
        valid = False
    if not valid:
        raise ValueError("write a URL that begins with http:// or https:// and names a host")
    return value


def cron(value: str) -> str:
    """Return a cron expression of five fields."""
    fields = value.split()
    if len(fields) != len(CRON_FIELDS):
        raise ValueError(f"write five fields (minute, hour, day, month, weekday); these are {len(fields)}")
    for text, (name, low, high) in zip(fields, CRON_FIELDS):
        for part in text.split(","):
            _cron_part(part, name, low, high)
    return " ".join(fields)


def _cron_part(part: str, name: str, low: int, high: int) -> None:
    span, _slash, step = part.partition("/")
    names = CRON_NAMES.get(name, [])
    ends = [str(names.index(end.lower()) + low) if end.lower() in names else end for end in span.split("-", 1)]
    good = span == "*" or (
        all(end.isdigit() and low <= int(end) <= high for end in ends) and int(ends[0]) <= int(ends[-1])
    )
    if not good or ("/" in part and not (step.isdigit() and int(step) > 0)):
        raise ValueError(
            f"its {name} {part!r} is none: write *, a number from {low} to {high}, a range, a list or */step"
        )


absolute = matching(r"/.*", "an absolute path, one that begins with /")
relative = matching(
    r"(?!/)(?!.*(^|/)\.\.(/|$)).+", "a path below the service's own, without a leading / and without .."
)
percent = between(0, 100, "a percentage")
port = between(1, 65535, "a port")
whole = between(1, 1_000_000, "a count")
day = matching(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])", "a date as YYYY-MM-DD")

_DURATIONS = (
    *("timeout", "max_age", "mirror_max_age", "within", "older_than", "interval", "for", "remind", "silence", "period"),
    *("journal", "application_logs", "backups", "downtime", "response", "event_loop", "watch", "hotfix_watch"),
    *(
        "every",
        "respond_within",
        "unsolved_for",
        "update_every",
        "review_within",
        "until",
        "rotate_every",
        "rto",
        "rpo",
        "retry_after",
        "build_timeout",
        "start_timeout",
        "stable",
        "drain",
        "lock_timeout",
        "backup_age",
        "done_within",
    ),
)
_SIZES = ("memory", "min_size", "max_size")

# What the normalised key has after its name, so that a number is never without its unit.
UNITS: dict[str, str] = {**dict.fromkeys(_DURATIONS, "_seconds"), **dict.fromkeys(_SIZES, "_bytes")}

FORMATS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(_DURATIONS, duration),
    **dict.fromkeys(_SIZES, size),
    **dict.fromkeys(
        ("last", "hourly", "daily", "weekly", "monthly", "yearly", "every_months", "clear", "jobs", "max_files"), whole
    ),
    **dict.fromkeys(
        ("path", "directory", "config", "upstream_config", "caches", "file", "files", "flag", "releases"), absolute
    ),
    **dict.fromkeys(("data_directory", "rules_directory", "textfile_directory", "dashboards_directory"), absolute),
    "environment_file": absolute,
    **dict.fromkeys(("entry_point", "migrations", "compose_file"), relative),
    **dict.fromkeys(("port", "standby_port", "ssh_port"), port),
    **dict.fromkeys(("url", "webhook", "endpoint", "api", "alive_url", "clock_url"), url),
    **dict.fromkeys(("last_at", "next_at"), day),
    "authorized_keys": matching(r"(/|~/).+", "a path that begins with / or ~/"),
    "calendar": matching(r"[A-Za-z0-9*,.:/~ -]+", "a systemd calendar expression, such as 'Mon *-*-01..07 05:00'"),
    "cron": cron,
    "domains": matching(
        r"(\*\.)?([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]*[a-z0-9])?", "a domain in lower case"
    ),
    "request": matching(r"/\S*", "what is asked for, which begins with /"),
    "subdirectory": matching(r"(?!/)(?!.*(^|/)\.\.(/|$)).+", "a directory below the repository's own, without .."),
    "email": matching(r"[^@\s]+@[^@\s]+", "an e-mail address"),
    "playbook": matching(r"[a-z][a-z0-9_]*", "the name of a playbook, without path and .yml"),
    "served_at": matching(r".+:\d{1,5}", "host:port"),
    "status": between(100, 599, "an HTTP status"),
}
