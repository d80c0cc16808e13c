# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page for who begins shows descriptions that are valid, and the errors that are said."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.runbook.ops.plugins.module_utils._contract import normalise
from ansible_collections.runbook.ops.plugins.module_utils._health_plan import plan_probes
from ansible_collections.runbook.ops.plugins.module_utils._members import misplaced, on_host
from ansible_collections.runbook.ops.plugins.module_utils._probe_index import PROBES
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import read_options
from ansible_collections.runbook.ops.plugins.module_utils._references import complete, contradictions

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "describe_a_system.md").read_text(encoding="utf-8")
SPECIFICATION = yaml.safe_load((ROOT / "roles" / "system" / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
OPTIONS = SPECIFICATION["argument_specs"]["description"]["options"]
HOSTS = ("orchard-web", "orchard-store")
INVENTORY = {"all", "orchard", *HOSTS}
# Secrets come from a vault that has none here.
SHOWN = [re.sub(r'"\{\{ vault_\w+ \}\}"', '""', text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
FILES: dict[str, dict[str, Any]] = {}
for shown in SHOWN:
    if shown.startswith("# inventories/"):
        FILES.setdefault(shown.partition("\n")[0].partition("orchard/")[2], {}).update(yaml.safe_load(shown))
OTHERS = [yaml.safe_load(shown) for shown in SHOWN if not shown.startswith("# ")]
EXAMPLE = FILES["group_vars/orchard/main.yml"]


def problems(described: dict[str, Any]) -> list[str]:
    system, wrong = normalise(described, OPTIONS)
    return wrong + contradictions(system) + misplaced(system, INVENTORY)


def test_each_block_adds_to_a_file_and_repeats_no_variable():
    names = [name for shown in SHOWN if "group_vars/orchard/main" in shown for name in yaml.safe_load(shown)]
    assert sorted(names) == sorted(EXAMPLE)


@pytest.mark.parametrize("host", HOSTS)
def test_the_example_is_valid_and_so_is_each_probe_that_follows_from_it(host: str):
    described = {**EXAMPLE, **FILES.get(f"host_vars/{host}/main.yml", {})}
    assert problems(described) == []
    here = on_host(complete(normalise(described, OPTIONS)[0]), {host, "orchard", "all"})
    for index, probe in enumerate(plan_probes(here)):
        read_options(probe, PROBES[probe["probe"]]().OPTIONS, where=str(index))


@pytest.mark.parametrize("described", OTHERS, ids=lambda described: next(iter(described.values()))[0]["name"])
def test_what_is_shown_of_other_systems_is_valid(described: dict[str, Any]):
    assert problems({"ops_system": {"name": "other"}, **described}) == []


def test_the_errors_are_those_that_are_said():
    wrong = yaml.safe_load(yaml.safe_dump(EXAMPLE))
    shop = wrong["ops_services"][1]
    shop.update(prot=shop.pop("port"), needs=["havrest", "baskets"])
    wrong["ops_redis"][0]["hosts"] = ["orchard-stor"]
    lines = next(text for text in re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL) if "problems" in text).splitlines()
    assert [line.strip() for line in lines[1:]] == problems(wrong)
    assert lines[0] == f"The system's description has {len(lines) - 1} problems:"


def test_every_server_of_the_inventory_is_in_the_description():
    assert set(FILES["hosts.yml"]["orchard"]["hosts"]) == set(HOSTS)
    assert {name for part in EXAMPLE.values() if isinstance(part, list) for one in part for name in one["hosts"]} == {
        *HOSTS
    }
