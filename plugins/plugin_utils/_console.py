# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words and lines of the console: text in, lines of painted pieces out. Private to this collection."""

from __future__ import annotations

import json
import re
import shlex
import textwrap
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration, human_size

Piece = tuple[str, str]  # text, and how to paint it: "", bold, dim, ok, changed, warning, unknown, failed
Line = list[Piece]

SIGNS = {
    **{"ok": "✓", "changed": "●", "predicted": "○", "info": "·"},
    **{"failed": "✗", "critical": "✗", "warning": "!", "unknown": "?"},
}
ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
CONTROLS = {code: None for code in (*range(32), *range(127, 160)) if code not in (9, 10)}
SECONDS_COLUMN = 10
HUMAN: dict[str | None, Callable[[float], str]] = {
    "bytes": human_size,
    "B": human_size,
    "seconds": human_duration,
    "s": human_duration,
}

# Of a failed result, what is shown in its own way, repeats something shown, or says nothing about the failure.
SHOWN_APART = ("msg", "cmd", "rc", "stdout", "stderr", "module_stdout", "module_stderr", "exception", "censored")
NOT_THE_FAILURE = (
    *("changed", "failed", "skipped", "unreachable", "invocation", "stdout_lines", "stderr_lines", "start", "end"),
    *("delta", "attempts", "retries", "results", "item", "ansible_loop_var", "ansible_index_var", "ansible_loop"),
    *(
        "warnings",
        "deprecations",
        "diff",
        "checks",
        "changes",
        "failed_when_result",
        "changed_when_result",
        "ansible_facts",
    ),
)


def clean(text: object) -> str:
    """Return ``text`` without escape sequences and control characters: what a host says cannot drive the terminal."""
    unix = str(text).replace("\r\n", "\n").replace("\r", "\n")
    return ESCAPES.sub("", unix).translate(CONTROLS).expandtabs()


def one_line(text: object) -> str:
    """Return ``text`` cleaned, with each run of white space as one blank."""
    return " ".join(clean(text).split())


def columns(text: str) -> int:
    """Return the columns that ``text`` takes in a terminal."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def pad(text: str, width: int) -> str:
    """Return ``text`` with blanks up to ``width`` columns."""
    return text + " " * (width - columns(text))


def cut(text: str, width: int) -> str:
    """Return ``text`` in at most ``width`` columns."""
    if columns(text) <= width:
        return text
    while text and columns(text) > width - 1:
        text = text[:-1]
    return text + "…"


def fold(text: str, width: int | None) -> list[str]:
    """Return ``text`` in lines of at most ``width`` columns, its own line ends kept; None does not fold."""
    lines: list[str] = []
    for line in text.split("\n"):
        if width is None or columns(line) <= width:
            lines.append(line.rstrip())
        else:
            lines += textwrap.wrap(line, max(width, 20), break_on_hyphens=False, drop_whitespace=True) or [""]
    return lines


def plain(line: Line) -> str:
    """Return ``line`` without paint."""
    return "".join(text for text, _paint in line).rstrip()


def took(seconds: float | None) -> str:
    """Return a duration as a stopwatch shows it: ``0.4 s``, ``12.0 s``, ``2m 5s``; nothing for None."""
    if seconds is None:
        return ""
    return f"{seconds:.1f} s" if seconds < 59.95 else human_duration(seconds)


def running_for(seconds: float) -> str:
    """Return a duration that still grows, in whole seconds."""
    return f"{seconds:.0f} s" if seconds < 59.5 else human_duration(round(seconds))


def count(number: int, singular: str, plural: str | None = None) -> str:
    """Return ``number`` with its noun."""
    return f"{number} {singular if number == 1 else plural or singular + 's'}"


def quantity(value: Any, unit: str | None) -> str:
    """Return ``value`` in ``unit`` for people; nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return measured(value, unit)
    if isinstance(value, str):
        return one_line(value) + (f" {unit}" if unit and value[:1].isdigit() else "")
    return one_line(json.dumps(value, ensure_ascii=False, default=str, sort_keys=True))


