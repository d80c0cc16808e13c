# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What logs say of a period, not of the last so many lines: which messages are most frequent, and all of them. Private to this collection."""

from __future__ import annotations

import glob
import gzip
import os
import re
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._diagnose import Found, table
from ansible_collections.runbook.ops.plugins.module_utils._diagnose_program import read_program
from ansible_collections.runbook.ops.plugins.module_utils._log_files import find_start, with_rotated
from ansible_collections.runbook.ops.plugins.module_utils._log_times import line_time
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError
from ansible_collections.runbook.ops.plugins.module_utils._units import human_size

MOST_BYTES = 400_000
MOST_OF_ACCESS = 8_000_000  # it is counted, not handed on
MOST_LINES = 4000
UNDATED_BYTES = 100_000
SHOWN = 15
MOST_FILES = 4
MASKS = (
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b|\b0x[0-9a-f]+\b|\b[0-9a-f]{16,}\b", re.IGNORECASE), "#"),
    (re.compile(r"\d+(?:[.:,/T-]\d+)*Z?"), "#"),
    (re.compile(r"\s+"), " "),
)
TROUBLE = re.compile(
    r"(?i)\b\w*error|fail|fatal|\bcritical|exception|panic|refused|timed? ?out|denied|unhandled|\[(?:emerg|alert|crit)\]"
    r"|(?:HTTP/[\d.]+\"?|\b(?:GET|POST|PUT|PATCH|DELETE) \S+|status\W{1,3}) 5\d\d\b"
)
ACCESS = 8_000_000  # it is counted, not handed on
MOST_LINES = 4000
UNDATED_BYTES = 100_000
SHOWN = 15
MOST_FILES = 4
MASKS = (
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b|\b0x[0-9a-f]+\b|\b[0-9a-f]{16,}\b", re.IGNORECASE), "#"),
    (re.compile(r"\d+(?:[.:,/T-]\d+)*Z?"), "#"),
    (re.compile(r"\s+"), " "),
)
TROUBLE = re.compile(
    r"(?i)error|fail|fatal|critical|exception|panic|refused|timed? ?out|denied|unhandled|emerg|alert|\b5\d\d\b"
)
ACCESS = re.compile(r'^(\S+) .*?\[([^\]]+)\] "(?:(\w+) )?([^ "?]*)[^"]*" (\d{3}) ')
# The journal's identifiers and Docker's are words of the manager; a path is a path of the host.
NAME = re.compile(r"[A-Za-z0-9][\w.@:\-]*")


def log(options: dict[str, Any]) -> Found:
    """Collect a log since a time, whoever keeps it."""
    since = float(options["since"])
    if options.get("unit"):
        said = read_program(
            [*JOURNAL, f"--unit={options['unit']}", f"--since=@{int(since)}"], most_bytes=4 * MOST_BYTES
        )
        return told(said.text, said.cut)
    if options.get("system"):
        said = read_program([*JOURNAL, "-p", "warning", f"--since=@{int(since)}"], most_bytes=4 * MOST_BYTES)
        return told(said.text, said.cut)
    if options.get("glob"):
        newest = sorted(glob.glob(options["glob"]), key=lambda path: Path(path).stat().st_mtime)  # noqa: PTH207  # an absolute pattern
        paths = newest[-MOST_FILES:]
    else:
        paths = [options["path"]] if options.get("path") else pm2_paths(options["pm2"], options.get("user"))
    parts, cut = [], False
    for path in paths:
        text, was_cut = read_since(path, since)
        cut = cut or was_cut
        parts.append(f"== {path}\n{text}" if len(paths) > 1 else text)
    return told("\n".join(parts), cut)


JOURNAL = ["journalctl", "--no-pager", "-q", "-o", "short-iso", "-n", str(MOST_LINES)]


