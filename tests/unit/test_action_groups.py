# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action groups name what they say: all modules, and those that share the options of PostgreSQL."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
GROUPS = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))["action_groups"]
MODULES = sorted((ROOT / "plugins" / "modules").glob("*.py"))


def shares_postgresql(module: Path) -> bool:
    return (
        re.search(r"^ +- runbook\.ops\.postgresql\.connection$", module.read_text(encoding="utf-8"), re.MULTILINE)
        is not None
    )


def test_every_module_is_in_the_group_of_all() -> None:
    assert GROUPS["ops"] == [module.stem for module in MODULES]


def test_the_group_of_postgresql_has_each_module_that_shares_its_options() -> None:
    assert GROUPS["postgresql"] == [module.stem for module in MODULES if shares_postgresql(module)]
