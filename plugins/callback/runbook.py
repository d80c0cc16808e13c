# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The stdout callback: a play reads like its runbook, and ends with what was found and what was done."""

from __future__ import annotations

DOCUMENTATION = r"""
name: runbook
type: stdout
short_description: A play as a runbook reads
version_added: 0.1.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Shows sections (roles), phases, steps, results and seconds.
  - What has nothing to say is counted, what changed or failed stands out.
  - At the end come a table of the checks that tasks returned, one of the changes, and a verdict for each host.
  - In a terminal the running step is shown live. Elsewhere the output is plain lines without control characters.
  - With C(-v) and more, the output is Ansible's own, followed by the tables.
  - An error in this callback never ends a run. It says so and goes on with Ansible's own output.
extends_documentation_fragment:
  - default_callback
  - result_format_callback
options:
  live:
    description: Show the running step in a terminal. Without one, or where E(CI) is set, it is never shown.
    type: bool
    default: true
    env:
      - name: RUNBOOK_CONSOLE_LIVE
    ini:
      - section: callback_runbook
        key: live
  heartbeat_seconds:
    description:
      - Without a terminal, say which step still runs after so many seconds, and again each time the wait has doubled.
      - V(0) says nothing.
    type: int
    default: 60
    env:
      - name: RUNBOOK_CONSOLE_HEARTBEAT_SECONDS
    ini:
      - section: callback_runbook
        key: heartbeat_seconds
requirements:
  - Set as stdout callback in the configuration, as the C(ansible.cfg) of this collection's repository does.
seealso:
  - plugin: ansible.builtin.default
    plugin_type: callback
"""

import functools
import os
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible import constants as C  # noqa: N812  # the name that all of Ansible gives it
from ansible import context
from ansible.playbook.task_include import TaskInclude
from ansible.plugins.callback.default import CallbackModule as Default
from ansible.utils.fqcn import add_internal_fqcns
from ansible_collections.runbook.ops.plugins.plugin_utils._console import (
    SIGNS,
    Line,
    clean,
    columns,
    count,
    cut,
    failure_lines,
    fold,
    joined,
    one_line,
    plain,
    role_title,
    running_for,
    split_name,
    step_lines,
)
from ansible_collections.runbook.ops.plugins.plugin_utils._console_end import End, tables, verdicts
from ansible_collections.runbook.ops.plugins.plugin_utils._console_report import MANY_HOSTS, Report, find, tally
from ansible_collections.runbook.ops.plugins.plugin_utils._screen import Screen

ASSERTS = frozenset(add_internal_fqcns(("assert",)))
QUIET = ASSERTS | frozenset(
    add_internal_fqcns(
        (
            *("set_fact", "include_vars", "include_role", "include_tasks", "import_role", "import_tasks", "add_host"),
            *("group_by", "validate_argument_spec", "meta"),
        )
    )
)
ASKS = frozenset(add_internal_fqcns(("pause",)))
FREE = frozenset(add_internal_fqcns(("free", "host_pinned")))
PHASE_COLUMN = 12


@dataclass(frozen=True)
class Step:
    """A task as it is shown."""

    role: str
    phase: str
    title: str
    quiet: bool
    asks: bool


def origin(exception: Any) -> str:
    """Return where the innermost cause of Ansible's ``exception`` stands in the playbook, with the lines around it."""
    event: Any = getattr(exception, "event", None)
    while getattr(event, "chain", None):
        event = event.chain.event
    return getattr(event, "formatted_source_context", None) or ""


def safely(method: Callable[..., None]) -> Callable[..., None]:
    """Return ``method`` so that it cannot break a run: Ansible's own follows where ours fails, or is not wanted."""

    @functools.wraps(method)
    def guarded(self: CallbackModule, *args: Any, **kwargs: Any) -> None:
        if self.own:
            try:
                method(self, *args, **kwargs)
                sys.stdout.flush()
                return
            except Exception as exc:  # said by give_up, and the event is shown by Ansible's own method
                self.give_up(exc)
        self.fall_back(method.__name__, *args, **kwargs)

    return guarded


