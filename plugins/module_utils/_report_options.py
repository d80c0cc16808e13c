# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules report and report_info are asked alike, and the report they make of it. Private to this collection."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checklist import ChecklistError
from ansible_collections.runbook.ops.plugins.module_utils._kpis import FIGURES
from ansible_collections.runbook.ops.plugins.module_utils._redact import Redactor
from ansible_collections.runbook.ops.plugins.module_utils._report import make_report
from ansible_collections.runbook.ops.plugins.module_utils._report_checklist import checklist_of
from ansible_collections.runbook.ops.plugins.module_utils._report_files import read_records
from ansible_collections.runbook.ops.plugins.module_utils._report_gather import Gathered
from ansible_collections.runbook.ops.plugins.module_utils._report_period import KINDS, before, period_of

ARGUMENTS: dict[str, Any] = {
    "records_directory": {"type": "path", "default": "/var/lib/runbook-ops/runs"},
    "system": {"type": "str", "required": True},
    "title": {"type": "str"},
    "period": {"type": "str", "choices": list(KINDS), "default": "month"},
    "current": {"type": "bool", "default": False},
    "at": {"type": "str"},
    "time_zone": {"type": "str", "default": "UTC"},
    "schedule": {"type": "list", "elements": "dict", "default": []},
    "kpis": {"type": "list", "elements": "dict", "default": []},
    "secrets": {"type": "list", "elements": "str", "default": [], "no_log": True},
}


class ReportError(Exception):
    """A report cannot be made; the message is one line that says what to do."""


def build(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the report of the period, without secrets.

    :raises ReportError: it cannot be made.
    """
    now = time.time()
    at = now if not options["at"] else _moment(options["at"])
    for kpi in options["kpis"]:
        if (kpi.get("figure") or "mean") not in FIGURES:
            raise ReportError(f"{kpi['figure']!r} is not a figure: write one of {', '.join(FIGURES)}")
    try:
        period = period_of(
            options["period"],
            datetime.fromtimestamp(at, timezone.utc),
            options["time_zone"],
            current=options["current"],
        )
        gathered = Gathered(options["system"], period, before(period), options["kpis"])
        read_records(Path(options["records_directory"]), gathered, now=max(now, at))
        title = options["title"] or options["system"]
        items = checklist_of(options, period.until)
        report = make_report(
            gathered, options["schedule"], zone=options["time_zone"], now=at, title=title, checklist=items
        )
    except (ChecklistError, ValueError) as exc:
        raise ReportError(str(exc)) from None
    except OSError as exc:
        raise ReportError(
            f"the records in {options['records_directory']} cannot be read: {exc.strerror or exc}"
        ) from None
    return Redactor(options["secrets"]).deep(report)


def _moment(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise ReportError(f"{text!r} is not a time: write one like 2026-11-22T04:00:00Z") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
