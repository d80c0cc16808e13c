# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words and lines of the console."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.plugin_utils._console import (
    clean,
    columns,
    cut,
    failure_lines,
    fold,
    plain,
    quantity,
    role_title,
    split_name,
    step_lines,
    took,
)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        pytest.param("\x1b[31mred\x1b[0m", "red", id="colours of a tool"),
        pytest.param("a\x1b]0;title\x07b", "ab", id="a title for the terminal's window"),
        pytest.param("10 %\r20 %", "10 %\n20 %", id="progress that overwrites itself"),
        pytest.param("bell\x07 and \x9b31mC1", "bell and 31mC1", id="control characters"),
        pytest.param("Grün ✓", "Grün ✓", id="words of any language stay"),
    ],
)
def test_what_a_host_says_cannot_drive_the_terminal(said: str, shown: str) -> None:
    assert clean(said) == shown


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (None, "percent", ""),
        (86.24, "percent", "86.2 %"),
        (0.05, "percent", "0.05 %"),
        (4, "days", "4 days"),
        (310_000_000, "bytes", "310 MB"),
        (93_600, "seconds", "1d 2h"),
        (True, None, "yes"),
        ("online", "ignored", "online"),
        ("1.2.3\n", None, "1.2.3"),
        (["a", 1], None, '["a", 1]'),
        (100.0, None, "100"),
    ],
)
def test_values_are_written_in_their_unit(value: Any, unit: str | None, shown: str) -> None:
    assert quantity(value, unit) == shown


@pytest.mark.parametrize(
    ("name", "role", "shown"),
    [
        pytest.param("runbook.ops.x : verify | Look", "runbook.ops.x", ("verify", "Look"), id="role and phase"),
        pytest.param("Look : again", "", ("", "Look : again"), id="a colon that is not a role's"),
        pytest.param("Compare a | b", "", ("", "Compare a | b"), id="a bar that is not a phase's"),
    ],
)
def test_a_task_is_shown_by_phase_and_title(name: str, role: str, shown: tuple[str, str]) -> None:
    assert split_name(name, role) == shown


def test_a_role_is_a_heading() -> None:
    assert role_title("runbook.ops.backup_review") == "Backup review"
    assert role_title("/srv/roles.d/backup_review") == "Backup review"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(None, ""), (0.04, "0.0 s"), (59.94, "59.9 s"), (59.96, "1m"), (125, "2m 5s")]
)
def test_time_is_short(seconds: float | None, shown: str) -> None:
    assert took(seconds) == shown


def test_wide_characters_count_twice_and_accents_not() -> None:
    assert columns("日本") == 4
    assert columns("e\u0301") == 1
    assert cut("日本語", 4) == "日…"


def test_a_long_title_is_folded_below_itself_and_the_seconds_stand_at_the_edge() -> None:
    left = [("    ", ""), ("✓ ", "ok"), ("Vacuum and reindex what needs it in every database of the system", "")]
    lines = [plain(line) for line in step_lines(left, [("changed", "changed")], 12.44, 60, folds=True)]
    assert lines == [
        "    ✓ Vacuum and reindex what needs it in",
        "      every database of the system         changed    12.4 s",
    ]
    assert columns(lines[1]) == 60


def test_without_a_terminal_nothing_is_folded_or_cut() -> None:
    title = "x" * 150
    (line,) = step_lines([("✓ ", "ok"), (title, "")], [], 1.0, 100, folds=False)
    assert plain(line).startswith(f"✓ {title}  ")
    assert fold(title, None) == [title]


def test_a_failure_loses_nothing() -> None:
    result = {
        "msg": "non-zero return code",
        "cmd": ["sh", "-c", "exit 3"],
        "rc": 3,
        "stderr": "first\nsecond\x1b[0m",
        "stdout": "",
        "exception": "Traceback (most recent call last):\n  boom",
        "assertion": "a > b",
        "details": {"step": "swap"},
        "invocation": {"module_args": {}},
        "_ansible_no_log": False,
    }
    assert failure_lines(result) == [
        "non-zero return code",
        "command: sh -c 'exit 3'",
        "exit code: 3",
        "stderr:",
        "  first",
        "  second",
        "traceback:",
        "  Traceback (most recent call last):",
        "    boom",
        "assertion: a > b",
        'details: {"step": "swap"}',
    ]


def test_a_failure_without_words_is_still_a_failure() -> None:
    assert failure_lines({}) == ["It gave no reason."]


def test_what_the_message_lists_is_not_listed_again():
    result = {"msg": "2 problems:\n  one\n  two", "problems": ["one", "two"], "others": ["one", "three"]}
    assert failure_lines(result) == ["2 problems:", "  one", "  two", 'others: ["one", "three"]']
