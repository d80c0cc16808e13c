# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Count the lines of a log that patterns meet, and tally what their named groups hold. Private to this collection."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._log_files import LONGEST_LINE
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_tally import Met, Tally, Tops, step_of

LONGEST_VALUE = 120
HEAD = 400  # bytes of the first and the last line that are kept, for their times
DURATIONS = {"ms": 1.0, "seconds": 1000.0}
TIMES = "times"  # a line that says how often it was repeated
CACHE = "cache"  # hit or miss
ADDRESS = r"(?P<address>[0-9a-fA-F.:]{3,45})"
REPEATED = r"(?:message repeated (?P<times>\d{1,6}) times: \[ ?)?"
SSHD = rf"sshd(?:-session)?(?:\[\d+\])?: {REPEATED}"
REFUSED = r"[^;\n]*(?:NOT in sudoers|not allowed|incorrect password attempt)"

# What the logs of these formats are asked beside what the inventory adds; a pattern of the same name replaces one.
BUILT_IN: Mapping[str, tuple[dict[str, Any], ...]] = {
    "auth": (
        # An attacker chooses the name: the address is what stands last.
        {
            "name": "failed logins",
            "expression": rf"{SSHD}Failed \S+ for (?:invalid user )?(?P<user>.*) from {ADDRESS} port \d",
        },
        {"name": "logins", "expression": rf"{SSHD}Accepted \S+ for (?P<user>.*) from {ADDRESS} port \d"},
        {
            "name": "logins by password",
            "expression": rf"{SSHD}Accepted (?:password|keyboard-interactive/pam) for (?P<user>.*) from {ADDRESS} port \d",
            "per_day": {"warning": 0},
        },
        {
            "name": "sudo commands",
            "expression": r"sudo(?:\[\d+\])?: +(?P<user>\S+) : (?:[^;\n]+ ; )*?TTY=.*? ; COMMAND=(?P<command>\S+)",
            "exclude": REFUSED,
        },
        {
            "name": "refused sudo",
            "expression": rf"sudo(?:\[\d+\])?: +(?P<user>\S+) : {REFUSED}",
            "per_day": {"warning": 0},
        },
    ),
    "ufw": (
        {
            "name": "blocked",
            "expression": r"\[UFW (?:LIMIT )?BLOCK\] .*?SRC=(?P<address>\S+)(?: .*?PROTO=(?P<protocol>\S+))?(?: .*?DPT=(?P<port>\d+))?",
        },
    ),
    "postgresql": (
        {"name": "errors", "expression": r"\b(?P<level>ERROR|FATAL|PANIC):  "},
        {"name": "panics", "expression": r"\bPANIC:  ", "per_day": {"warning": 0, "critical": 0}},
        {"name": "deadlocks", "expression": r"ERROR:  deadlock detected", "per_day": {"warning": 0}},
        {
            "name": "no connection left",
            "expression": r"FATAL:  (?:sorry, too many clients|remaining connection slots)",
            "per_day": {"warning": 0},
        },
        {"name": "failed logins", "expression": r"FATAL:  (?:password authentication failed|no pg_hba\.conf entry)"},
        {"name": "statements that took long", "expression": r"LOG:  duration: (?P<ms>\d{1,9}(?:\.\d+)?) ms"},
    ),
}


class Pattern(NamedTuple):
    """What is looked for."""

    name: str
    expression: re.Pattern[bytes]
    exclude: re.Pattern[bytes] | None
    per_day: Mapping[str, float | None]
    by_line: bool  # it can only be asked of one line at a time


def compile_log_patterns(log: Mapping[str, Any]) -> list[Pattern]:
    """Return the patterns of a log: those of its format, its errors, its own.

    :raises ValueError: one is no regular expression.
    """
    errors = log.get("errors") or []
    wanted = {one["name"]: one for one in BUILT_IN.get(log.get("format") or "", ())}
    if errors:
        wanted["errors"] = {"name": "errors", "expression": "(?i)" + "|".join(f"(?:{one})" for one in errors)}
    wanted.update({one["name"]: one for one in log.get("patterns") or []})
    return [_compiled(log["name"], one) for one in wanted.values()]


def _compiled(log: str, told: Mapping[str, Any]) -> Pattern:
    compiled = []
    for text in (told["expression"], told.get("exclude")):
        try:
            compiled.append(re.compile(text.encode(), re.MULTILINE) if text else None)
        except re.error as exc:
            raise ValueError(f"log {log}, pattern {told['name']}: {text!r} is not a regular expression: {exc}") from exc
    expression, exclude = compiled
    if expression is None or expression.search(b""):
        raise ValueError(f"log {log}, pattern {told['name']}: {told['expression']!r} meets every line")
    by_line = bool(re.search(r"\\[AZ]|\(\?<?!", told["expression"]))
    return Pattern(told["name"], expression, exclude, told.get("per_day") or {}, by_line)


class PatternReader:
    """Looks for patterns in the blocks of one log."""

    def __init__(self, patterns: Iterable[Pattern], tally: Tally, examples: int) -> None:
        self._patterns = [(pattern, tally.met.setdefault(pattern.name, Met())) for pattern in patterns]
        self._tally, self._examples = tally, examples

    def add(self, block: bytes, _lines: int) -> None:
        for pattern, met in self._patterns:
            if pattern.by_line:
                for line in block.split(b"\n"):
                    self._look(line, pattern, met)
            else:
                self._search(block, pattern, met)

    def _search(self, block: bytes, pattern: Pattern, met: Met) -> None:
        search, find = pattern.expression.search, block.find
        is_plain = not (pattern.exclude or pattern.expression.groups)
        position, size = 0, len(block)
        while position < size and (found := search(block, position)):
            begin = block.rfind(b"\n", position, found.start()) + 1 or position
            stop = find(b"\n", found.start())
            stop = size if stop < 0 else stop
            if is_plain and found.end() <= stop:
                met.count += 1
                met.first = met.first or block[begin : min(stop, begin + HEAD)]
                last = (begin, stop)
                if self._examples:
                    met.examples = [*met.examples, block[begin : min(stop, begin + LONGEST_LINE)]][-self._examples :]
                met.last = block[last[0] : min(last[1], last[0] + HEAD)]
            else:
                self._look(block[begin:stop], pattern, met)
            position = stop + 1

    def _look(self, line: bytes, pattern: Pattern, met: Met) -> None:
        found = pattern.expression.search(line)
        if found is None or (pattern.exclude and pattern.exclude.search(line)):
            return
        told = found.groupdict()
        times = int(told.get(TIMES) or 1)
        met.count += times
        met.first = met.first or line[:HEAD]
        met.last = line[:HEAD]
        if self._examples:
            met.examples = [*met.examples, line[:LONGEST_LINE]][-self._examples :]
        for name, value in told.items():
            if value is None or name == TIMES:
                continue
            if name == CACHE:
                self._tally.cached(value, times)
            if name in DURATIONS:
                met.durations[step_of(_number(value) * DURATIONS[name])] += times
            else:
                met.groups.setdefault(name, Tops()).add(value[:LONGEST_VALUE], times)

    def flush(self) -> None:
        """There is nothing left to bring to the tally."""


def _number(text: bytes) -> float:
    try:
        return min(float(text), 1e9)
    except ValueError:
        return 0.0
