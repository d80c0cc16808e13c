# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be done to bring the backup jobs of a host to a state, and what is there then. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._backup_schedule import MARK
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change
from ansible_collections.runbook.ops.plugins.module_utils._engine_file import (
    ETC,
    LIB,
    UNITS,
    File,
    reinstate,
    retire,
    retired,
)

SECTION = "Backups"
CONFIG, SECRETS = f"{ETC}/backup.json", f"{ETC}/backup.secrets.json"


@dataclass(frozen=True)
class Installed:
    """All that matters of the backup jobs on a host, by paths below its root."""

    files: Mapping[str, File] = field(default_factory=dict)
    current: str | None = None  # name of the engine that the link for people points to
    timers: Sequence[str] = ()  # those that are enabled and run
    crontabs: Mapping[str, str] = field(default_factory=dict)
    leftovers: Sequence[str] = ()  # what systemd remembers of the timers

    @property
    def units(self) -> list[str]:
        """The timers that there is a file of."""
        return sorted(path[len(UNITS) + 1 :] for path in self.files if path.endswith(".timer"))


class Step(NamedTuple):
    """One thing to do: a verb, and what it is done to."""

    verb: str
    path: str = ""
    content: Any = None  # a File to write, the text of a crontab


def plan(before: Installed, wanted: Installed, *, replaces: Sequence[str], replace_cron: bool) -> list[Step]:
    """Return the steps, in order, from ``before`` to ``wanted``, which is nothing where the jobs are to go.

    What a kill between two of them leaves behind is what another run takes up. A line of cron goes after the timer that takes its
    place runs, and comes back before that goes: there is never a night without both.
    """
    crontabs = []
    for path, text in before.crontabs.items():
        if not wanted.files:
            new, _lines = reinstate(text, MARK)
        elif replace_cron:
            new, _lines = retire(text, replaces, MARK)
        else:
            continue
        if new != text:
            crontabs.append(Step("crontab", path, new))
    if wanted.files:
        return [*_install(before, wanted), *crontabs]
    return [*crontabs, *_remove(before)]


def _install(before: Installed, wanted: Installed) -> list[Step]:
    changed = [path for path, file in wanted.files.items() if before.files.get(path) != file]
    # The engine that ran until now stays until the next change: a run that is under way still reads from it.
    keep = (f"{LIB}/{wanted.current}", f"{LIB}/{before.current}")
    old = [path for path in before.files if path not in wanted.files and path not in keep]
    gone = [name for name in before.units if name not in wanted.timers]
    steps = [Step("write", path, wanted.files[path]) for path in changed]
    steps += [Step("link", wanted.current or "")] if before.current != wanted.current else []
    steps += [Step("disable", name) for name in gone]
    # An engine of the last change is no reason for a change of its own.
    steps += [Step("remove", path) for path in old if changed or path.startswith(UNITS)]
    steps += [Step("remove", path) for path in before.leftovers if any(path.endswith(name) for name in gone)]
    units = [step for step in steps if step.path.startswith(UNITS)]
    steps += [Step("reload")] if units else []
    fresh = [name for name in wanted.timers if name not in before.timers or f"{UNITS}/{name}" in changed]
    return steps + [Step("enable", name) for name in fresh]


def _remove(before: Installed) -> list[Step]:
    steps = [Step("disable", name) for name in dict.fromkeys([*before.units, *before.timers])]
    steps += [Step("unlink")] if before.current else []
    steps += [Step("remove", path) for path in (*before.files, *before.leftovers)]
    return steps + ([Step("reload")] if any(path.startswith(UNITS) for path in before.files) else [])


def predict(before: Installed, steps: Sequence[Step]) -> Installed:
    """Return what is there once ``steps`` are done."""
    after = before
    for step in steps:
        if step.verb == "write":
            after = replace(after, files={**after.files, step.path: step.content})
        elif step.verb == "remove":
            rest = {path: file for path, file in after.files.items() if path != step.path}
            after = replace(after, files=rest, leftovers=[path for path in after.leftovers if path != step.path])
        elif step.verb in ("link", "unlink"):
            after = replace(after, current=step.path or None)
        elif step.verb == "enable":
            after = replace(after, timers=sorted({*after.timers, step.path}))
        elif step.verb == "disable":
            after = replace(after, timers=[name for name in after.timers if name != step.path])
        elif step.verb == "crontab":
            after = replace(after, crontabs={**after.crontabs, step.path: step.content})
    return after


def changes(before: Installed, after: Installed, steps: Sequence[Step]) -> list[dict[str, Any]]:
    """Return what people are told of ``steps``: what became of the jobs, and of each line of cron."""
    found = []
    if [step for step in steps if step.verb != "crontab"]:
        action = ("installed" if not before.current else "changed") if after.current else "removed"
        written = ", ".join(dict.fromkeys(_word(step.path) for step in steps if step.verb == "write"))
        found.append(
            make_change(
                "backup jobs",
                action=action,
                section=SECTION,
                reason=f"new: {written}" if written else "a timer did not run" if after.current else "asked for",
                before=len(before.timers),
                after=len(after.timers),
                unit="timers",
            )
        )
    for step in steps:
        if step.verb == "crontab":
            lines = (retired(step.content, MARK), retired(before.crontabs[step.path], MARK))
            verb = "commented out" if len(lines[0]) > len(lines[1]) else "put back"
            for line in sorted(set(lines[0]) ^ set(lines[1])):
                found.append(make_change(f"/{step.path}", action=verb, section=SECTION, reason=line))
    return found


def _word(path: str) -> str:
    words = {CONFIG: "configuration", SECRETS: "secrets"}
    kind = "timer" if path.endswith(".timer") else "unit"
    return words.get(path) or ("engine" if path.startswith(LIB) else kind if path.startswith(UNITS) else path)


def diff(before: Installed, after: Installed) -> dict[str, str]:
    """Return both as text: engines by their name, secrets not at all, all else as it is written."""
    return {"before": _text(before), "after": _text(after)}


def _text(one: Installed) -> str:
    parts = []
    for path, file in sorted(one.files.items()):
        if not path.startswith(LIB):
            content = "(secret)\n" if path == SECRETS else file.content.decode("utf-8", "replace")
            parts.append(f"# /{path} ({file.mode:04o})\n{content}")
    parts += [f"# /{path}: {line}\n" for path, text in sorted(one.crontabs.items()) for line in retired(text, MARK)]
    parts += [f"engine: {one.current}\n"] if one.current else []
    return "".join([*parts, *(f"{name}: enabled, running\n" for name in sorted(one.timers))])
