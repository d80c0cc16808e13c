# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation that modules share: where a backup goes, and how it is written."""

from __future__ import annotations


class ModuleDocFragment:
    """Options of the modules that make backups."""

    DOCUMENTATION = r"""
options:
  directory:
    description: Absolute directory of the backups. It is made, for its owner only, where it does not exist.
    type: path
    required: true
  set:
    description: Name of the set. A backup is the directory C(<set>_<moment in UTC>) in O(directory).
    type: str
    required: true
  min_free_percent:
    description: So much of the disk has to stay free. A backup that may need more is refused before it begins.
    type: float
    default: 5
  unless_younger_than:
    description: Make none while the last whole backup of the set is younger, such as V(20h). One is made each time without it.
    type: str
  timeout_seconds:
    description: How many seconds it may take.
    type: int
    default: 3600
"""

    ENCODED = r"""
options:
  compression:
    description: How it is compressed. V(auto) is Zstandard where it is installed, else gzip.
    type: str
    choices: [auto, zstd, gzip, none]
    default: auto
  encryption:
    description: >-
      For whom it is encrypted. It is not without it. The manifest never is, which names things and counts them.
      The private key is needed on no host that makes backups.
    type: dict
    suboptions:
      method:
        description: Program that encrypts.
        type: str
        choices: [age, gpg]
        required: true
      recipients:
        description: Public keys, or absolute paths of files that hold them.
        type: list
        elements: str
        required: true
"""
