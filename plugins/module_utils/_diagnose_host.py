# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host itself: processes, memory, disks, units, kernel, network, versions. Private to this collection."""

from __future__ import annotations

import os
import pwd
import re
import stat
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._diagnose import Found, event, table
from ansible_collections.runbook.ops.plugins.module_utils._diagnose_program import output_of, read_program
from ansible_collections.runbook.ops.plugins.module_utils._proc import PROC, boot_time, processes
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration, human_size

SHOWN = 15
LARGE_BYTES = 10_000_000
KILLED = re.compile(r"^(\S+) .*?(Out of memory: .*|Memory cgroup out of memory: .*|oom-kill:.*)$", re.MULTILINE)


def load(_options: dict[str, Any]) -> Found:
    """Collect load, pressure, and the busiest processes of one second."""
    before, began = _ticks(), time.monotonic()
    time.sleep(1.0)
    after, passed = _ticks(), time.monotonic() - began
    found = processes()
    per_second = os.sysconf("SC_CLK_TCK") * passed
    busy = {pid: 100 * (ticks - before.get(pid, (ticks, ""))[0]) / per_second for pid, (ticks, _state) in after.items()}
    states = Counter(state for _ticks, state in after.values())
    now = time.time()

    def rows(order: list[int]) -> list[list[Any]]:
        return [
            [pid, _owner(pid), round(busy.get(pid, 0), 1), human_size(found[pid].memory_bytes), after.get(pid, (0, "?"))[1],
             human_duration(max(0, round(now - found[pid].started_at))), found[pid].title or f"[{found[pid].name}]"]
            for pid in order
        ]  # fmt: skip

    heads = ["pid", "user", "cpu %", "memory", "state", "age", "command"]
    by_cpu = sorted(found, key=lambda pid: -busy.get(pid, 0))[:SHOWN]
    by_memory = sorted(found, key=lambda pid: -found[pid].memory_bytes)[:SHOWN]
    stuck = [pid for pid in found if after.get(pid, (0, ""))[1] == "D"][:SHOWN]
    averages = " ".join(f"{value:.2f}" for value in os.getloadavg())
    note = f"load {averages} on {os.cpu_count()} processors; {states['R']} processes run, {states['D']} wait for a disk"
    parts = [note, *_pressure(), "Busiest\n" + table(heads, rows(by_cpu)), "Largest\n" + table(heads, rows(by_memory))]
    if stuck:
        parts.append("Waiting for a disk\n" + table(heads, rows(stuck)))
    return Found("\n\n".join(parts), note=note)


def _ticks() -> dict[int, tuple[int, str]]:
    found = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
            except OSError:
                continue
            found[int(entry.name)] = (int(fields[11]) + int(fields[12]), fields[0])
    return found


def _owner(pid: int) -> str:
    try:
        owner = (PROC / str(pid)).stat().st_uid
        return pwd.getpwuid(owner).pw_name
    except (OSError, KeyError):
        return "?"


def _pressure() -> list[str]:
    lines = []
    for name in ("cpu", "memory", "io"):
        try:
            lines += [f"{name} {line}" for line in (PROC / "pressure" / name).read_text().splitlines()]
        except OSError:  # a kernel without it, or with it switched off
            continue
    return ["Pressure (percent of the time that tasks waited)\n" + "\n".join(lines)] if lines else []


def memory(_options: dict[str, Any]) -> Found:
    """Collect what the kernel says of its memory, and how often it killed for want of it."""
    text = (PROC / "meminfo").read_text()
    kilobytes = {key: int(value) for key, value in re.findall(r"(?m)^([\w()]+):\s+(\d+)", text)}
    total, available = kilobytes.get("MemTotal", 0), kilobytes.get("MemAvailable", 0)
    kills = re.search(r"(?m)^oom_kill (\d+)", (PROC / "vmstat").read_text())
    note = (
        f"{human_size(available * 1024)} of {human_size(total * 1024)} available, swap "
        f"{human_size((kilobytes.get('SwapTotal', 0) - kilobytes.get('SwapFree', 0)) * 1024)} of "
        f"{human_size(kilobytes.get('SwapTotal', 0) * 1024)} used, {kills[1] if kills else '?'} processes killed since the boot"
    )
    return Found(f"{note}\n\n{text}", note=note)


