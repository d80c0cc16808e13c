# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of KEY=value lines."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._environment_file import parse_environment, read_environment


@pytest.mark.parametrize(
    ("line", "value"),
    [
        pytest.param("A=abc", "abc", id="plain"),
        pytest.param("export A = abc def ", "abc def", id="export and blanks"),
        pytest.param("A='abc' # why", "abc", id="a comment"),
        pytest.param(r"A='^\d+$'", r"^\d+$", id="a pattern"),
        pytest.param("A='a # $b \\n'", "a # $b \\n", id="single quotes leave all as it is"),
        pytest.param('A="a # b\\nc \\"d\\"" # why', 'a # b\nc "d"', id="double quotes"),
        pytest.param("A=", "", id="empty"),
        pytest.param("A=postgresql://u:p@h/d?x=1&y=2", "postgresql://u:p@h/d?x=1&y=2", id="an address"),
        pytest.param("A=pa$$", "pa$$", id="a dollar that stands for nothing"),
        pytest.param('A="\\$HOME"', "$HOME", id="a dollar that is escaped"),
    ],
)
def test_values_are_what_all_readers_take_them_for(line: str, value: str) -> None:
    assert parse_environment(f"# first\n\n{line}\n", name="env") == {"A": value}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("abc", "env:2 is no KEY=value"),
        ("1A=b", "env:2 is no KEY=value"),
        ("A='secret", r"env:2 \(A\) has a quote that does not end"),
        ("A=abc # why", r"env:2 \(A\) holds a # or a `"),
        ("A=abc#def", r"env:2 \(A\) holds a # or a `"),
        (r'A="^\d+$"', r"env:2 \(A\) holds \\d, which not all programs read alike"),
        ("A=${B}", r"env:2 \(A\) holds a \$ that some programs replace"),
        ('A="x $B"', r"env:2 \(A\) holds a \$ that some programs replace"),
    ],
)
def test_what_readers_differ_in_is_refused_without_showing_it(line: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as raised:
        parse_environment(f"B=1\n{line}\n", name="env")
    assert "secret" not in str(raised.value)


def test_the_last_of_one_name_counts() -> None:
    assert parse_environment("A=1\nA=2\n", name="env") == {"A": "2"}


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="cannot be read from /none: No such file"):
        read_environment("/none")
