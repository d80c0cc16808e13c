# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of cron that something else takes the place of. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change, make_check
from ansible_collections.runbook.ops.plugins.module_utils._engine_file import (
    has_users,
    reinstate,
    retire,
    retired,
    runs_more,
    runs_one,
)
from ansible_collections.runbook.ops.plugins.module_utils._redact import Redactor

SECTION = "Calendar"


class Edit(NamedTuple):
    """A crontab that is to be another."""

    path: str
    text: str


def plan(
    crontabs: Mapping[str, str], state: str, programs: Sequence[str], mark: str, *, replace: bool = True
) -> list[Edit]:
    """Return the crontabs that change: lines that run one of ``programs`` are commented out, or with ``present`` put back.

    A line that was commented out for a program that is no longer among them is put back too. Every other byte stays.

    :param replace: comment out; otherwise lines are only put back
    """
    edits = []
    for path, text in crontabs.items():
        new = reinstate(text, mark)[0]
        if state == "absent" and not replace:
            new = _return(text, programs, mark)
        elif state == "absent":
            new = retire(new, programs, mark, users=has_users(path))[0]
        if new != text:
            edits.append(Edit(path, new))
    return edits


def _return(text: str, programs: Sequence[str], mark: str) -> str:
    """Return ``text`` with the lines put back that run none of ``programs``."""
    lines = text.splitlines(keepends=True)
    mine = [line.startswith(mark) and not runs_one(line[len(mark) :], programs) for line in lines]
    return "".join(line[len(mark) :] if is_mine else line for line, is_mine in zip(lines, mine))


def predict(crontabs: Mapping[str, str], edits: Sequence[Edit]) -> dict[str, str]:
    """Return the crontabs once ``edits`` are made."""
    return {**crontabs, **{edit.path: edit.text for edit in edits}}


def judge(crontabs: Mapping[str, str], scripts: Sequence[str], programs: Sequence[str]) -> list[dict[str, Any]]:
    """Return a warning for each line, and each script of ``/etc/cron.daily`` and its like, that still does the same.

    :param scripts: paths of such scripts that run one of ``programs``, or are one
    """
    found = [(path, line) for path, text in crontabs.items() for line in text.splitlines() if runs_one(line, programs)]
    found += [(path, "the whole script") for path in scripts]
    tell = Redactor()  # a line may hold a password
    return [
        make_check(
            f"cron:{path}:{number}",
            name=f"cron in /{path}",
            section=SECTION,
            status="warning",
            detail=f"does what the calendar does as well: {tell(line.strip())}",
            remedy=_remedy(path, line, programs),
        )
        for number, (path, line) in enumerate(found)
    ]


def _remedy(path: str, line: str, programs: Sequence[str]) -> str:
    if line == "the whole script":
        return f"remove /{path}, or chmod -x"
    if runs_more(line, programs, users=has_users(path)):
        return "it runs something else as well, or gives its name to another program: make two lines of it, or leave it"
    return "set schedule_replace_cron to comment it out"


def changes(before: Mapping[str, str], edits: Sequence[Edit], mark: str) -> list[dict[str, Any]]:
    """Return what people are told of ``edits``, line by line."""
    found, tell = [], Redactor()
    for edit in edits:
        now, then = retired(edit.text, mark), retired(before[edit.path], mark)
        for line in sorted({*now} ^ {*then}):
            action = "commented out" if line in now else "put back"
            found.append(make_change(f"/{edit.path}", action=action, section=SECTION, reason=tell(line)))
    return found


def diff(before: Mapping[str, str], after: Mapping[str, str], edits: Sequence[Edit]) -> list[dict[str, str]]:
    """Return the crontabs that change, before and after, without the secrets in them."""
    tell = Redactor()
    return [
        {
            "before_header": f"/{edit.path}",
            "after_header": f"/{edit.path}",
            "before": tell(before[edit.path]),
            "after": tell(after[edit.path]),
        }
        for edit in edits
    ]
