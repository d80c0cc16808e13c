# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation that modules share: the lock of a host's changes."""

from __future__ import annotations


class ModuleDocFragment:
    """Options of the modules that work for long on what is live."""

    FENCE = r"""
options:
  fence:
    description:
      - What proves that this run holds the lock of the host, as M(runbook.ops.change_lock) returns it. It is asked for before
        anything is begun, by what deploys at each step that counts too, and the lease of the lock is renewed until the module has ended.
        Without it no lock is demanded.
    type: dict
    suboptions:
      directory:
        description: Directory of the lock.
        type: path
        required: true
      number:
        description: Number of the fence.
        type: int
        required: true
      owner:
        description: The run that holds it.
        type: str
        required: true
"""