def disk(_options: dict[str, Any]) -> Found:
    """Collect space and inodes, deleted files that still take room, and the largest logs."""
    parts = [
        output_of(["df", "-hlT", "-x", "tmpfs", "-x", "devtmpfs"]),
        output_of(["df", "-hli", "-x", "tmpfs", "-x", "devtmpfs"]),
    ]
    # What a container engine has mounted for each container is the same disk again.
    parts = ["\n".join(line for line in part.splitlines() if not line.endswith("/merged")) for part in parts]
    full = [line for line in parts[0].splitlines()[1:] if re.search(r"\b(?:9\d|100)% ", line)]
    deleted = sorted(_deleted(time.monotonic() + 2), reverse=True)[:SHOWN]
    rows = [[human_size(size), pid, name] for size, pid, name in deleted]
    parts.append("Deleted, and held open\n" + (table(["size", "pid", "file"], rows) if rows else "none above 10 MB"))
    logs = sorted(_files("/var/log", time.monotonic() + 2), reverse=True)[:SHOWN]
    parts.append("Largest logs\n" + table(["size", "file"], [[human_size(size), path] for size, path in logs]))
    note = f"nearly full: {', '.join(line.split()[-1] for line in full)}" if full else "no file system above 90 %"
    if deleted:
        note += f"; {human_size(sum(size for size, _pid, _name in deleted))} in deleted files that are held open"
    return Found("\n\n".join(parts), note=note)


def _deleted(end: float) -> Iterator[tuple[int, int, str]]:
    for entry in PROC.iterdir():
        if not entry.name.isdigit() or time.monotonic() > end:
            continue
        try:
            for link in (entry / "fd").iterdir():
                name = os.readlink(link)  # noqa: PTH115  # not a path of this file system
                if name.startswith("/") and name.endswith(" (deleted)") and not name.startswith(("/dev/", "/memfd:")):
                    status = link.stat()
                    if stat.S_ISREG(status.st_mode) and status.st_blocks * 512 > LARGE_BYTES:
                        yield status.st_blocks * 512, int(entry.name), name
        except OSError:
            continue


def _files(root: str, end: float) -> Iterator[tuple[int, str]]:
    for directory, _names, files in os.walk(root):
        for name in files:
            try:
                status = Path(directory, name).lstat()
            except OSError:
                continue
            yield status.st_blocks * 512, f"{directory}/{name}"
        if time.monotonic() > end:
            return


def units(options: dict[str, Any]) -> Found:
    """Collect units that failed, with their last words, jobs that wait, and timers."""
    failed = output_of(["systemctl", "list-units", "--failed", "--plain", "--no-legend", "--full", "--no-pager"])
    names = [line.split()[0] for line in failed.splitlines() if line.strip()]
    parts = ["Failed\n" + (failed.strip() or "none")]
    if names:
        named = [argument for name in names[:20] for argument in ("-u", name)]
        journal = ["journalctl", "--no-pager", "-q", "-o", "short-iso", "-n", "200", *named]
        parts.append("Their last words\n" + read_program([*journal, f"--since=@{options['since']}"]).text)
    for title, argv in (
        ("Jobs", ["systemctl", "list-jobs", "--no-pager"]),
        ("Timers", ["systemctl", "list-timers", "--all", "--no-pager"]),
    ):
        parts.append(f"{title}\n{read_program(argv).text}")
    return Found("\n\n".join(parts), note=f"{len(names)} failed: {', '.join(names[:5])}" if names else "none failed")


def kernel(options: dict[str, Any]) -> Found:
    """Collect what the kernel warned of, boots, and processes that it killed for want of memory."""
    # Without a journal of the kernel, in a container for example, the ring buffer may still speak.
    said = read_program(
        [
            "journalctl",
            "-k",
            "--no-pager",
            "-q",
            "-o",
            "short-unix",
            "-p",
            "warning",
            "-n",
            "500",
            f"--since=@{options['changes_since']}",
        ]
    )
    booted = boot_time()
    kills = [event(float(met[1]), "killed", met[2]) for met in KILLED.finditer(said.text) if _is_number(met[1])]
    boots = read_program(["journalctl", "--list-boots", "--no-pager", "-q"], timeout_seconds=4).text.splitlines()[-10:]
    since = human_duration(max(0, time.time() - booted))
    note = f"up for {since}; {len(kills)} messages of processes killed for want of memory"
    text = f"{note}\n\nBoots\n" + "\n".join(boots) + "\n\nWarnings of the kernel\n" + (said.text.strip() or "none")
    return Found(text, note=note, cut=said.cut, events=[event(booted, "boot", "the host was started"), *kills])


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"\d+(\.\d+)?", text))
