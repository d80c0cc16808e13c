# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation that modules share: what is due again and again, and where it is recorded."""

from __future__ import annotations


class ModuleDocFragment:
    """Which items, of which system, in which records."""

    DOCUMENTATION = r"""
options:
  items:
    description:
      - What is due again and again, each with C(name), C(every_seconds), and where wanted C(what), C(proven_by), C(check), C(unit) and
        C(limits), see C(docs/reviews.md).
      - The filter P(runbook.ops.checklist_items#filter) makes them from a system's description.
    type: list
    elements: dict
    required: true
  system:
    description: Name of the system. Records of others are left out.
    type: str
    required: true
  records_directory:
    description: Directory of the records of runs, see C(docs/records.md). One that is not there holds none.
    type: path
    default: /var/lib/runbook-ops/runs
  time_zone:
    description: Time zone by which days begin.
    type: str
    default: UTC
  at:
    description: Time that counts as now, ISO 8601. Now without it.
    type: str
"""
