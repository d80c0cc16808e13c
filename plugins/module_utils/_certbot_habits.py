# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who else renews on a host, and what hooks do when it happens. Private to this collection."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._certbot import SECTION
from ansible_collections.runbook.ops.plugins.module_utils._certbot_files import Known
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check

TIMERS = ("certbot.timer", "snap.certbot.renew.timer")
SERVICES = ("certbot.service", "snap.certbot.renew.service")
CRONTABS = ("etc/crontab", "etc/cron.d/*", "var/spool/cron/crontabs/*", "etc/cron.hourly/*", "etc/cron.daily/*",
            "etc/cron.weekly/*", "etc/cron.monthly/*")  # fmt: skip
RENEWS = re.compile(r"\bcertbot(?:-auto)?\b[^\n]*\brenew\b(?![^\n]*--dry-run)")
NOT_HERE = "-d /run/systemd/system"  # the guard of Debian's own line: it runs only where systemd does not
CUTS = re.compile(
    r"\b(?:(?:systemctl|docker|docker-compose|podman|supervisorctl|rc-service)\b[^\n;|&]*?\b(?P<verb>restart|stop)\b"
    r"|service\s+\S+\s+(?P<old>restart|stop)\b)"
)
BEFORE = ("pre_hook", "renewal-hooks/pre/")
KINDS = {"pre": "pre_hook", "post": "post_hook", "deploy": "renew_hook"}


class Habits(NamedTuple):
    """What was found on a host."""

    timers: list[str]  # that are on
    failed: list[str]  # services of theirs whose last run failed
    lines: list[str]  # of cron that renew, each after its file
    hooks: dict[str, tuple[str, bool]]  # files of renewal-hooks, by kind/name: text, and whether certbot can run it


def look(root: Path, config: Path, *, systemctl: Callable[..., str] | None) -> Habits:
    """Return what renews on this host."""
    timers, failed = [], []
    booted = (root / "run/systemd/system").is_dir()  # else systemctl, though it is installed, fails
    told = systemctl("show", "--property=Id,ActiveState,Result", *TIMERS, *SERVICES) if systemctl and booted else ""
    for block in told.split("\n\n"):
        unit = dict(line.partition("=")[::2] for line in block.splitlines())
        if unit.get("Id") in TIMERS and unit.get("ActiveState") == "active":
            timers.append(unit["Id"])
        if unit.get("Id") in SERVICES and unit.get("Result", "success") != "success":
            failed.append(unit["Id"])
    lines = []
    for path in sorted(path for pattern in CRONTABS for path in root.glob(pattern) if path.is_file()):
        lines += [f"/{path.relative_to(root)}" for line in _text(path).splitlines() if renews(line, has_systemd=booted)]
    hooks = {
        f"{kind}/{path.name}": (_text(path), os.access(path, os.X_OK))
        for kind in KINDS
        for path in sorted((config / "renewal-hooks" / kind).glob("*"))
        if path.is_file() and not path.name.endswith("~")
    }
    return Habits(timers, failed, lines, hooks)


def renews(line: str, *, has_systemd: bool) -> bool:
    """Return whether a line of a crontab, or of a script, renews certificates."""
    if line.lstrip().startswith("#") or not RENEWS.search(line):
        return False
    return not (has_systemd and NOT_HERE in line)


def judge_timers(habits: Habits, *, scheduled: bool) -> dict[str, Any]:
    """Return whether exactly one thing renews by itself.

    :param scheduled: whether the calendar does
    """
    found = [*habits.timers, *habits.lines]
    status, remedy, detail = "ok", None, ", ".join(found) or "the calendar renews"
    if not found and not scheduled:
        status, detail = "critical", "nothing renews by itself: no timer of certbot is on, and no line of cron renews"
        remedy = "systemctl enable --now certbot.timer"
    elif len(found) > 1:
        status = "warning"
        detail = f"{' and '.join(found)} renew: they run into each other's lock, and the hooks of both run"
        remedy = "keep one of them"
    if habits.failed and status == "ok":
        status, detail = "warning", f"{detail}; the last run of {', '.join(habits.failed)} failed"
        remedy = f"journalctl -u {habits.failed[0]} -n 50"
    return make_check(
        "certificate_timers",
        name="who renews",
        section=SECTION,
        status=status,
        value=len(found),
        unit="renewers",
        limit=1,
        detail=detail,
        remedy=remedy,
    )


def judge_hooks(name: str, known: Known, habits: Habits, *, served: bool, failed: Sequence[str]) -> dict[str, Any]:
    """Return what its hooks would do, and which of them failed just now.

    :param served: whether a server is known that has to load it
    """
    problems = [f"{hook} failed: certbot goes on all the same" for hook in failed]
    hooks = _hooks_of(known.values, habits.hooks)
    for place, text in hooks.items():
        cut = CUTS.search(text)
        if cut:
            problems.append(
                f"{place} has a {cut['verb'] or cut['old']} in it, which cuts connections off: reload instead"
            )
    for place, (_text_of, runs) in habits.hooks.items():
        if not runs:
            problems.append(f"renewal-hooks/{place} is not executable: certbot passes it over")
    loads = known.values.get("installer") or any(not place.startswith(BEFORE) for place in hooks)
    if served and not loads and (habits.timers or habits.lines):
        problems.append("nothing has the server load it after a renewal by the timer")
    return make_check(
        f"certificate_hooks:{name}",
        name=f"Hooks of {name}",
        section=SECTION,
        status="warning" if problems else "ok",
        value=len(problems),
        unit="problems",
        limit=0,
        detail="; ".join(problems) or ", ".join(hooks) or "none",
        remedy="a file in /etc/letsencrypt/renewal-hooks/deploy that says: nginx -t && nginx -s reload",
    )


def _hooks_of(values: Mapping[str, str], files: Mapping[str, tuple[str, bool]]) -> dict[str, str]:
    """Return the commands that certbot runs for a lineage, by where they stand."""
    found = {key: values[key] for key in KINDS.values() if key in values}
    for place, (text, runs) in files.items():
        if runs:
            lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
            found[f"renewal-hooks/{place}"] = "\n".join(lines)
    return found


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace")
