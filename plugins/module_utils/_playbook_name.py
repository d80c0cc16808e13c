# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How records name a playbook: whoever looks for its runs has to ask for the same name. Private to this collection."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

LONGEST = 60


def playbook_name(playbooks: Sequence[str]) -> str:
    """Return ``weekly_maintenance`` for its path as well as for its full name; several are joined."""
    if isinstance(playbooks, str) or not playbooks:
        return "ad_hoc"
    names = [Path(one).stem if one.endswith((".yml", ".yaml")) else one.rpartition(".")[2] for one in playbooks]
    return re.sub(r"[^A-Za-z0-9_+]", "_", "+".join(names))[:LONGEST]
