# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel says about processes and files, read from /proc. It judges nothing. Private to this collection."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")  # the kernel tells when a process was started rounded down to one
MOST_FILES = 20_000  # a configuration is a handful of files; a whole disk named by mistake must not be walked


@dataclass(frozen=True)
class Process:
    """One process as it was when it was looked at."""

    pid: int
    parent: int
    name: str  # the kernel's, cut at 15 characters
    started_at: float  # seconds since 1970
    memory_bytes: int  # resident
    cgroups: tuple[str, ...]
    title: str  # command line, or what the process made of it


def boot_time() -> float:
    """Return when the machine was booted, in seconds since 1970. /proc/stat gives it in whole seconds only."""
    # Who is held up between the two clocks sees it too early, never too late.
    return max(time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) for _look in range(3))


def processes() -> dict[int, Process]:
    """Return all processes by their number."""
    booted, page = boot_time(), os.sysconf("SC_PAGE_SIZE")
    found = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                found[int(entry.name)] = _process(entry, booted, page)
            except (OSError, ValueError, IndexError):  # it has just ended
                continue
    return found


def _process(entry: Path, booted: float, page: int) -> Process:
    # The name stands in parentheses and may hold any character, parentheses and blanks too.
    head, _parenthesis, tail = (entry / "stat").read_text(errors="replace").rpartition(")")
    fields = tail.split()
    cgroups = (entry / "cgroup").read_text(errors="replace").splitlines()
    return Process(
        pid=int(entry.name),
        parent=int(fields[1]),
        name=head.partition("(")[2],
        started_at=booted + int(fields[19]) * TICK_SECONDS,
        memory_bytes=int(fields[21]) * page,
        cgroups=tuple(line.split(":", 2)[2] for line in cgroups),
        title=(entry / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ").strip(),
    )


def with_descendants(pids: Iterable[int], among: dict[int, Process]) -> list[int]:
    """Return those of ``pids`` that live, and all they have started, in order."""
    children: dict[int, list[int]] = {}
    for process in among.values():
        children.setdefault(process.parent, []).append(process.pid)
    found, left = set(), [pid for pid in pids if pid in among]
    while left:
        pid = left.pop()
        if pid not in found:
            found.add(pid)
            left += children.get(pid, [])
    return sorted(found)


def in_cgroup(path: str, among: dict[int, Process]) -> list[int]:
    """Return the processes in the control group ``path``, or below it."""
    if path in ("", "/"):
        return []
    below = path + "/"
    return sorted(
        process.pid
        for process in among.values()
        if any(group == path or group.startswith(below) for group in process.cgroups)
    )


def maps(pid: int) -> str | None:
    """Return what a process has mapped, or None where this account may not see it.

    Root may, except in a container without CAP_SYS_PTRACE. A process that has ended has mapped nothing.
    """
    try:
        return (PROC / str(pid) / "maps").read_text(errors="replace")
    except PermissionError:
        return None
    except OSError:
        return ""


def newest_change(paths: Iterable[str]) -> tuple[float, str] | None:
    """Return when, in seconds since 1970, a file at or below ``paths`` was last changed, and which; None without files.

    The time is that of the change on this disk: packages and copies keep the time of the content. Of a directory it is
    that of the last name that came or went.
    """
    newest = None
    for count, (path, changed_at) in enumerate(each_change(paths)):
        if newest is None or changed_at > newest[0]:
            newest = (changed_at, path)
        if count >= MOST_FILES:
            break
    return newest


def each_change(paths: Iterable[str]) -> Iterator[tuple[str, float]]:
    """Yield every file and directory at or below ``paths`` with the time of its last change; links to files count."""
    for path in paths:
        for directory, _names, files in os.walk(path):
            yield from _change(directory, of_content=True)
            for name in files:
                yield from _change(str(Path(directory, name)))
        if not Path(path).is_dir():
            yield from _change(path)


def _change(path: str, *, of_content: bool = False) -> Iterator[tuple[str, float]]:
    try:
        status = os.stat(path)  # noqa: PTH116  (half the time of a Path, for thousands of files)
    except OSError:  # a dangling link, or gone since
        return
    yield path, status.st_mtime if of_content else status.st_ctime
