#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: diagnosis_bundle
short_description: Make one bundle of the evidence of all hosts
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Reads what M(runbook.ops.diagnose) put aside for each host, and makes one compressed archive of it with a summary as a page and
    as text, a file for each topic of each host, and a manifest with the SHA-256 of every file.
  - The archive is whole or not there, and readable by its owner only. What was put aside is removed once it stands.
  - A host that gave nothing is named in the summary.
  - Runs on the controller. No host is connected to. In check mode nothing is written.
extends_documentation_fragment:
  - runbook.ops.attributes.info
options:
  directory:
    description: Where M(runbook.ops.diagnose) put the evidence aside. It must be on the same disk as O(path), and is removed.
    type: path
    required: true
  path:
    description: The archive, a file of the controller whose name ends in C(.tar.gz). Its directory is made.
    type: path
    required: true
  system:
    description: Name of the system, for the title.
    type: str
    required: true
  run:
    description: What identifies the run.
    type: str
    default: ''
  hosts:
    description: Hosts that were asked.
    type: list
    elements: str
    required: true
seealso:
  - module: runbook.ops.diagnose
"""

EXAMPLES = r"""
- name: Make one bundle of it
  runbook.ops.diagnosis_bundle:
    directory: diagnosis/.shop.partial
    path: diagnosis/shop.tar.gz
    system: shop
    hosts: "{{ ansible_play_hosts_all }}"
  run_once: true
"""

RETURN = r"""
path:
  description: The archive.
  returned: always
  type: str
  sample: /home/ops/diagnosis/shop-20261121T120000Z.tar.gz
sha256:
  description: Its SHA-256.
  returned: when it was written
  type: str
files:
  description: How many files it holds.
  returned: when it was written
  type: int
  sample: 31
bytes:
  description: Its size.
  returned: when it was written
  type: int
  sample: 48211
not_reached:
  description: Hosts that gave nothing.
  returned: when it was written
  type: list
  elements: str
msg:
  description: The summary as text.
  returned: always
  type: str
"""
