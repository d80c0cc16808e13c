# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What logs say of a period, not of the last so many lines: the most frequent messages, then all. Private to this collection."""

from __future__ import annotations

import glob
import os
import re
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._diagnose import Found, table
from ansible_collections.runbook.ops.plugins.module_utils._diagnose_program import read_program
from ansible_collections.runbook.ops.plugins.module_utils._docker import DockerError, containers
from ansible_collections.runbook.ops.plugins.module_utils._log_files import find_start, with_rotated
from ansible_collections.runbook.ops.plugins.module_utils._pm2_socket import (
    Pm2DeniedError,
    Pm2NotRunningError,
    Pm2SocketError,
    call,
)
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError

MOST_BYTES = 400_000
MOST_LINES = 4000
UNDATED_BYTES = 100_000
SHOWN = 15
MOST_FILES = 4
MOST_CONTAINERS = 10
MASKS = (
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b|\b0x[0-9a-f]+\b|\b[0-9a-f]{16,}\b", re.IGNORECASE), "#"),
    (re.compile(r"\d+(?:[.:,/T-]\d+)*Z?"), "#"),
    (re.compile(r"\s+"), " "),
)
TROUBLE = re.compile(
    r"(?i)\b\w*error|fail|fatal|\bcritical|exception|panic|refused|timed? ?out|denied|unhandled|\[(?:emerg|alert|crit)\]"
    r"|(?:HTTP/[\d.]+\"?|\b(?:GET|POST|PUT|PATCH|DELETE) \S+|status\W{1,3}) 5\d\d\b"
)


def log(options: dict[str, Any]) -> Found:
    """Collect a log since a time, whoever keeps it."""
    since = float(options["since"])
    if options.get("unit"):
        said = read_program(
            [*JOURNAL, f"--unit={options['unit']}", f"--since=@{int(since)}"], most_bytes=MOST_BYTES, keep_end=True
        )
        return told(said.text, said.cut)
    if options.get("system"):
        said = read_program([*JOURNAL, "-p", "warning", f"--since=@{int(since)}"], most_bytes=MOST_BYTES, keep_end=True)
        return told(said.text, said.cut)
    paths = pm2_paths(options["pm2"], options.get("user")) if options.get("pm2") else files_of(options["path"])
    parts, cut = [], False
    for path in paths:
        text, was_cut = read_since(path, since)
        cut = cut or was_cut
        parts.append(f"== {path}\n{text}" if len(paths) > 1 else text)
    return told("\n".join(parts), cut)


JOURNAL = ["journalctl", "--no-pager", "-q", "-o", "short-iso", "-n", str(MOST_LINES)]


def files_of(path: str) -> list[str]:
    """Return the file, or the newest ones that a glob meets, such as one a day, the oldest first."""
    if not any(sign in path for sign in "*?["):
        return [path]
    found = sorted(glob.glob(path), key=os.path.getmtime)  # noqa: PTH207  # of a whole path, which pathlib cannot
    if not found:
        raise ProbeError(f"{path} meets no file")
    return found[-MOST_FILES:]


def pm2_paths(app: str, user: str | None) -> list[str]:
    """Return the files that PM2 writes an application's output to: by its own word, or where it does unless told otherwise.

    :raises ProbeError: there are none.
    """
    home = os.path.expanduser(f"~{user or ''}/.pm2")  # noqa: PTH111  # of another user
    try:
        kept = [
            one.get("pm2_env") or {} for one in call(f"{home}/rpc.sock", "getMonitorData", {}) if one.get("name") == app
        ]
    except (Pm2NotRunningError, Pm2DeniedError, Pm2SocketError):
        kept = []
    told_paths = [one.get(key) for one in kept for key in ("pm_err_log_path", "pm_out_log_path")]
    own = re.compile(re.escape(re.sub(r"[^a-zA-Z0-9-]", "-", app)) + r"-(?:error|out)(?:-\d+)?\.log")
    logs = Path(home, "logs")
    usual = sorted(str(entry) for entry in logs.iterdir() if own.fullmatch(entry.name)) if logs.is_dir() else []
    found = [path for path in dict.fromkeys([*told_paths, *usual]) if path and os.access(path, os.F_OK)]
    if not found:
        raise ProbeError(f"{logs} holds no log of {app}, and PM2 knows of none")
    return found


