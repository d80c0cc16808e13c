# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages about descriptions and records show what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change, make_check
from ansible_collections.runbook.ops.plugins.module_utils._contract import normalise
from ansible_collections.runbook.ops.plugins.module_utils._references import contradictions
from ansible_collections.runbook.ops.plugins.module_utils._run_record import closed, interrupted, opened
from ansible_collections.runbook.ops.plugins.plugin_utils._controller import this_run

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs" / "record.schema.json").read_text())
SPECIFICATION = yaml.safe_load((ROOT / "roles" / "system" / "meta" / "argument_specs.yml").read_text())
TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "number": (int, float),
    "null": type(None),
}


def faults(value: Any, schema: dict[str, Any], path: str = "record") -> list[str]:
    """Return what is wrong with ``value``: as much of JSON Schema as our own uses."""
    if "$ref" in schema:
        schema = {**SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], **schema}
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(isinstance(value, TYPES[kind]) for kind in kinds):
        return [f"{path} is {value!r}, not {' or '.join(kinds)}"]
    found = []
    if "const" in schema and value != schema["const"]:
        found.append(f"{path} is {value!r}, not {schema['const']!r}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{path} is {value!r}, not one of {schema['enum']}")
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        found.append(f"{path} is {value!r}, which {schema['pattern']} does not match")
    if "minimum" in schema and isinstance(value, (int, float)) and value < schema["minimum"]:
        found.append(f"{path} is {value}, below {schema['minimum']}")
    if isinstance(value, list):
        for index, item in enumerate(value):
            found += faults(item, schema.get("items", {}), f"{path}[{index}]")
    if isinstance(value, dict):
        known = schema.get("properties", {})
        found += [f"{path}.{key} is missing" for key in schema.get("required", []) if key not in value]
        if schema.get("additionalProperties") is False:
            found += [f"{path}.{key} is not known" for key in value if key not in known]
        for key in value.keys() & known.keys():
            found += faults(value[key], known[key], f"{path}.{key}")
    return found


def record(stage: str) -> dict[str, Any]:
    run = this_run({"ansible_version": {"full": "2.19.14"}}, ["backup.yml"])
    told = opened(None, run, system="owlivion", host="a", hosts=["a", "b"], at="2099-01-01T00:00:00Z")
    if stage == "interrupted":
        return interrupted(told, reason="gone", by=run["id"], at="2099-01-01T00:00:00Z")
    if stage == "closed":
        summary = {
            "checks": [
                make_check("disk:/", name="disk /", section="S", status="warning", value=81, unit="%", limit=80)
            ],
            "changes": [make_change("t", action="a", section="S", reason="r", before=1, after=2, seconds=1.5)],
            "failure": {"task": "change | Vacuum", "message": "no connection"},
        }
        return closed(told, host="a", status="failed", summary=summary, lost=["b"], at="2099-01-01T00:00:00Z")
    return told


@pytest.mark.parametrize("stage", ["opened", "closed", "interrupted"])
def test_a_record_is_what_its_schema_says(stage: str) -> None:
    assert faults(record(stage), SCHEMA) == []


@pytest.mark.parametrize(
    "damage",
    [
        {"schema": 2},
        {"status": "fine"},
        {"seconds": -1},
        {"hosts": [{}]},
        {"started_at": "now"},
        {"more": 1},
        {"who": None},
    ],
    ids=str,
)
def test_the_schema_refuses_what_is_no_record(damage: dict[str, Any]) -> None:
    assert faults({**record("closed"), **damage}, SCHEMA) != []


def test_the_schema_names_every_key_and_no_other() -> None:
    assert list(SCHEMA["properties"]) == SCHEMA["required"] == list(record("opened"))


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)


def test_the_record_on_the_page_is_valid() -> None:
    (shown,) = blocks("records.md", "json")
    assert faults(json.loads(shown), SCHEMA) == []


def test_the_least_description_on_the_page_is_valid() -> None:
    (shown,) = blocks("system.md", "yaml")
    system, problems = normalise(yaml.safe_load(shown), SPECIFICATION["argument_specs"]["description"]["options"])
    assert problems + contradictions(system) == []


def test_the_errors_on_the_page_are_those_that_are_said() -> None:
    wrong = {
        "ops_system": {"name": "shop"},
        "ops_sevices": [],
        "ops_services": [
            {"name": "nginx", "manager": "systemd"},
            {"name": "api", "manager": "pm2", "user": "shop", "port": 70000, "health": {"urll": "", "url": "http://x"}},
        ],
        "ops_backups": [{"name": "d", "directory": "/b", "pattern": "*", "max_age": "26", "keep": {"last": 3}}],
        "ops_thresholds": {"disk_percent": {"warning": 95}},
    }
    system, problems = normalise(wrong, SPECIFICATION["argument_specs"]["description"]["options"])
    (shown,) = blocks("system.md", "text")
    lines = [line.strip() for line in shown.splitlines()]
    assert lines[0] == f"The system's description has {len(lines) - 1} problems:"
    assert lines[2:] == problems + contradictions(system)  # the first comes from a template
