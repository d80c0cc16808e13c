# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every role and every playbook keeps to."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.runbook.ops.plugins.module_utils._formats import FORMATS, UNITS

ROOT = Path(__file__).parents[3]
ROLES = sorted(path.parents[1] for path in ROOT.glob("roles/*/tasks/main.yml"))
PLAYBOOKS = sorted(ROOT.glob("playbooks/*.yml"))
TASK_FILES = sorted(path for role in ROLES for folder in ("tasks", "handlers") for path in role.glob(f"{folder}/*.yml"))
DESCRIBES = "system"  # its inputs are the variables ops_…
HANDED_ON = {
    DESCRIBES: "system_description",
    "change": "change_fence",
    "host_updates": "host_updates_planned",
}  # what all roles may use, by the role it comes from

every_role = pytest.mark.parametrize("role", ROLES, ids=lambda path: path.name)
every_playbook = pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda path: path.stem)


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None


def entry_points(role: Path) -> dict[str, Any]:
    return load(role / "meta" / "argument_specs.yml")["argument_specs"]


def options(role: Path) -> dict[str, Any]:
    return {name: option for point in entry_points(role).values() for name, option in point.get("options", {}).items()}


def tasks(content: Any) -> Iterator[dict[str, Any]]:
    for task in content or []:
        yield task
        for part in ("block", "rescue", "always"):
            yield from tasks(task.get(part))


@every_role
def test_defaults_are_those_of_the_specification_value_for_value(role: Path) -> None:
    if role.name == DESCRIBES:
        assert load(role / "defaults" / "main.yml") == {}
        return
    specified = {name: option["default"] for name, option in options(role).items() if "default" in option}
    assert (load(role / "defaults" / "main.yml") or {}) == specified


@every_role
def test_a_required_input_has_no_default(role: Path) -> None:
    assert [name for name, option in options(role).items() if option.get("required") and "default" in option] == []


@every_role
def test_entry_points_share_what_they_say_of_an_input(role: Path) -> None:
    everything = options(role)
    for point in entry_points(role).values():
        for name, option in point.get("options", {}).items():
            assert option == everything[name]


@every_role
def test_inputs_are_named_after_the_role(role: Path) -> None:
    prefix = "ops_" if role.name == DESCRIBES else f"{role.name}_"
    assert [name for name in options(role) if not name.startswith(prefix)] == []


@every_role
def test_everything_else_is_internal_and_named_after_the_role(role: Path) -> None:
    names = list(load(role / "vars" / "main.yml") or {})
    for path in role.glob("tasks/*.yml"):
        for task in tasks(load(path)):
            names += [task["register"]] if "register" in task else []
            names += [name for name in task.get("ansible.builtin.set_fact", {}) if name != "cacheable"]
            names += [name for name in task.get("vars", {}) if not any(key.endswith("_role") for key in task)]
    allowed = {HANDED_ON.get(role.name, f"__{role.name}")}
    allowed.add("ansible_pipelining")  # a task that hands over a key may say how it gets there
    assert [name for name in names if not name.startswith(f"__{role.name}_") and name not in allowed] == []


