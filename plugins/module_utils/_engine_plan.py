# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be done to bring an engine, its timers and the lines of cron that it replaces to a state. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change
from ansible_collections.runbook.ops.plugins.module_utils._engine_file import (
    LIB,
    UNITS,
    File,
    has_users,
    reinstate,
    retire,
    retired,
)
from ansible_collections.runbook.ops.plugins.module_utils._redact import Redactor


@dataclass(frozen=True)
class Installed:
    """All that matters of an engine on a host, by paths below its root."""

    files: Mapping[str, File] = field(default_factory=dict)
    current: str | None = None  # name of the engine that the link for people points to
    timers: Sequence[str] = ()  # those that are enabled and run
    crontabs: Mapping[str, str] = field(default_factory=dict)
    leftovers: Sequence[str] = ()  # what it keeps, and what systemd remembers of the timers
    partials: Sequence[str] = ()  # what a run left that was killed while it wrote
    stale: Sequence[str] = ()  # units whose files were written, or taken away, since systemd read them

    @property
    def units(self) -> list[str]:
        """The timers that there is a file of."""
        return sorted(path[len(UNITS) + 1 :] for path in self.files if path.endswith(".timer"))


class Step(NamedTuple):
    """One thing to do: a verb, and what it is done to."""

    verb: str
    path: str = ""
    content: Any = None  # a File to write, the text of a crontab


class Cron(NamedTuple):
    """Which lines of cron an engine takes the place of."""

    mark: str  # what comments one out
    replaces: Sequence[str]  # programs
    replace: bool  # do it


def plan(before: Installed, wanted: Installed, cron: Cron) -> list[Step]:
    """Return the steps, in order, from ``before`` to ``wanted``, which is nothing where the engine is to go.

    What a kill between two of them leaves behind is what another run takes up. A line of cron goes after the timer that takes its
    place runs, and comes back before that goes: there is never a night without both.
    """
    if wanted.files:
        return [*_install(before, wanted), *_crontabs(before, cron, is_wanted=True)]
    return [*_crontabs(before, cron, is_wanted=False), *_remove(before)]


def _crontabs(before: Installed, cron: Cron, *, is_wanted: bool) -> list[Step]:
    steps = []
    for path, text in before.crontabs.items():
        if is_wanted and not cron.replace:
            continue  # what was commented out once stays so
        new, _back = reinstate(text, cron.mark)
        if is_wanted:  # a program that is replaced no longer is back by this
            new, _gone = retire(new, cron.replaces, cron.mark, users=has_users(path))
        if new != text:
            steps.append(Step("crontab", path, new))
    return steps


def _install(before: Installed, wanted: Installed) -> list[Step]:
    changed = [path for path, file in wanted.files.items() if before.files.get(path) != file]
    # The engine that ran until now stays until the next change: a run that is under way still reads from it.
    keep = (f"{LIB}/{wanted.current}", f"{LIB}/{before.current}")
    old = [path for path in before.files if path not in wanted.files and path not in keep]
    gone = [name for name in before.units if name not in wanted.timers]
    steps = [Step("remove", path) for path in before.partials]
    # First, so that what a kill leaves is a timer that does not run: the next run goes through all of it again.
    steps += [Step("rebase", name) for name in wanted.timers if _moves(name, before, wanted)]
    steps += [Step("write", path, wanted.files[path]) for path in changed]
    steps += [Step("link", wanted.current or "")] if before.current != wanted.current else []
    steps += [Step("disable", name) for name in gone]
    # An engine of the last change is no reason for a change of its own.
    steps += [Step("remove", path) for path in old if changed or path.startswith(UNITS)]
    steps += [Step("remove", path) for path in before.leftovers if any(path.endswith(name) for name in gone)]
    has_units = any(step.path.startswith(UNITS) for step in steps)
    steps += [Step("reload")] if has_units or before.stale else []
    fresh = [
        name
        for name in wanted.timers
        if name not in before.timers or name in before.stale or f"{UNITS}/{name}" in changed
    ]
    return steps + [Step("enable", name) for name in fresh]


def _moves(name: str, before: Installed, wanted: Installed) -> bool:
    """Return whether a timer gets another time that systemd would compare with its last run, and start it for what lies between."""
    old, new = before.files.get(f"{UNITS}/{name}"), wanted.files[f"{UNITS}/{name}"]
    return old is not None and b"Persistent=yes" in new.content and _times(old) != _times(new)


