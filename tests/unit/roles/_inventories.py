# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventories of the five systems, as the role system reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.runbook.ops.plugins.module_utils._contract import normalise
from ansible_collections.runbook.ops.plugins.module_utils._references import complete, contradictions

ROOT = Path(__file__).parents[3]
INVENTORIES = ROOT / "inventories"
SPECIFICATION = ROOT / "roles" / "system" / "meta" / "argument_specs.yml"
OPTIONS = yaml.safe_load(SPECIFICATION.read_text())["argument_specs"]["description"]["options"]


@dataclass(frozen=True)
class Description:
    """What an inventory says of its system: ``text`` as it stands there, ``system`` complete, what is wrong with it, and its vault."""

    text: str
    system: dict[str, Any]
    problems: list[str]
    vault: dict[str, Any]

    def named(self, part: str, name: str) -> dict[str, Any]:
        """Return the item of that name."""
        return next(item for item in self.system[part] if item["name"] == name)


def describe(name: str) -> Description:
    """Return the description of a system, with an empty vault."""
    text = (INVENTORIES / name / "group_vars" / name / "main.yml").read_text()
    normal, problems = normalise(yaml.safe_load(re.sub(r'"\{\{ vault_\w+ \}\}"', "''", text)), OPTIONS)
    vault = yaml.safe_load((INVENTORIES / name / "group_vars" / name / "vault.yml").read_text())
    return Description(text, complete(normal), problems + contradictions(normal), vault)
