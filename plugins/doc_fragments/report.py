# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation that modules share: what a report is made of."""

from __future__ import annotations


class ModuleDocFragment:
    """Which records, which period, which calendar and which targets."""

    DOCUMENTATION = r"""
options:
  records_directory:
    description: Directory of the records of runs, see C(docs/records.md). One that is not there holds none.
    type: path
    default: /var/lib/runbook-ops/runs
  system:
    description: Name of the system. Records of others are left out.
    type: str
    required: true
  title:
    description: Name of the system for people. O(system) without it.
    type: str
  period:
    description: Kind of the period. Without O(current), the last one that is over.
    type: str
    choices: [week, month, quarter, year]
    default: month
  current:
    description: Whether the period is meant that runs now, as far as it has come.
    type: bool
    default: false
  at:
    description: Time from which the period is counted, ISO 8601. Now without it.
    type: str
  time_zone:
    description: Time zone by which days begin and the calendar is due.
    type: str
    default: UTC
  schedule:
    description: The entries of the calendar, as C(ops_schedule) describes them.
    type: list
    elements: dict
    default: []
  kpis:
    description: Figures with their targets, as C(ops_objectives.kpis) describes them.
    type: list
    elements: dict
    default: []
  secrets:
    description: What must not be in the report, beside what looks like a secret.
    type: list
    elements: str
    default: []
"""
