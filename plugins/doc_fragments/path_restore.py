# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation that modules share: how a backup is restored beside what is live."""

from __future__ import annotations


class ModuleDocFragment:
    """Options and return values of the modules that exchange paths."""

    DOCUMENTATION = r"""
options:
  state:
    description:
      - V(prepared) restores O(backup) beside what is live, and proves it. Nothing that is live changes.
      - V(swapped) exchanges the two by their names. What was live is kept as C(<path>.before-<time>). Where this fails it goes
        back by itself.
      - V(reverted) goes back. What was put in place is kept as C(<path>.failed-<time>); what was only prepared is deleted.
      - V(pruned) finishes a restore that is in place, so that another one can begin, and deletes what the journal names as kept and
        is old enough.
    type: str
    required: true
    choices: [prepared, swapped, reverted, pruned]
  backup:
    description:
      - With O(state=prepared), the path of a backup, its name in O(directory), or V(latest), which is the newest of O(set) that
        has passed a test restore. V(latest) stays the one with which a restore was begun until that is finished or reverted.
    type: str
  directory:
    description: Directory of the backups, for a name or V(latest) in O(backup).
    type: path
  set:
    description: Name of the set that V(latest) in O(backup) is looked for in.
    type: str
  taken_before:
    description: V(latest) in O(backup) is the newest taken before this moment, such as V(2026-02-05T02:00:00Z).
    type: str
    default: ""
  accept_unproven:
    description: Why a backup is restored that has not passed a test restore. Without it such a one is refused.
    type: str
    default: ""
  identity:
    description: The private key of an encrypted backup, an age identity or an armoured key of GnuPG. It is never written to disk.
    type: str
  keep_days:
    description: Days for which V(pruned) leaves what is kept.
    type: float
    default: 7
  min_free_percent:
    description: Percent of the disk that are to stay free.
    type: float
    default: 5
  timeout_seconds:
    description: Seconds that a step may take.
    type: int
    default: 3600
  journal_directory:
    description: Where it is kept what is being restored and what was kept.
    type: path
    default: /var/lib/runbook-ops/restores
attributes:
  check_mode:
    description: Can run in check mode and say what would change without changing anything.
    support: full
    details: [Returns the plan. The backup is read again only where it was written to since it was proven.]
  diff_mode:
    description: Returns what changes, or would change, as a diff.
    support: full
  idempotent:
    description: A second run finds nothing to do.
    support: full
"""
