# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the console shows at the end of a run: the tables of all hosts, and the verdicts. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ansible_collections.runbook.ops.plugins.plugin_utils._console import SIGNS, Line, columns, fold, joined, pad, took
from ansible_collections.runbook.ops.plugins.plugin_utils._console_report import (
    MANY_HOSTS,
    Report,
    change_lines,
    check_lines,
    tally,
    verdict,
    verdict_parts,
)


class End(NamedTuple):
    """How a run ended on one host."""

    host: str
    report: Report
    counts: Mapping[str, int]  # as Ansible's recap has them
    seconds: float


def tables(
    reports: Mapping[str, Report], hosts: Sequence[str], width: int, *, folds: bool, check_mode: bool
) -> list[Line]:
    """Return the checks and the changes of each host.

    :param hosts: those with a verdict; others that have reported come behind them
    """
    lines: list[Line] = []
    for host in [*hosts, *sorted(set(reports) - set(hosts))]:
        report = reports.get(host) or Report()
        where = f"  {host}" if len(hosts) > 1 else ""
        if report.checks:
            checks = list(report.checks.values())
            lines += [[], [("  ", ""), ("Checks", "bold"), (f"{where}  {tally(checks)}", "dim")]]
            lines += check_lines(checks, width, folds=folds, only_bad=len(hosts) >= MANY_HOSTS)
        if report.changes:
            title = "Predicted changes" if check_mode else "Changes"
            lines += [[], [("  ", ""), (title, "bold"), (where, "dim")]]
            lines += change_lines(report.changes, width, folds=folds, predicted=check_mode)
    return lines


def verdicts(ends: Sequence[End], total: float, width: int | None, *, check_mode: bool) -> list[Line]:
    """Return the verdict of each host.

    :param width: None where no line needs to be folded
    """
    host_width = max((columns(end.host) for end in ends), default=0)
    word_width = max((len(verdict(end.report, end.counts)[0]) for end in ends), default=0)
    lines: list[Line] = [[]]
    for end in ends:
        word, paint = verdict(end.report, end.counts)
        sign = SIGNS["failed" if paint == "failed" else word]
        head = f"{sign} {pad(end.host, host_width)}  {pad(word.upper(), word_width)}  "
        parts = verdict_parts(end.report, end.counts, end.seconds, check_mode=check_mode)
        first, *more = fold(joined(parts), width - columns(head) - 2 if width else None)
        lines.append([("  ", ""), (head, paint), (first, "")])
        lines += [[(" " * (columns(head) + 2), ""), (part, "")] for part in more]
    if len(ends) > 1:
        lines.append([("  ", ""), (f"{len(ends)} hosts in {took(total)}", "dim")])
    if check_mode:
        said = "Check mode: this was a prediction. The same command without --check acts."
        lines.append([("  ", ""), (said, "dim")])
    return [*lines, []]