class CallbackModule(Default):
    """Collects what tasks return, and prints it as lines."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "runbook.ops.runbook"

    def __init__(self) -> None:
        super().__init__()
        self.own = self._display.verbosity == 0 and not C.DISPLAY_ARGS_TO_STDOUT
        self._screen = Screen(self._display, captured=True)
        self._began = time.monotonic()
        self._reports: dict[str, Report] = defaultdict(Report)
        self._host_seconds: dict[str, float] = defaultdict(float)
        self._running: dict[tuple[str, str], tuple[Step, float]] = {}  # by host and task
        self._next_beat: dict[tuple[str, str], float] = {}
        self._names: dict[str, str] = {}  # templated name by task
        self._handlers: set[str] = set()
        self._items: dict[tuple[str, str], list[Line]] = defaultdict(list)
        self._item_counts: dict[tuple[str, str], dict[str, int]] = {}
        self._diffs: dict[tuple[str, str], str] = {}
        self._attempts: dict[tuple[str, str], str] = {}
        self._tries: dict[tuple[str, str], int] = {}
        self._batch: list[str] = []
        self._free = False
        self._play_name = ""
        self._section: str | None = None
        self._phase = ""
        self._phases = False  # whether this section shows phases
        self._headed = False
        self._quiet: dict[str, set[str]] = defaultdict(set)  # tasks with nothing to say, by kind
        self._waiting: dict[str, tuple[Step, list[str], float, str]] = {}  # ok on several hosts, by task

    # How it is shown

    def _option(self, name: str, default: Any) -> Any:
        try:
            return self.get_option(name)
        except KeyError:  # another plugin that builds on this one, such as ansible-runner's, has its own options
            return default

    def _set_up_screen(self) -> None:
        # ansible-runner and AWX capture a pseudo-terminal, and build their own callback on this one.
        captured = self.CALLBACK_NAME != CallbackModule.CALLBACK_NAME or bool(os.environ.get("AWX_ISOLATED_DATA_DIR"))
        self._screen = Screen(self._display, captured=captured)
        if not self.own:
            return
        if self._screen.terminal and not os.environ.get("CI") and self._option("live", True):
            self._screen.show_live(self._running_line, self.give_up)
        elif self._option("heartbeat_seconds", 60) > 0:
            self._screen.beat(1.0, self._say_what_runs, self.give_up)

    def give_up(self, exc: Exception) -> None:
        """Say that this callback failed, and leave the rest of the run to Ansible's own output."""
        if self.own:
            self.own = False
            self._screen.stop()
            where = traceback.extract_tb(exc.__traceback__)[-1:]
            place = f" ({Path(where[0].filename).name}, line {where[0].lineno})" if where else ""
            self._display.warning(
                f"The console of runbook.ops failed: {type(exc).__name__}: {exc}{place}. "
                "The run goes on, shown in Ansible's own words. Please report this line."
            )

    def fall_back(self, method: str, *args: Any, **kwargs: Any) -> None:
        """Show an event as Ansible does, and still collect what the tables need."""
        try:
            if method == "v2_playbook_on_start":
                self._set_up_screen()
            elif method == "v2_runner_on_start":
                self._take_time(*args)
            elif method in (
                "v2_runner_on_ok",
                "v2_runner_on_failed",
                "v2_runner_on_skipped",
                "v2_runner_on_unreachable",
            ):
                self._finish(args[0])
                self._collect(args[0])
        except Exception as exc:  # the tables may lack something, the run goes on
            self._display.warning(f"The console of runbook.ops could not follow {method}: {exc}")
        getattr(super(), method)(*args, **kwargs)

    # What is running

    def _running_line(self) -> Line:
        running = list(self._running.items())
        if not running or any(
            step.asks for _key, (step, _began) in running
        ):  # a question needs the terminal for itself
            return []
        key, (step, began) = running[-1]
        waited = time.monotonic() - began
        hosts = [host for (host, task), _step in running if task == key[1]]
        who = "" if len(self._batch) == 1 else ", ".join(hosts)
        clock = running_for(waited)
        told = joined([step.title, who, self._attempts.get(key, "")])
        title = cut(told, max(self._screen.width - 9 - len(clock), 10))
        return [("    ", ""), ("▸ ", "bold"), (title, ""), (f"  {clock}", "dim")]

    def _say_what_runs(self) -> None:
        now, first = time.monotonic(), float(self._option("heartbeat_seconds", 60))
        late: dict[str, tuple[Step, float, list[str]]] = {}
        for (host, uuid), (step, began) in list(self._running.items()):
            if now - began >= self._next_beat.get((host, uuid), first):
                self._next_beat[host, uuid] = 2 * (now - began)
                late.setdefault(uuid, (step, now - began, []))[2].append(host)
        for step, waited, hosts in late.values():
            who = "" if len(self._batch) == 1 else f" on {', '.join(hosts)}"
            told = f"… {step.title}: still running{who} after {running_for(waited)}"
            self._screen.print([(" " * (self._indent - 2), ""), (told, "dim")])
            sys.stdout.flush()

    @safely
    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """Take the time."""
        self._take_time(host, task)

    def _take_time(self, host: Any, task: Any) -> None:
        self._running[host.get_name(), task._uuid] = (self._step(task), time.monotonic())

    def _finish(self, result: Any) -> float | None:
        key = self._key(result)
        self._next_beat.pop(key, None)
        self._attempts.pop(key, None)
        began = self._running.pop(key, (None, None))[1]
        if began is None:
            return None
        seconds = time.monotonic() - began
        self._host_seconds[key[0]] += seconds
        return seconds

    # Where we are

    @staticmethod
    def _key(result: Any) -> tuple[str, str]:
        return result.host.get_name(), result.task._uuid

    def _step(self, task: Any, name: str | None = None) -> Step:
        role = task._role.get_name() if getattr(task, "_role", None) else ""
        known = name or self._names.get(task._uuid) or task.get_name()
        phase, title = split_name(known, role)
        if task._uuid in self._handlers:
            phase = "handler"
        return Step(role, phase, title, quiet=task.action in QUIET, asks=task.action in ASKS)

    def _enter(self, step: Step) -> None:
        """Print the heading of the section that ``step`` is in, where it is a new one."""
        self._change_section(step)
        if self._headed or self._free:
            return
        self._headed = True
        title = role_title(step.role) if step.role else self._play_name
        self._screen.print([], [("  ", ""), (title, "bold")])

    def _change_section(self, step: Step) -> None:
        if step.role == self._section:
            return
        self._flush_waiting()
        self._close_section()
        first = self._section is None
        self._section, self._phase, self._phases = step.role, "", False
        self._headed = first and not step.role  # a play without roles needs no heading below its own
        if self._headed:
            self._screen.print([])

    def _close_section(self) -> None:
        """Count what had nothing to say."""
        told = [
            f"{count(len(self._quiet['assert']), 'assertion')} held" if self._quiet["assert"] else "",
            count(len(self._quiet["small"]), "small step") if self._quiet["small"] else "",
            f"{len(self._quiet['skipped'])} skipped" if self._quiet["skipped"] else "",
        ]
        self._quiet.clear()
        summary = ", ".join(filter(None, told))
        if not summary or self._section is None:
            return
        if self._headed or self._free:
            self._screen.print([("    ", ""), (f"{SIGNS['info']} {summary}", "dim")])
        else:
            title = role_title(self._section) if self._section else self._play_name
            self._screen.print([], [("  ", ""), (title, "bold"), (f"  {summary}", "dim")])

    def _keep_quiet(self, kind: str, result: Any) -> None:
        self._change_section(self._step(result.task, result.task_name))
        self._quiet[kind].add(result.task._uuid)

    def _print_step(
        self, step: Step, paint: str, sign: str, right: Line, seconds: float | None, *, stderr: bool = False
    ) -> None:
        self._enter(step)
        title = step.title
        if self._free:
            left: Line = [("    ", "")]
            title = ": ".join(filter(None, [role_title(step.role) if step.role else "", title]))
        elif step.phase or self._phases:
            shown = step.phase if step.phase != self._phase else ""
            self._phase, self._phases = step.phase, True
            left = [("    ", ""), (shown.ljust(PHASE_COLUMN), "dim")]
        else:
            left = [("    ", "")]
        weight = paint if paint in ("failed", "warning") else "bold" if paint == "changed" else ""
        left += [(f"{sign} ", paint), (title, weight)]
        self._screen.print(
            *step_lines(left, right, seconds, self._screen.width, folds=self._screen.terminal), stderr=stderr
        )

    @property
    def _indent(self) -> int:
        """Where a step's title begins, and all that stands below it."""
        return 6 + (PHASE_COLUMN if self._phases else 0)

    def _print_under(self, lines: list[str], paint: str = "", *, stderr: bool = False) -> None:
        indent = self._indent
        width = self._screen.width - indent if self._screen.terminal else None
        for text in lines:
            # What continues a line that is too long stands further in.
            first, *more = fold(text, width)
            self._screen.print(
                [(" " * indent, ""), (first, paint)],
                *([(" " * indent + "  ", ""), (part, paint)] for part in more),
                stderr=stderr,
            )

    def _host(self, result: Any) -> str:
        label = one_line(self.host_label(result))
        if "{{" in str(result.task.delegate_to):  # of a step that did not get so far Ansible knows the template only
            label = result.host.get_name()
        alone = len(self._batch) == 1 and label == self._batch[0]
        return "" if alone else label.removeprefix(f"{self._batch[0]} ") if len(self._batch) == 1 else label

    # What tasks return

    def _collect(self, result: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        checks, changes = find(result.result)
        # A role that predicts before it acts tells of its changes twice: the prediction is none of what the run did.
        happened = changes if context.CLIARGS.get("check") or not result.task.check_mode else []
        if checks or happened:
            self._reports[result.host.get_name()].add(checks, happened)
        return checks, changes

    def _said(self, result: Any, checks: list[dict[str, Any]], changes: list[dict[str, Any]]) -> Line:
        """Return the words that stand right of a step that went well."""
        predicted = bool(result.task.check_mode)
        bad = [check for check in checks if check["status"] != "ok"]
        words: Line = []
        if bad:
            paint = "failed" if any(check["status"] == "critical" for check in bad) else "warning"
            words.append((tally(checks), paint))
        elif checks:
            words.append((f"{count(len(checks), 'check')} ok", "dim"))
        if changes:
            words.append((count(len(changes), "predicted change" if predicted else "change"), "changed"))
        elif result.result.get("changed"):
            words.append(("would change" if predicted else "changed", "changed"))
        counts = self._item_counts.pop(self._key(result), None)
        if counts:
            total, changed = sum(counts.values()), counts.get("changed", 0)
            words.insert(0, (f"{changed} of {total} items" if changed else count(total, "item"), "dim"))
        tries = self._tries.pop(self._key(result), 1)
        if tries > 1:
            words.insert(0, (f"after {tries} attempts", "dim"))
        return self._spread([(self._host(result), "dim"), *words])

    @staticmethod
    def _spread(words: Line) -> Line:
        spread: Line = []
        for text, paint in words:
            if text:
                spread += [("  ", "")] * bool(spread) + [(text, paint)]
        return spread

    def _messages(self, result: Any) -> list[str]:
        """Return what a task that exists to speak says."""
        data = result.result
        if not data.get("_ansible_verbose_always") or result.task.action in ASSERTS:
            return []
        self._clean_results(data, result.task.action)
        if isinstance(data.get("msg"), str):
            return clean(data["msg"]).rstrip("\n").split("\n")
        return clean(self._dump_results(data)).strip("\n").split("\n")

    @safely
    def v2_runner_on_ok(self, result: Any) -> None:
        """Show a step that went well: at length where it changed or says something."""
        key, seconds = self._key(result), self._finish(result)
        checks, changes = self._collect(result)
        step = self._step(result.task, result.task_name)
        items, diff = self._items.pop(key, []), self._diffs.pop(key, "")
        words, changed = self._said(result, checks, changes), bool(result.result.get("changed"))
        looped = bool(result.task.loop) and "results" in result.result
        messages = [] if looped else self._messages(result)
        if isinstance(result.task, TaskInclude) or (step.quiet and not (changed or checks or changes or items)):
            self._keep_quiet("assert" if result.task.action in ASSERTS else "small", result)
        elif changed or checks or changes or items or diff or messages or self._free or len(self._batch) == 1:
            paint = "changed" if changed else "ok"
            if changed or self._option("display_ok_hosts", True) or checks or changes or messages or items:
                sign = SIGNS["info" if messages or (items and not changed) else paint]
                sign = SIGNS["predicted"] if changed and result.task.check_mode else sign
                self._print_step(step, paint, sign, words, None if messages and not changed else seconds)
                self._print_under(messages)
                self._print_items(items)
                self._print_diff(diff)
        else:
            self._wait(step, result, seconds, " ".join(text for text, paint in words[2:] if text.strip()))
        self._handle_warnings_and_exception(result)

    def _wait(self, step: Step, result: Any, seconds: float | None, words: str) -> None:
        self._change_section(step)
        _step, hosts, longest, said = self._waiting.setdefault(result.task._uuid, (step, [], 0.0, words))
        longest = max(longest, seconds or 0.0)
        self._waiting[result.task._uuid] = (step, [*hosts, result.host.get_name()], longest, said)

    def _flush_waiting(self) -> None:
        """Print the steps that went well on several hosts, in one line each."""
        waiting, self._waiting = self._waiting, {}
        if not self._option("display_ok_hosts", True):
            return
        for step, hosts, seconds, said in waiting.values():
            everywhere = len(hosts) == len(self._batch) and len(hosts) > 2
            who = f"all {len(hosts)} hosts" if everywhere else ", ".join(hosts)
            self._print_step(step, "ok", SIGNS["ok"], self._spread([(who, "dim"), (said, "dim")]), seconds)

    def _print_items(self, items: list[Line]) -> None:
        for item in items:
            self._screen.print([(" " * self._indent, ""), *item])

    def _print_diff(self, diff: str) -> None:
        if diff:
            indent = " " * self._indent
            for text in (diff if self._screen.color else clean(diff)).rstrip("\n").split("\n"):
                self._display.display(f"{indent}{text}".rstrip())

    @safely
    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Show a step that failed, with everything it said."""
        seconds = self._finish(result)
        self._collect(result)
        counts = self._item_counts.pop(self._key(result), {})
        items = self._items.pop(self._key(result), [])
        self._diffs.pop(self._key(result), None)
        saved = not ignore_errors and self._is_rescued(result.task)
        word = "failed, ignored" if ignore_errors else "failed, a rescue follows" if saved else "failed"
        some = f"{counts['failed']} of {count(sum(counts.values()), 'item')}" if counts.get("failed") else ""
        tries = self._tries.pop(self._key(result), 1)
        tried = f"after {tries} attempts" if tries > 1 else ""
        self._print_failure(
            result, word, "warning" if ignore_errors or saved else "failed", seconds, [some, tried], items=items
        )

    @safely
    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Show that a host cannot be reached."""
        ignored = bool(result.task.ignore_unreachable)
        seconds = self._finish(result)
        word = "unreachable, ignored" if ignored else "unreachable"
        self._print_failure(result, word, "warning" if ignored else "failed", seconds)

    def _print_failure(
        self,
        result: Any,
        word: str,
        paint: str,
        seconds: float | None,
        more: list[str] | None = None,
        *,
        items: list[Line] | None = None,
    ) -> None:
        stderr = bool(self._option("display_failed_stderr", False))
        step = self._step(result.task, result.task_name)
        right = self._spread([(self._host(result), "dim"), *((text, "dim") for text in more or []), (word, paint)])
        self._print_step(step, paint, SIGNS["failed"], right, seconds, stderr=stderr)
        self._print_items(items or [])
        self._print_under(failure_lines(result.result), stderr=stderr)
        self._print_place(result.task, result.exception, stderr=stderr)
        result.result.pop("exception", None)  # shown with the failure
        self._handle_warnings(result.result)

    def _print_place(self, task: Any, exception: Any, *, stderr: bool) -> None:
        here = f"{Path.cwd()}{os.sep}"
        path = task.get_path() or ""
        cause = origin(exception)
        if cause and path not in cause:  # the error arose elsewhere than in the task's first line: in one of its values
            self._print_under(clean(cause).replace(here, "").split("\n"), "dim", stderr=stderr)
        elif path:
            self._print_under([f"at {path.removeprefix(here)}"], "dim", stderr=stderr)

    @staticmethod
    def _is_rescued(task: Any) -> bool:
        """Return whether a block around ``task`` has a rescue that now runs."""
        child, parent = task, getattr(task, "_parent", None)
        while parent is not None:
            inside = {each._uuid for each in getattr(parent, "block", None) or []}
            if getattr(parent, "rescue", None) and child._uuid in inside:
                return True
            child, parent = parent, getattr(parent, "_parent", None)
        return False

    @safely
    def v2_runner_on_skipped(self, result: Any) -> None:
        """Count a step that was skipped."""
        self._finish(result)
        self._collect(result)
        self._items.pop(self._key(result), None)
        self._item_counts.pop(self._key(result), None)
        self._keep_quiet("skipped", result)
        self._handle_warnings_and_exception(result)

    # Items of a loop: told together with their step, but a failure at once

    def _item(self, result: Any, outcome: str) -> str:
        self._tries.pop(self._key(result), None)
        counts = self._item_counts.setdefault(self._key(result), {})
        counts[outcome] = counts.get(outcome, 0) + 1
        return one_line(self._get_item_label(result.result))

    @safely
    def v2_runner_item_on_ok(self, result: Any) -> None:
        """Keep what an item changed or said."""
        if isinstance(result.task, TaskInclude):
            return
        changed = bool(result.result.get("changed"))
        label, key = self._item(result, "changed" if changed else "ok"), self._key(result)
        messages = self._messages(result)
        if changed:
            sign = SIGNS["predicted" if result.task.check_mode else "changed"]
            self._items[key].append([(f"{sign} ", "changed"), (label, "")])
        if messages:
            self._items[key] += [
                [(f"{label}: ", "dim"), (messages[0], "")],
                *([("  ", ""), (more, "")] for more in messages[1:]),
            ]
        self._handle_warnings_and_exception(result)

    @safely
    def v2_runner_item_on_failed(self, result: Any) -> None:
        """Show an item that failed, with everything it said."""
        label = self._item(result, "failed")
        ignored = result.task.ignore_errors is True
        word = "failed, ignored" if ignored else "failed"
        self._print_failure(result, word, "warning" if ignored else "failed", None, [f"item {label}"])

    @safely
    def v2_runner_item_on_skipped(self, result: Any) -> None:
        """Count an item that was skipped."""
        self._item(result, "skipped")
        self._handle_warnings_and_exception(result)

    @safely
    def v2_runner_retry(self, result: Any) -> None:
        """Say that an attempt failed: in the line that is running, or in a line of its own."""
        data = result.result
        number = self._tries.get(self._key(result), 1)  # counted here: releases of Ansible number attempts differently
        attempt = f"attempt {number} of {data['retries']} failed"
        self._attempts[self._key(result)] = attempt
        self._tries[self._key(result)] = number + 1
        if not self._screen.live:
            step = self._step(result.task, result.task_name)
            self._enter(step)
            why = one_line(data.get("censored") or data.get("msg") or data.get("stderr") or "")
            label = self._get_item_label(data)
            parts = [
                self._host(result),
                f"{step.title}: {attempt}",
                f"item {one_line(label)}" if label is not None else "",
                why,
            ]
            self._screen.print([(" " * (self._indent - 2), ""), (f"{SIGNS['info']} {joined(parts)}", "dim")])

    @safely
    def v2_on_file_diff(self, result: Any) -> None:
        """Keep the diff until its step is shown."""
        data = result.result
        single = [] if result.task.loop and "results" in data else [data]
        results = single or [item for item in data["results"] if isinstance(item, dict)]
        diffs = [self._get_diff(one["diff"]) for one in results if one.get("diff") and one.get("changed")]
        self._diffs[self._key(result)] = "".join(diffs)

    @safely
    def v2_runner_on_async_poll(self, result: Any) -> None:
        """Say nothing: the step itself is shown as running."""

    @safely
    def v2_runner_on_async_ok(self, result: Any) -> None:
        """Say nothing: the step's own result follows."""

    @safely
    def v2_runner_on_async_failed(self, result: Any) -> None:
        """Say nothing: the step's own result follows."""

    # Plays and tasks

    @safely
    def v2_playbook_on_include(self, included_file: Any) -> None:
        """Say nothing: the included steps speak for themselves."""

    def _know_task(self, task: Any, prefix: str) -> None:
        # The name is templated only now. Ansible's own output needs the first two, should it have to take over.
        self._task_type_cache[task._uuid] = prefix
        self._last_task_name = None if self._free else task.get_name().strip()
        if not self._free:
            self._names[task._uuid] = task.get_name()

    @safely
    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:  # noqa: ARG002  # the name is Ansible's
        """Print what the step before found everywhere."""
        self._know_task(task, "TASK")
        self._flush_waiting()

    @safely
    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        """Print what the step before found everywhere; a handler says that it is one."""
        self._handlers.add(task._uuid)
        self._know_task(task, "RUNNING HANDLER")
        self._flush_waiting()

    @safely
    def v2_playbook_on_start(self, playbook: Any) -> None:  # noqa: ARG002  # the name is Ansible's
        """Look at the screen."""
        self._began = time.monotonic()
        self._set_up_screen()

    @safely
    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Print the play's heading: what, where, and whether for real."""
        self._flush_waiting()
        self._close_section()
        self._play = play  # what Ansible's own output needs, should it have to take over
        self._free = play.strategy in FREE
        self._batch = self._hosts_of(play)
        self._play_name = one_line(play.get_name()) or "Play"
        self._section, self._phase, self._phases, self._headed = None, "", False, False
        where = ", ".join(self._batch) if len(self._batch) <= MANY_HOSTS else count(len(self._batch), "host")
        mode = "check mode: nothing is changed" if play.check_mode or context.CLIARGS.get("check") else ""
        heading: Line = [(self._play_name, "bold"), (f"  {joined([where, mode])}", "dim")]
        self._screen.print([], heading, [("─" * min(max(columns(plain(heading)), 40), self._screen.width), "dim")])

    @staticmethod
    def _hosts_of(play: Any) -> list[str]:
        variables = play.get_variable_manager().get_vars(play=play, include_hostvars=False)
        everyone = variables.get("ansible_play_hosts_all", [])  # the batch alone names all hosts where none matches
        return [str(host) for host in variables.get("ansible_play_batch", []) if host in everyone]

    @safely
    def v2_playbook_on_no_hosts_matched(self) -> None:
        """Say that the play has no host."""
        self._screen.print(
            [],
            [("    ", ""), ("! No host of the inventory matches this play (look at hosts: and --limit).", "warning")],
        )

    @safely
    def v2_playbook_on_no_hosts_remaining(self) -> None:
        """Say that the play ends because each host failed."""
        self._flush_waiting()
        self._close_section()
        self._screen.print([], [("    ", ""), ("✗ No host is left to go on with.", "failed")])

    # The end

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Print the tables and the verdicts."""
        self._screen.stop()
        shown = self.own
        try:
            if shown:
                self._flush_waiting()
                self._close_section()
                self._section = None
            self._print_report(stats)
        except Exception as exc:  # said by give_up; Ansible's recap follows
            shown, self.own = False, True
            self.give_up(exc)
        if shown:
            self._print_custom_stats(stats)
        else:
            super().v2_playbook_on_stats(stats)
        sys.stdout.flush()

    def _print_report(self, stats: Any) -> None:
        total, check_mode = time.monotonic() - self._began, bool(context.CLIARGS.get("check"))
        hosts, screen = sorted(stats.processed), self._screen
        screen.print(*tables(self._reports, hosts, screen.width, folds=screen.terminal, check_mode=check_mode))
        ends = [
            End(
                host, self._reports[host], stats.summarize(host), total if len(hosts) == 1 else self._host_seconds[host]
            )
            for host in hosts
        ]
        screen.print(*verdicts(ends, total, screen.width if screen.terminal else None, check_mode=check_mode))

    def _print_custom_stats(self, stats: Any) -> None:
        if stats.custom and self._option("show_custom_stats", False):
            for name in sorted(stats.custom):
                who = "run" if name == "_run" else name
                self._screen.print(
                    [("  ", ""), (f"{who}: ", "dim"), (clean(self._dump_results(stats.custom[name])), "")]
                )
