# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation that modules share: which backup is taken, and what is kept of a restore."""

from __future__ import annotations


class ModuleDocFragment:
    """Options of the modules that restore databases."""

    SOURCE = r"""
options:
  directory:
    description: Directory of the backups, for a name or V(latest) in O(backup).
    type: path
  taken_before:
    description: V(latest) in O(backup) is the newest taken before this moment, such as V(2026-02-05T02:00:00Z), UTC.
    type: str
  from_database:
    description: The database that the backup is of, where that is not O(database).
    type: str
  identity:
    description: The private key of an encrypted backup, an age identity or an armoured key of GnuPG. It is never written to disk.
    type: str
"""

    BESIDE = r"""
options:
  jobs:
    description: How much is restored side by side, where the backup allows it.
    type: int
    default: 2
  min_free_percent:
    description: Percent of the disk that are to stay free. Not known of a server elsewhere or in a container.
    type: float
    default: 5
  keep_days:
    description: Days for which V(pruned) leaves what it keeps.
    type: float
    default: 7
  plan_only:
    description: Return the plan and nothing else. Unlike in check mode nothing is reported as a change that would be made.
    type: bool
    default: false
  journal_directory:
    description: Where it is kept what is being restored and what was kept.
    type: path
    default: /var/lib/runbook-ops/restores
"""

    WRITERS = r"""
options:
  services:
    description:
      - Services of this host that use what is restored, each as C(system_description) has it, in the order in which they are started.
        Those of them that run are stopped with O(state=swapped) and O(state=reverted), and started again. Where one of them does not
        work with what was put in place, that is taken back.
      - It is in the journal before the first is stopped. Whatever is killed in between, the next run of any state starts them.
      - Only services of C(systemd), C(pm2) and C(compose) can be.
    type: list
    elements: dict
    default: []
  wait_timeout_seconds:
    description: Seconds within which all of O(services) must work again, each by the C(url) of its C(health), or by what its manager says.
    type: int
    default: 60
"""
