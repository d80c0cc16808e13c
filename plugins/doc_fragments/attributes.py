# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation that modules share: what they promise."""

from __future__ import annotations


class ModuleDocFragment:
    """What a module does in check mode, in diff mode and the second time."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and say what would change without changing anything.
  diff_mode:
    description: Returns what changes, or would change, as a diff.
  idempotent:
    description: A second run finds nothing to do.
"""

    FULL = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and say what would change without changing anything.
    support: full
  diff_mode:
    description: Returns what changes, or would change, as a diff.
    support: full
  idempotent:
    description: A second run finds nothing to do.
    support: full
"""

    INFO = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and say what would change without changing anything.
    support: full
    details: [This module only reads.]
  diff_mode:
    description: Returns what changes, or would change, as a diff.
    support: N/A
    details: [This module only reads.]
  idempotent:
    description: A second run finds nothing to do.
    support: N/A
    details: [This module only reads.]
"""
