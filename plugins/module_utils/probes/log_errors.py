# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors that a log tells of since a while. Private to this collection."""

from __future__ import annotations

import os
import re
import time
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_check
from ansible_collections.runbook.ops.plugins.module_utils._log_files import Found, compile_patterns, scan, with_rotated
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError, limits
from ansible_collections.runbook.ops.plugins.module_utils._probe_program import last_line, run_program
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration, human_size

SECTION = "Logs"
OPTIONS = {
    "path": Option(
        "str",
        "file of the log, with the one it was before its last rotation (.1); or a glob of files, such as one a day",
    ),
    "pm2": Option("str", "application of PM2 whose output it is, instead of path"),
    "user": Option("str", "account whose PM2 keeps the application"),
    "unit": Option("str", "systemd unit whose journal it is, instead of path"),
    "project": Option("str", "Compose project whose service writes it, instead of path"),
    "service": Option("str", "service within project; all its containers are read"),
    "patterns": Option(
        "list", "regular expressions, without regard to case, of lines that tell of an error", ["error"]
    ),
    "since_seconds": Option("float", "how far back", 86400.0),
    "count": Option("limits", "lines that tell of an error", limits(1)),
    "examples": Option("int", "how many of the last such lines are shown", 1),
    "most_bytes": Option("int", "how much of each file is read at most, from its end", 64 << 20),
}


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return ``count``, the last lines, and whether the lines have no time or were more than is read."""
    if sum(bool(options[key]) for key in ("path", "pm2", "unit", "service")) != 1:
        raise ProbeError("which log: one of path, pm2, unit and service", "set one of them")
    try:
        pattern = compile_patterns(options["patterns"])
    except ValueError as exc:
        raise ProbeError(str(exc), "correct patterns") from exc
    now = time.time()
    if options["unit"] or options["service"]:
        found = (_journal if options["unit"] else _containers)(options, pattern, now)
    else:
        since = now - options["since_seconds"]
        paths = _paths(options)
        keep = options["examples"]
        found = scan(paths, pattern, since=since, now=now, most_bytes=options["most_bytes"], keep=keep)
    return {"count": found.count, "examples": found.examples, "undated": found.undated, "cut": found.cut}


def _paths(options: dict[str, Any]) -> list[str]:
    if options["path"]:
        is_glob = any(sign in options["path"] for sign in "*?[")
        paths = _written_in_turn(options["path"]) if is_glob else with_rotated(options["path"])
        if not paths:
            raise ProbeError(f"{options['path']} does not exist", "correct path, or see who should write it")
        return paths
    folder = os.path.expanduser(f"~{options['user'] or ''}/.pm2/logs")  # noqa: PTH111  # pathlib would be an import more
    # PM2 names its files after the application, other signs turned into -, with a number for each of several instances.
    stem = re.escape(re.sub(r"[^a-zA-Z0-9\-]", "-", options["pm2"]))
    own = re.compile(rf"{stem}-(?:out|error)(?:-\d+)?\.log")
    try:
        names = sorted(name for name in os.listdir(folder) if own.fullmatch(name))  # noqa: PTH208  # the same
    except FileNotFoundError:
        names = []
    if not names:
        raise ProbeError(f"{folder} holds no log of {options['pm2']}", "correct pm2 and user, or set path")
    return [path for name in names for path in with_rotated(f"{folder}/{name}")]


def _journal(options: dict[str, Any], pattern: re.Pattern[bytes], now: float) -> Found:
    argv = ["journalctl", "--no-pager", "--quiet", "--output=cat", f"--since=@{int(now - options['since_seconds'])}"]
    done = run_program([*argv, f"--unit={options['unit']}"], timeout_seconds=options["timeout_seconds"])
    if done.code != 0:
        raise ProbeError(f"journalctl failed ({done.code}): {last_line(done.err)}", "run it as root")
    return _count([done.out], pattern, options)


def _written_in_turn(glob: str) -> list[str]:
    """Return the files that ``glob`` meets, oldest first."""
    from glob import glob as expand  # noqa: PLC0415  # one log of many

    return sorted(expand(glob), key=os.path.getmtime)  # noqa: PTH207  # of a whole path, which pathlib cannot


def _containers(options: dict[str, Any], pattern: re.Pattern[bytes], now: float) -> Found:
    """Count in what the containers of a Compose service wrote, those included that have ended."""
    from ansible_collections.runbook.ops.plugins.module_utils._docker import DockerError, containers  # noqa: PLC0415

    try:
        names = [one.name for one in containers(project=options["project"], service=options["service"])]
    except DockerError as exc:
        raise ProbeError(str(exc), "see systemctl status docker") from exc
    if not names:
        raise ProbeError(f"{options['service']} has no container", "see what there is: docker ps --all")
    written = []
    for name in names:
        # Without --tail: on a log that somebody has emptied, Docker 26 never comes to its end with it.
        argv = ["docker", "logs", f"--since={int(now - options['since_seconds'])}", name]
        done = run_program(argv, timeout_seconds=options["timeout_seconds"])
        if done.code != 0:
            raise ProbeError(f"docker logs failed ({done.code}): {last_line(done.err)}", "run it by hand")
        written += [done.out, done.err]  # what it wrote to either of its outputs
    return _count(written, pattern, options)


def _count(texts: list[str], pattern: re.Pattern[bytes], options: dict[str, Any]) -> Found:
    found = Found()
    for text in texts:
        for line in text.encode().splitlines():
            if pattern.search(line):
                found.add(line, options["examples"])
    return found


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one check; lines whose time is not known make it unknown, for they may be old."""
    count = measured["count"]
    name = options["name"] or options["path"] or options["pm2"] or options["unit"] or options["service"]
    status, limit = judge_high(count, **options["count"])
    detail = f"{count or 'none'} in the last {human_duration(options['since_seconds'])}"
    if measured["undated"] and count:
        status = "unknown" if status != "ok" else "ok"
        detail = f"{count} near its end, of unknown age: its lines carry no time"
    if measured["cut"]:
        detail += f", of which only the last {human_size(options['most_bytes'])} were read"
    if measured["examples"]:
        detail += f"; last: {' | '.join(measured['examples'])}"
    return [
        make_check(
            f"log:{name}",
            name=name,
            section=options["section"],
            status=status,
            value=count,
            unit="lines",
            limit=limit,
            detail=detail,
            remedy="have it write times, so that old lines can be told from new (PM2: log_date_format)"
            if measured["undated"]
            else "read them in full, and their first occurrence",
        )
    ]
