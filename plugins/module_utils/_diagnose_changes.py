# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What changed lately: packages, logins, releases, configuration, runs of playbooks. Private to this collection."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import re
import time
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._diagnose import Found, event
from ansible_collections.runbook.ops.plugins.module_utils._diagnose_logs import read_since
from ansible_collections.runbook.ops.plugins.module_utils._diagnose_program import read_program
from ansible_collections.runbook.ops.plugins.module_utils._log_times import line_time
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError
from ansible_collections.runbook.ops.plugins.module_utils._proc import each_change

MOST_FILES = 50_000
MOST_CONFIGURATION = 100
PACKAGE = re.compile(r" (install|upgrade|remove|purge) (\S+) (\S+) (\S+)$")
LOGIN = re.compile(r"Accepted (\S+) for (\S+) from (\S+)")
COMMAND = re.compile(r"sudo(?:\[\d+\])?:\s+(\S+) : .*?USER=(\S+) ; COMMAND=(.*)$")
# What changes by itself every day, and says nothing.
QUIET = re.compile(
    r"^/etc/(?:alternatives/.*|mtab|resolv\.conf|adjtime|ld\.so\.cache|cups/subscriptions.*|\.pwd\.lock)$|\.(?:swp|dpkg-\w+)$"
)
RUNS = 20


def listed(events: list[dict[str, Any]], nothing: str) -> Found:
    lines = [f"{stamp(one['at'])}  {one['what']}  {one['text']}" for one in sorted(events, key=lambda one: -one["at"])]
    return Found("\n".join(lines) or nothing, note=f"{len(events)} since then" if events else nothing, events=events)


def stamp(at: float) -> str:
    """Return a time as people read it, in UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(at))


def packages(options: dict[str, Any]) -> Found:
    """Collect packages that were installed, upgraded or removed."""
    events = []
    for at, line in dpkg_lines("/var/log/dpkg.log", float(options["changes_since"])):
        met = PACKAGE.search(line)
        if met:
            text = (
                f"{met[2]} {met[3]} → {met[4]}"
                if met[1] == "upgrade"
                else f"{met[2]} {met[4] if met[1] == 'install' else met[3]}"
            )
            events.append(event(at, met[1], text))
    return listed(events, "no package changed")


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


def logins(options: dict[str, Any]) -> Found:
    """Collect who logged in over SSH, and which commands were run by sudo."""
    since = float(options["changes_since"])
    argv = [
        "journalctl",
        "--no-pager",
        "-q",
        "-o",
        "short-unix",
        "-n",
        "5000",
        f"--since=@{int(since)}",
        "-t",
        "sshd",
        "-t",
        "sshd-session",
        "-t",
        "sudo",
    ]
    try:
        lines = read_program(argv).text.splitlines()
    except ProbeError:
        lines = []
    events = [found for line in lines if (found := login(line, _number(line)))]
    if not events and Path("/var/log/auth.log").exists():
        text, _cut = read_since("/var/log/auth.log", since)
        now = time.time()
        events = [found for line in text.splitlines() if (found := login(line, line_time(line.encode(), now)))]
    return listed(_grouped(events), "no login")


def login(line: str, at: float | None) -> dict[str, Any] | None:
    """Return what a line of the log of logins tells, None where that is nothing."""
    if at is None:
        return None
    if met := LOGIN.search(line):
        return event(at, "login", f"{met[2]} from {met[3]} by {met[1]}")
    if met := COMMAND.search(line):
        # A task of a playbook is one of very many, and its words say nothing.
        said = "a task of Ansible" if "BECOME-SUCCESS-" in met[3] else met[3]
        return event(at, "sudo", f"{met[1]} as {met[2]}: {said}")
    return None


def _grouped(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the last event of each kind with how many there were: a monitor logs in every minute."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for one in events:
        groups.setdefault((one["what"], one["text"]), []).append(one)
    return [
        {**max(group, key=lambda one: one["at"]), "text": text + (f" ({len(group)} times)" if len(group) > 1 else "")}
        for (_what, text), group in groups.items()
    ]


def _number(line: str) -> float | None:
    met = re.match(r"(\d+(?:\.\d+)?)\s", line)
    return float(met[1]) if met else None


def configuration(options: dict[str, Any]) -> Found:
    """Collect files of configuration that were changed."""
    since = float(options["changes_since"])
    places = dict.fromkeys(["/etc", *(options.get("paths") or [])])
    events = [
        event(at, "configuration", path)
        for path, at in itertools.islice(each_change(places), MOST_FILES)
        if at >= since and not QUIET.search(path) and Path(path).is_file()
    ]
    newest = sorted(events, key=lambda one: -one["at"])[:MOST_CONFIGURATION]
    found = listed(newest, "no file of configuration changed")
    note = f"{len(events)} files changed" if events else found.note
    return Found(found.text, note=note, cut=len(events) > len(newest), events=by_directory(newest))


def by_directory(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return files that were changed in the same minute, below the same directory of /etc for example, as one event."""
    groups: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for one in events:
        place = "/".join(one["text"].split("/")[:3]) if one["text"].count("/") > 2 else one["text"].rpartition("/")[0]
        groups.setdefault((one["at"] // 60, place), []).append(one)
    return [
        {
            **group[0],
            "text": group[0]["text"]
            if len(group) == 1
            else f"{len(group)} files in {place}, the last is {group[0]['text']}",
        }
        for (_minute, place), group in groups.items()
    ]


def runs(options: dict[str, Any]) -> Found:
    """Collect the last runs of playbooks that this host keeps records of."""
    folder = Path(options.get("directory") or "/var/lib/runbook-ops/runs")
    if not folder.is_dir():
        return Found(f"{folder} does not exist: no run was recorded here", note="no run was recorded here")
    events = []
    for path in sorted(folder.glob("*.json"))[-RUNS:]:
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            at = line_time(str(record["started_at"]).encode(), time.time()) or path.stat().st_mtime
            changed = len(record.get("changes") or [])
            events.append(
                event(
                    at, "run", f"{record['playbook']} by {record['who']['user']}: {record['status']}, {changed} changes"
                )
            )
        except (OSError, ValueError, KeyError, TypeError):
            events.append(event(path.stat().st_mtime, "run", f"{path.name} (cannot be read)"))
    return listed(events, "no run was recorded here")