def _times(timer: File) -> list[bytes]:
    return sorted(line for line in timer.content.splitlines() if line.startswith(b"OnCalendar="))


def _remove(before: Installed) -> list[Step]:
    steps = [Step("disable", name) for name in dict.fromkeys([*before.units, *before.timers])]
    steps += [Step("unlink")] if before.current else []
    steps += [Step("remove", path) for path in (*before.files, *before.leftovers, *before.partials)]
    has_units = any(path.startswith(UNITS) for path in before.files)
    return steps + ([Step("reload")] if has_units or before.stale else [])


def predict(before: Installed, steps: Sequence[Step]) -> Installed:
    """Return what is there once ``steps`` are done."""
    after = before
    for step in steps:
        if step.verb == "write":
            after = replace(after, files={**after.files, step.path: step.content})
        elif step.verb == "remove":
            after = replace(
                after,
                files={path: file for path, file in after.files.items() if path != step.path},
                leftovers=[path for path in after.leftovers if path != step.path],
                partials=[path for path in after.partials if path != step.path],
            )
        elif step.verb in ("link", "unlink"):
            after = replace(after, current=step.path or None)
        elif step.verb == "enable":
            after = replace(after, timers=sorted({*after.timers, step.path}))
        elif step.verb == "disable":
            after = replace(after, timers=[name for name in after.timers if name != step.path])
        elif step.verb == "reload":
            after = replace(after, stale=())
        elif step.verb == "crontab":
            after = replace(after, crontabs={**after.crontabs, step.path: step.content})
    return after


def told(steps: Sequence[Step]) -> list[str]:
    """Return ``steps`` in words."""
    return [f"{step.verb} {'/' if '/' in step.path else ''}{step.path}".rstrip() for step in steps]


def changes(
    about: Mapping[str, Any], before: Installed, after: Installed, steps: Sequence[Step], *, mark: str
) -> list[dict[str, Any]]:
    """Return what people are told of ``steps``: what became of the thing, and of each line of cron.

    :param about: what a change says of the thing: ``thing``, ``section``, ``before`` and ``after``
    """
    found, tell = [], Redactor()
    if [step for step in steps if step.verb != "crontab"]:
        action = ("installed" if not before.current else "changed") if after.current else "removed"
        reason = _reason(before, after, steps)
        found.append(make_change(action=action, reason=reason, **about))
    for step in steps:
        if step.verb == "crontab":
            now, then = set(retired(step.content, mark)), set(retired(before.crontabs[step.path], mark))
            for line in sorted(now ^ then):
                verb = "commented out" if line in now else "put back"
                found.append(make_change(f"/{step.path}", action=verb, section=about["section"], reason=tell(line)))
    return found


def _reason(before: Installed, after: Installed, steps: Sequence[Step]) -> str:
    written = ", ".join(dict.fromkeys(_word(step.path) for step in steps if step.verb == "write"))
    if written or not after.current:
        return f"new: {written}" if written else "asked for"
    if before.stale:
        return "systemd had not read its units again"
    if any(step.verb == "enable" for step in steps):
        return "a timer did not run"
    return "a killed run had left something"


def _word(path: str) -> str:
    if path.startswith(LIB):
        return "engine"
    if path.startswith(UNITS):
        return "timer" if path.endswith(".timer") else "unit"
    return "secrets" if path.endswith(".secrets.json") else "configuration"


def diff(before: Installed, after: Installed, *, mark: str) -> dict[str, str]:
    """Return both as text: engines by their name, secrets not at all, all else as it is written."""
    return {"before": _text(before, mark), "after": _text(after, mark)}


def _text(one: Installed, mark: str) -> str:
    parts, tell = [], Redactor()
    for path, file in sorted(one.files.items()):
        if not path.startswith(LIB):
            content = "(secret)\n" if path.endswith(".secrets.json") else file.content.decode("utf-8", "replace")
            parts.append(f"# /{path} ({file.mode:04o})\n{content}")
    parts += [
        f"# /{path}: {tell(line)}\n" for path, text in sorted(one.crontabs.items()) for line in retired(text, mark)
    ]
    parts += [f"engine: {one.current}\n"] if one.current else []
    parts += [f"{name}: enabled, running\n" for name in sorted(one.timers)]
    parts += [f"{name}: written since systemd read it\n" for name in sorted(one.stale)]
    return "".join([*parts, *(f"/{path}: left of a killed run\n" for path in sorted(one.partials))])