def bare(name: str, value: Any, *, condition: bool = False) -> Iterator[str]:
    """Yield the expressions in ``value`` that read ``name`` as it was given: ``-e name=false`` is a text, and a text is true."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from bare(name, one, condition=key in ("when", "that", "failed_when", "changed_when", "until"))
    elif isinstance(value, list):
        for one in value:
            yield from bare(name, one, condition=condition)
    elif isinstance(value, str):
        read = [value] if condition else re.findall(r"{{(.*?)}}", value, re.DOTALL)
        for one in read:
            handed = one.strip() == name or one.strip().endswith(
                f"default({name})"
            )  # to a module, which knows its type
            if re.search(rf"\b{name}\b(?!\s*\|\s*bool\b)", one) and (condition or not handed):
                yield one


@every_role
def test_a_yes_or_no_from_the_command_line_is_read_as_one(role: Path) -> None:
    asked = [name for name, option in options(role).items() if option["type"] == "bool"]
    files = [*role.glob("tasks/*.yml"), *role.glob("vars/*.yml")]
    assert [(path.name, one) for path in files for name in asked for one in bare(name, load(path))] == []


@every_role
def test_an_entry_point_is_a_tasks_file_and_says_what_it_does(role: Path) -> None:
    for name, point in entry_points(role).items():
        assert point["short_description"]
        assert (role / "tasks" / f"{name}.yml").exists() or (role.name, name) == (DESCRIBES, "description")


@every_role
def test_the_system_is_read_in_defaults_only(role: Path) -> None:
    for path in (*role.glob("tasks/*.yml"), *role.glob("vars/*.yml"), *role.glob("templates/*")):
        if role.name != DESCRIBES:
            assert "system_description" not in path.read_text(encoding="utf-8"), path.name


@pytest.mark.parametrize("path", TASK_FILES, ids=lambda path: f"{path.parents[1].name}-{path.stem}")
def test_a_tasks_file_is_short_and_its_tasks_are_named_after_it(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 60
    if path.parent.name == "tasks" and path.stem != "main":
        for task in tasks(load(path)):
            assert task["name"].startswith(f"{path.stem} | "), task["name"]


@every_playbook
def test_a_playbook_is_short_and_says_what_it_covers_and_how_it_is_run(playbook: Path) -> None:
    text = playbook.read_text(encoding="utf-8")
    assert len([line for line in text.splitlines() if not line.startswith("#")]) <= 40
    comment = " ".join(line.lstrip("# ") for line in text.splitlines() if line.startswith("#"))
    assert re.search(r"\(catalogue: [a-z]+-[a-z-]+-\d\d", comment)
    for words in ("Look: --tags preflight.", "Predict: --check --diff.", "Then run."):
        assert words in comment


@every_playbook
def test_a_playbook_describes_its_system_first(playbook: Path) -> None:
    for play in load(playbook):
        first = (play.get("tasks") or play.get("roles"))[0]
        name = first.get("role") or first["ansible.builtin.import_role"]["name"]
        assert (name, first["tags"]) == ("runbook.ops.system", ["always"])


def test_the_pages_say_what_the_specifications_say() -> None:
    tool = [sys.executable, str(ROOT / "tools" / "role_readmes.py"), "--check"]
    done = subprocess.run(tool, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def described(inner: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, option in inner.items():
        yield name, option
        yield from described(option.get("options", {}))


SYSTEM = list(described(options(ROOT / "roles" / DESCRIBES)))


def test_every_format_belongs_to_a_variable() -> None:
    assert set(FORMATS) - {name for name, _ in SYSTEM} == set()


@pytest.mark.parametrize(("unit", "word"), [("_seconds", "(duration)"), ("_bytes", "(size)")])
def test_a_duration_or_size_says_so_and_only_they_do(unit: str, word: str) -> None:
    by_name = {name for name, known in UNITS.items() if known == unit}
    assert {name for name, option in SYSTEM if word in option["description"]} == by_name
    assert [name for name, option in SYSTEM if name in by_name and option["type"] != "str"] == []


def test_one_name_has_one_type_wherever_it_stands() -> None:
    kinds: dict[str, set[str]] = {}
    for name, option in SYSTEM:
        if name in FORMATS:
            kinds.setdefault(name, set()).add(option.get("elements", option["type"]))
    assert {name: kind for name, kind in kinds.items() if len(kind) > 1} == {}


def test_a_look_that_refuses_fails_the_run_in_every_playbook_that_records() -> None:
    told = {task["name"]: task.get("tags") for task in load(ROOT / "roles/record/tasks/failed.yml")}
    assert told["failed | Sum up what was seen and done"] == ["preflight"]
    assert told["failed | Report the failure that was recorded"] == ["preflight"]


def test_two_systems_of_a_host_keep_counters_of_their_own() -> None:
    kept = load(ROOT / "roles" / "performance_review" / "defaults" / "main.yml")["performance_review_state_path"]
    assert "system_description['system']['name']" in kept  # probes of both may have one name