def read_since(path: str, since: float, most_bytes: int = MOST_BYTES) -> tuple[str, bool]:
    """Return what was written to a log since a time, the file before its last rotation too, and whether it is cut.

    :raises ProbeError: there is no such file.
    """
    paths = with_rotated(path)
    if not paths:
        raise ProbeError(f"{path} does not exist")
    parts, cut, now = [], False, time.time()
    for each in paths:
        with Path(each).open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            if os.fstat(file.fileno()).st_mtime < since or not end:
                continue
            start = find_start(file, end, since, now)
            if start is None:
                parts.append(f"(the lines of {each} carry no time: its end, of unknown age)\n")
                start = max(0, end - UNDATED_BYTES)
            too_much = end - start > most_bytes
            start = end - most_bytes if too_much else start
            cut = cut or too_much
            file.seek(start)
            data = file.read(min(most_bytes, end - start))
            # Begun in the middle of a line, it may begin in the middle of a secret.
            parts.append((data.partition(b"\n")[2] if too_much else data).decode("utf-8", "replace"))
    return "".join(parts), cut


def told(text: str, cut: bool) -> Found:
    """Return a log, to have its most frequent messages put before it."""
    return Found(
        text if text.strip() else "(nothing in this period)",
        note="silent",
        cut=cut,
        digest=digest if text.strip() else None,
    )


def digest(text: str) -> tuple[str, str]:
    """Return a line about a log that has no secrets in it any more, and its most frequent messages of trouble."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("== ")]
    bad = [line for line in lines if TROUBLE.search(line)]
    note = f"{len(lines)} lines, {len(bad)} of trouble" if lines else "silent"
    head = (
        "Most frequent lines of trouble (numbers as #)\n"
        + table(["times", "last", "message"], frequent(bad))
        + "\n\nAll lines"
    )
    return note, f"{note}\n\n{head}" if bad else note


def frequent(lines: Sequence[str]) -> list[tuple[int, str, str]]:
    """Return how often each message occurs, what varies in it taken out, and how it looked the last time it did."""
    times: Counter[str] = Counter()
    last: dict[str, str] = {}
    for line in lines:
        message = line[:400]
        for pattern, mask in MASKS:
            message = pattern.sub(mask, message)
        times[message] += 1
        last[message] = (re.search(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d|\d\d:\d\d:\d\d", line) or [""])[0]
    return [(count, last[message], message[:300]) for message, count in times.most_common(SHOWN)]


def container_names(options: dict[str, Any]) -> list[str]:
    """Return the containers of a Compose service."""
    return [one.name for one in containers(project=options["project"], service=options["service"])]


def container_log(options: dict[str, Any]) -> Found:
    """Collect what the containers of a Compose service wrote, those included that have ended.

    :raises ProbeError: Docker does not tell, or the service has no container.
    """
    try:
        names = [options["container"]] if options.get("container") else container_names(options)
    except DockerError as exc:
        raise ProbeError(str(exc)) from exc
    if not names:
        raise ProbeError(f"{options['service']} has no container")
    parts, cut = [], False
    for name in names[:MOST_CONTAINERS]:
        # Without --tail: on a log that somebody has emptied, Docker 26 never comes to its end with it.
        argv = ["docker", "logs", "--timestamps", f"--since={int(float(options['since']))}", name]
        said = read_program(argv, timeout_seconds=10, most_bytes=MOST_BYTES, keep_end=True)
        if said.code != 0 and not said.cut:
            raise ProbeError(f"docker logs failed ({said.code}): {said.text.strip()[-200:]}")
        parts.append(f"== {name}\n{said.text}" if len(names) > 1 else said.text)
        cut = cut or said.cut
    return told("\n".join(parts), cut)
