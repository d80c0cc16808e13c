# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation that modules share: which rows of a database are meant."""

from __future__ import annotations


class ModuleDocFragment:
    """Options of the modules that export and import rows."""

    DOCUMENTATION = r"""
options:
  rows:
    description:
      - Rows that are meant, by the value of one column, such as one tenant. With O(follow) also all rows that refer to them, and
        those that refer to these.
      - Each table once.
    type: list
    elements: dict
    default: []
    suboptions:
      table:
        description: The table, with its schema where that is not V(public).
        type: str
        required: true
      column:
        description: The column.
        type: str
        required: true
      value:
        description: The value, as text.
        type: str
        required: true
  follow:
    description: Find the rows of other tables that refer to O(rows) by foreign keys.
    type: bool
    default: true
  exclude:
    description: Tables that are not followed.
    type: list
    elements: str
    default: []
  accept_shared:
    description:
      - Take rows that refer, by another key, to rows that are not meant, such as a message between two tenants. Without it such rows
        are refused, since they may be somebody else's.
    type: bool
    default: false
"""