def measured(value: float, unit: str | None) -> str:
    """Return a number in ``unit`` with the digits that matter."""
    if unit in HUMAN:
        return HUMAN[unit](value)
    digits = 0 if value == int(value) or abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    number = f"{value:.{digits}f}"
    number = number.rstrip("0").rstrip(".") if "." in number else number
    return f"{number} {'%' if unit == 'percent' else unit}" if unit else number


def split_name(name: str, role: str) -> tuple[str, str]:
    """Return phase and title of a task: ``ops.health : verify | Look again`` gives ``verify`` and ``Look again``."""
    title = one_line(name)
    if role:
        title = title.removeprefix(f"{role} : ")
    phase, found, rest = title.partition(" | ")
    return (phase, rest) if found and re.fullmatch(r"[\w-]+", phase) else ("", title)


def role_title(role: str) -> str:
    """Return a role's name, or the end of its path, as a heading: ``runbook.ops.backup_review`` gives ``Backup review``."""
    words = role.rpartition("/")[2].rpartition(".")[2].replace("_", " ")
    return words[:1].upper() + words[1:]


def step_lines(left: Line, right: Line, seconds: float | None, width: int, *, folds: bool) -> list[Line]:
    """Return a step: what stands left, and right-aligned the result and the seconds.

    :param left: the last piece is the title, which is folded below itself where ``folds`` and it is too long
    """
    clock = took(seconds).rjust(SECONDS_COLUMN)
    tail: Line = [*right, (clock, "dim")]
    before = columns(plain([*left[:-1], ("|", "")])) - 1
    title, paint = left[-1]
    room = width - before - columns("".join(text for text, _paint in tail)) - 2
    parts = fold(title, max(room, 24)) if folds else [title]
    lines: list[Line] = [[*left[:-1], (parts[0], paint)]]
    lines += [[(" " * before, ""), (part, paint)] for part in parts[1:]]
    gap = max(width - before - columns(parts[-1]) - columns("".join(text for text, _paint in tail)), 2)
    lines[-1] += [(" " * gap, ""), *tail]
    return lines


def failure_lines(result: Mapping[str, Any]) -> list[str]:
    """Return everything that a failed ``result`` says: message first, then program, output, traceback and the rest."""
    said = [clean(result["censored"])] if "censored" in result else []
    if result.get("msg") not in (None, ""):
        message = result["msg"]
        said += clean(message if isinstance(message, str) else pretty(message)).strip("\n").split("\n")
    if "cmd" in result:
        command = result["cmd"]
        said.append("command: " + one_line(command if isinstance(command, str) else shlex.join(map(str, command))))
    if result.get("rc") is not None:
        said.append(f"exit code: {result['rc']}")
    for name in ("stderr", "stdout", "module_stderr", "module_stdout"):
        said += block(name, result.get(name))
    exception = result.get("exception")
    if exception and not str(exception).startswith("(traceback unavailable"):
        said += block("traceback", exception)
    for name, value in result.items():
        if (
            name in SHOWN_APART
            or name in NOT_THE_FAILURE
            or name.startswith("_ansible_")
            or value in (None, "", [], {})
            or _is_said(value, result.get("msg"))
        ):
            continue
        said += block(str(name), value if isinstance(value, str) else pretty(value))
    return said or ["It gave no reason."]


def _is_said(value: Any, message: Any) -> bool:
    """Return whether ``value`` is a list of texts that each stand on a line of ``message`` already."""
    if not isinstance(value, list) or not isinstance(message, str):
        return False
    lines = {line.strip() for line in message.split("\n")}
    return all(isinstance(one, str) and one.strip() in lines for one in value)


def pretty(value: Any) -> str:
    """Return ``value`` as JSON: in one line where that is short."""
    short = json.dumps(value, ensure_ascii=False, default=str)
    return short if len(short) <= 100 else json.dumps(value, ensure_ascii=False, default=str, indent=2)


def block(name: str, text: object) -> list[str]:
    """Return ``text`` under its ``name``: beside it where it is one line, below it where it is more."""
    lines = clean(text or "").strip("\n").split("\n")
    if lines == [""]:
        return []
    return [f"{name}: {lines[0].strip()}"] if len(lines) == 1 else [f"{name}:", *("  " + line for line in lines)]


def joined(parts: Iterable[str]) -> str:
    """Return the parts that are not empty, with a dot between them."""
    return " · ".join(part for part in parts if part)
