# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be done to bring the monitor of a host to a state, and what is there then. Private to this collection."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change
from ansible_collections.runbook.ops.plugins.module_utils._engine_file import ETC, LIB, UNITS, File, retired
from ansible_collections.runbook.ops.plugins.module_utils._monitor_install import MARK, reinstate, retire

CONFIG, SECRETS = f"{ETC}/monitor.json", f"{ETC}/monitor.secrets.json"
HIDDEN = {SECRETS: "the secrets"}


@dataclass(frozen=True)
class Installed:
    """All that matters of the monitor on a host, by paths below its root."""

    files: Mapping[str, File] = field(default_factory=dict)
    current: str | None = None  # name of the engine that the link for people points to
    enabled: bool = False  # the timer comes back after a reboot
    active: bool = False  # the timer runs now
    crontabs: Mapping[str, str] = field(default_factory=dict)
    leftovers: Sequence[str] = ()  # what it keeps and what it wrote, beside the above


class Step(NamedTuple):
    """One thing to do: a verb, and what it is done to."""

    verb: str
    path: str = ""
    content: Any = None  # a File to write, the text of a crontab


def plan(before: Installed, wanted: Installed, *, replaces: Sequence[str], replace_cron: bool) -> list[Step]:
    """Return the steps, in order, from ``before`` to ``wanted``, which is nothing where the monitor is to go.

    What a kill between two of them leaves behind is what another run takes up: the timer comes last, and goes first.
    """
    steps = _install(before, wanted) if wanted.files else _remove(before)
    for path, text in before.crontabs.items():
        if not wanted.files:
            new, _lines = reinstate(text)
        elif replace_cron:
            new, _lines = retire(text, replaces)
        else:
            continue
        if new != text:
            steps.append(Step("crontab", path, new))
    return steps


def _install(before: Installed, wanted: Installed) -> list[Step]:
    changed = [path for path, file in wanted.files.items() if before.files.get(path) != file]
    # The engine that ran until now stays until the next change: a run that is under way still reads from it.
    keep = (f"{LIB}/{wanted.current}", f"{LIB}/{before.current}")
    metrics = json.loads(wanted.files[CONFIG].content)["textfile"]
    old = [path for path in before.files if path not in wanted.files and path not in keep]
    old += [path for path in before.leftovers if path.endswith(".prom") and f"/{path}" != metrics]
    steps = [Step("write", path, wanted.files[path]) for path in changed]
    steps += [Step("link", wanted.current or "")] if before.current != wanted.current else []
    steps += [Step("reload")] if any(path.startswith(UNITS) for path in changed) else []
    timer = not (before.enabled and before.active) or any(path.endswith(".timer") for path in changed)
    steps += [Step("enable")] if timer else []
    steps += [Step("run")] if changed else []
    return steps + [Step("remove", path) for path in old if changed]


def _remove(before: Installed) -> list[Step]:
    there = [*before.files, *before.leftovers]
    steps = [Step("disable")] if before.enabled or before.active else []
    steps += [Step("unlink")] if before.current else []
    steps += [Step("remove", path) for path in there]
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
        elif step.verb in ("enable", "disable"):
            after = replace(after, enabled=step.verb == "enable", active=step.verb == "enable")
        elif step.verb == "crontab":
            after = replace(after, crontabs={**after.crontabs, step.path: step.content})
    return after


def changes(before: Installed, after: Installed, steps: Sequence[Step]) -> list[dict[str, Any]]:
    """Return what people are told of ``steps``: what became of the monitor, and of each line of cron."""
    found = []
    if [step for step in steps if step.verb != "crontab"]:
        action = ("installed" if not before.current else "changed") if after.current else "removed"
        written = ", ".join(dict.fromkeys(_word(step.path) for step in steps if step.verb == "write"))
        found.append(
            make_change(
                "monitor",
                action=action,
                section="Monitor",
                reason=f"new: {written}" if written else "its timer did not run" if after.current else "asked for",
                before=before.current,
                after=after.current,
            )
        )
    for step in steps:
        if step.verb == "crontab":
            lines = (retired(step.content, MARK), retired(before.crontabs[step.path], MARK))
            verb = "commented out" if len(lines[0]) > len(lines[1]) else "put back"
            for line in set(lines[0]) ^ set(lines[1]):
                found.append(make_change(f"/{step.path}", action=verb, section="Monitor", reason=line))
    return found


def _word(path: str) -> str:
    words = {CONFIG: "configuration", SECRETS: "secrets"}
    return words.get(path) or ("engine" if path.startswith(LIB) else "timer" if path.startswith(UNITS) else path)


def diff(before: Installed, after: Installed) -> dict[str, str]:
    """Return both as text: engines by their name, secrets not at all, all else as it is written."""
    return {"before": _text(before), "after": _text(after)}


def _text(one: Installed) -> str:
    parts = []
    for path, file in sorted(one.files.items()):
        if not path.startswith(LIB):
            content = "(secret)\n" if path in HIDDEN else file.content.decode("utf-8", "replace")
            parts.append(f"# /{path} ({file.mode:04o})\n{content}")
    parts += [f"# /{path}: {line}\n" for path, text in sorted(one.crontabs.items()) for line in retired(text, MARK)]
    parts += [f"engine: {one.current}\n"] if one.current else []
    parts += ["timer: enabled, running\n"] if one.enabled and one.active else []
    return "".join(parts)