def pm2_paths(app: str, user: str | None) -> list[str]:
    """Return the files that PM2 writes an application's output to.

    :raises ProbeError: there are none.
    """
    folder = Path(os.path.expanduser(f"~{user or ''}/.pm2/logs"))  # noqa: PTH111  # of another user
    own = re.compile(re.escape(re.sub(r"[^a-zA-Z0-9-]", "-", app)) + r"-(?:error|out)(?:-\d+)?\.log")
    names = sorted(entry.name for entry in folder.iterdir() if own.fullmatch(entry.name)) if folder.is_dir() else []
    if not names:
        raise ProbeError(f"{folder} holds no log of {app}")
    return [f"{folder}/{name}" for name in names]


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


def access(options: dict[str, Any]) -> Found:
    """Collect who asked a web server for what, and how it answered, minute by minute."""
    text, cut = read_since(options["path"], float(options["since"]), MOST_OF_ACCESS)
    minutes: dict[str, Counter[str]] = {}
    remotes: Counter[str] = Counter()
    failing: Counter[tuple[str, str]] = Counter()
    count = 0
    for line in text.splitlines():
        met = ACCESS.match(line)
        if not met:
            continue
        count += 1
        minutes.setdefault(met[2][:17], Counter())[f"{met[5][0]}xx"] += 1
        remotes[met[1]] += 1
        if met[5][0] == "5" or met[5] in ("408", "429", "499"):
            failing[met[5], f"{met[3] or '?'} {met[4]}"] += 1
    classes = ("2xx", "3xx", "4xx", "5xx")
    rows = [[minute, *(counts[one] for one in classes)] for minute, counts in list(minutes.items())[-60:]]
    failed = sum(counts["5xx"] for counts in minutes.values())
    note = (
        f"{count} requests from {len(remotes)} addresses, {failed} failed ({100 * failed / count:.1f} %)"
        if count
        else "no request"
    )
    parts = [note, "By minute\n" + table(["minute", *classes], rows), "Most active\n" + table(["remote", "requests"], remotes.most_common(SHOWN)),
             "Failing\n" + table(["status", "request", "times"], [(*key, n) for key, n in failing.most_common(SHOWN)])]  # fmt: skip
    return Found(
        "\n\n".join(parts), note=note + (f", of the last {human_size(MOST_OF_ACCESS)} only" if cut else ""), cut=cut
    )


def container_log(options: dict[str, Any]) -> Found:
    """Collect what the containers of a Compose service wrote."""
    filters = [f"--filter=label=com.docker.compose.{key}={options[key]}" for key in ("project", "service")]
    if options.get("container"):
        filters = [f"--filter=name=^/?{re.escape(options['container'])}$"]
    asked = read_program(["docker", "ps", "--all", "--format={{.Names}}", *filters], timeout_seconds=5)
    names = [name for name in asked.text.split() if NAME.fullmatch(name)]
    if asked.code != 0 or not names:
        said = asked.text.strip().splitlines()[-1:] or ["it has no container"]
        raise ProbeError(f"docker: {said[0]}")
    parts, cut = [], False
    for name in names[:10]:
        argv = [
            "docker",
            "logs",
            "--timestamps",
            f"--since={int(float(options['since']))}",
            f"--tail={MOST_LINES}",
            name,
        ]
        said = read_program(argv, timeout_seconds=6, most_bytes=2 * MOST_BYTES)
        parts.append(f"== {name}\n{said.text}" if len(names) > 1 else said.text)
        cut = cut or said.cut
    return told("\n".join(parts), cut)


def dpkg_lines(path: str, since: float) -> list[tuple[float, str]]:
    """Return time and line of what a log of packages says since a time; rotated and compressed ones belong to it."""
    found = []
    now = time.time()
    for each in (f"{path}.2.gz", f"{path}.1", path):
        if not os.access(each, os.R_OK) or Path(each).stat().st_mtime < since:
            continue
        with gzip.open(each, "rb") if each.endswith(".gz") else Path(each).open("rb") as file:
            for line in file.read(16 << 20).splitlines():
                at = line_time(line, now)
                if at is not None and at >= since:
                    found.append((at, line.decode("utf-8", "replace")))
    return found
