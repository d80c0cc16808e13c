# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of docs/runbooks/ lead somewhere: their commands, names and links exist, and they call done what is done."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "runbooks"
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,4} (?P<title>.+)\n(?:<!-- (?P<section>[a-z0-9-]+) -->\n)?", re.MULTILINE)
LABEL = re.compile(r"\s*\*\*(In part|New|By hand|Not yet)\.\*\*")
LINK = re.compile(r"\]\(([^)\s]*)\)")
STEPS = re.compile(r"`([a-z]+-[a-z0-9-]+-\d{2}(?:\.\.\d{2})?)`")
PLACEHOLDER = re.compile(r"[A-Z]+")
# What these variables hold is the name of something in the inventory.
NAMES = {
    "service_name",
    "deploy_service",
    "rollback_service",
    "maintenance_window_stop",
    "restore_database",
    "restore_mongodb",
    "restore_redis",
    "restore_confirm",
    "data_export_database",
    "data_import_database",
    "data_import_confirm",
    "backup_names",
    "bucket_mirror_names",
    "cache_names",
    "image_updates_names",
}


def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("coverage_table", ROOT / "tools" / "coverage_table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TOOL = tool()
SYSTEMS = list(TOOL.load("catalogue_ids.yml")["systems"])


@dataclass(frozen=True)
class Command:
    """One call of ansible-playbook on a page."""

    playbook: str
    inventories: list[str]
    variables: dict[str, Any]


# What the pages say


def section_labels(page: str) -> dict[str, str]:
    """Return the label of each section that is marked, or nothing where it has none."""
    found = list(HEADING.finditer(FENCE.sub("", page)))
    text = FENCE.sub("", page)
    labels = {}
    for heading in found:
        if heading["section"]:
            assert heading["section"] not in labels, f"{heading['section']} stands twice"
            label = LABEL.match(text, heading.end())
            labels[heading["section"]] = label[1] if label else ""
    return labels


def written_commands(page: str) -> Iterator[str]:
    """Return what can be typed: lines of blocks, and code within the text."""
    for block in re.findall(r"^```console\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        yield from (line for line in block.replace("\\\n", " ").splitlines() if line.startswith("ansible-playbook "))
    for code in re.findall(r"`([^`\n]+)`", FENCE.sub("", page)):
        if code.startswith(("ansible-playbook ", "-e ")):
            yield code


def pairs(value: str) -> Iterator[tuple[str, str]]:
    """Return the variables of ``name=value``, split at spaces as Ansible does it."""
    for word in shlex.split(value):
        name, _, given = word.partition("=")
        yield name, given


def parsed(line: str) -> Command:
    """Return the playbook, the inventories and the variables of a command."""
    words = shlex.split(line)
    playbook, inventories, variables = "", [], {}
    for flag, value in zip(["", *words], [*words, ""], strict=True):
        if value.startswith("playbooks/"):
            playbook = value
        if flag == "-i":
            inventories.append(value)
        if flag == "-e":
            variables.update(json.loads(value) if value.startswith("{") else dict(pairs(value)))
    return Command(playbook, inventories, variables)


# What there is


@cache
def specification(role: str) -> tuple[dict[str, Any], str]:
    """Return the options of all entry points of a role, and the text that they stand in."""
    path = ROOT / "roles" / role / "meta" / "argument_specs.yml"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    entries = (yaml.safe_load(text) or {"argument_specs": {}})["argument_specs"] if text else {}
    return {name: option for entry in entries.values() for name, option in (entry.get("options") or {}).items()}, text


def known(variable: str, roles: list[str], playbook: str) -> bool:
    """Whether one of the roles takes the variable, or the playbook itself reads it."""
    word = re.compile(rf"\b{variable}\b")
    texts = [playbook, *(text for _, text in map(specification, roles))]
    takes = any(variable in options for options, _ in map(specification, roles))
    return takes or ("_" in variable and any(word.search(text) for text in texts))


def roles_of(playbook: str) -> list[str]:
    return sorted(set(re.findall(r"\brunbook\.ops\.([a-z_]+)", playbook)))


@cache
def inventory_text(system: str) -> str:
    folder = ROOT / "inventories" / system
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.yml")))


def command_faults(command: Command, system: str) -> list[str]:
    """Return what is wrong with a command of a system's page."""
    faults = []
    path = ROOT / command.playbook
    if command.playbook and not path.is_file():
        return [f"there is no {command.playbook}"]
    if command.playbook and command.inventories[:1] != [f"inventories/{system}"]:
        faults.append(f"{command.playbook} is not for inventories/{system}")
    playbook = path.read_text(encoding="utf-8") if command.playbook else ""
    roles = roles_of(playbook) if playbook else sorted(found.name for found in (ROOT / "roles").iterdir())
    for name, value in command.variables.items():
        if not known(name, roles, playbook):
            faults.append(f"{command.playbook} does not take {name}" if playbook else f"nothing takes {name}")
        faults += value_faults(name, value, roles, system)
    return faults


def value_faults(name: str, value: Any, roles: list[str], system: str) -> list[str]:
    """Return which values of a variable are not among its choices, or not in the inventory."""
    option = next((options[name] for options, _ in map(specification, roles) if name in options), {})
    given = [one for one in (value if isinstance(value, list) else [value]) if not PLACEHOLDER.fullmatch(str(one))]
    faults = [f"{name} cannot be {one}" for one in given if one not in option.get("choices", [one])]
    described = inventory_text(system) if (ROOT / "inventories" / system).is_dir() else None
    if described is None:
        return faults
    if name in NAMES:
        faults += [f"{name}: the inventory has no {one}" for one in given if not names_it(described, one)]
    if name == "service_cause":
        faults += [
            f"no service is scaled for {one}" for one in given if not re.search(rf"scale: {{.*\b{one}:", described)
        ]
    return faults


def names_it(described: str, name: str) -> bool:
    return re.search(rf"\bname: {re.escape(name)}\s*(?:[,}}#]|$)", described, re.MULTILINE) is not None


def anchors(page: str) -> set[str]:
    """Return where links into a page may lead, as GitHub names its headings."""
    titles = [
        re.sub(r"[`*]|\]\([^)]*\)|\[", "", line.lstrip("# "))
        for line in FENCE.sub("", page).splitlines()
        if line.startswith("#")
    ]
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in titles}


def link_faults(page: Path) -> list[str]:
    faults = []
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        other = (page.parent / file).resolve() if file else page
        if not other.exists():
            faults.append(f"there is no {target}")
        elif anchor and anchor not in anchors(other.read_text(encoding="utf-8")):
            faults.append(f"{target} is no heading")
    return faults


@cache
def states() -> dict[str, str]:
    """Return whether each step is done, a person's or open."""
    return {
        step: state for state, entry in TOOL.entries(TOOL.load("coverage.yml")) for step in TOOL.expand(entry["steps"])
    }


def label_faults(page: str, of: dict[str, str]) -> list[str]:
    """Return the sections that are missing, and those whose label says other than the states of their steps.

    :param of: the state of each step of this page's system.
    """
    labels = section_labels(page)
    sections: dict[str, set[str]] = {}
    for step, state in of.items():
        sections.setdefault(step[:-3], set()).add(state)
    faults = [f"{section} is on the page, and in no runbook" for section in labels if section not in sections]
    for section, found in sections.items():
        if section not in labels:
            faults.append(f"{section} is not on the page")
            continue
        fitting = (
            {"Not yet", "New"} if found == {"open"}
            else {"By hand"} if found == {"human"}
            else {"Not yet", "New", "By hand"} if "done" not in found
            else {"In part"} if "open" in found
            else {""} if found == {"done"}
            else {"", "In part"}
        )  # fmt: skip
        if labels[section] not in fitting:
            words = " or ".join(sorted(word or "no label" for word in fitting))
            faults.append(f"{section} is {labels[section] or 'without a label'}; coverage.yml asks for {words}")
    return faults


# That they agree


@pytest.mark.parametrize("system", SYSTEMS)
def test_each_section_of_a_runbook_is_on_its_page_and_called_what_it_is(system: str) -> None:
    of = {step: state for step, state in states().items() if step.startswith(f"{system}-")}
    assert label_faults((PAGES / f"{system}.md").read_text(encoding="utf-8"), of) == []


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_step_that_a_page_names_as_missing_is_not_done(system: str) -> None:
    named = STEPS.findall((PAGES / f"{system}.md").read_text(encoding="utf-8"))
    of = states()
    assert [step for steps in named for step in TOOL.expand(steps) if of.get(step) not in ("open", "human")] == []


@pytest.mark.parametrize("page", [*SYSTEMS, "README"])
def test_what_a_page_says_to_type_exists(page: str) -> None:
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    system = "SYSTEM" if page == "README" else page
    faults = [(line, fault) for line in written_commands(text) for fault in command_faults(parsed(line), system)]
    assert faults == []


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.stem
)
def test_variables_in_the_commands_of_all_other_pages_are_taken_by_something(page: Path) -> None:
    every = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "playbooks").glob("*.yml")))
    roles = sorted(found.name for found in (ROOT / "roles").iterdir())
    faults = [
        (line, name)
        for line in written_commands(page.read_text(encoding="utf-8"))
        for name in parsed(line).variables
        if not name.startswith("@") and not known(name, roles, every)
    ]
    assert faults == []


def test_every_link_of_a_page_leads_somewhere() -> None:
    assert {page.name: faults for page in sorted(PAGES.glob("*.md")) if (faults := link_faults(page))} == {}


# That they would not, otherwise


@pytest.mark.parametrize(
    ("page", "fault"),
    [
        pytest.param("### A\n<!-- shop-a -->\n\n**Not yet.** …\n", [], id="all is as it is"),
        pytest.param("### A\n\n**Not yet.** …\n", ["shop-a is not on the page"], id="a section is forgotten"),
        pytest.param(
            "### A\n<!-- shop-a -->\n\nRuns.\n",
            ["shop-a is without a label; coverage.yml asks for New or Not yet"],
            id="an open section is described as done",
        ),
        pytest.param(
            "### A\n<!-- shop-a -->\n\n**Not yet.**\n### B\n<!-- shop-b -->\n",
            ["shop-b is on the page, and in no runbook"],
            id="a section is invented",
        ),
    ],
)
def test_a_page_that_says_other_than_coverage_is_found(page: str, fault: list[str]) -> None:
    assert label_faults(page, {"shop-a-01": "open", "shop-a-02": "open"}) == fault


@pytest.mark.parametrize(
    ("found", "label", "fits"),
    [
        pytest.param(["done"], "", True, id="done"),
        pytest.param(["done"], "**Not yet.**", False, id="done, and the page has not heard"),
        pytest.param(["done", "open"], "", False, id="half done, and called done"),
        pytest.param(["done", "human"], "", True, id="the rest is a person's"),
        pytest.param(["human"], "**New.**", False, id="a person's, and called a playbook's"),
        pytest.param(["human", "open"], "**Not yet.**", True, id="nothing of it is done"),
    ],
)
def test_a_label_fits_the_states_of_the_steps(found: list[str], label: str, fits: bool) -> None:
    of = {f"shop-a-{number:02}": state for number, state in enumerate(found, 1)}
    assert (label_faults(f"### A\n<!-- shop-a -->\n\n{label} …\n", of) == []) is fits


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        pytest.param(
            "playbooks/nowhere.yml -i inventories/owlivion", "there is no playbooks/nowhere.yml", id="playbook"
        ),
        pytest.param(
            "playbooks/backup.yml -i inventories/newsletter",
            "playbooks/backup.yml is not for inventories/owlivion",
            id="inventory",
        ),
        pytest.param(
            "playbooks/backup.yml -i inventories/owlivion -e restore_confirm=owlivion_sync",
            "playbooks/backup.yml does not take restore_confirm",
            id="variable of another playbook",
        ),
        pytest.param(
            "playbooks/service.yml -i inventories/owlivion -e service_name=nginx -e service_state=gone",
            "service_state cannot be gone",
            id="value",
        ),
        pytest.param(
            "playbooks/service.yml -i inventories/owlivion -e service_name=worker -e service_state=started",
            "service_name: the inventory has no worker",
            id="service of another system",
        ),
        pytest.param('-e \'{"health_topics": ["servces"]}\'', "health_topics cannot be servces", id="value in a list"),
        pytest.param("-e 'deploy_reason=critical bug'", "nothing takes bug", id="of two words Ansible takes the first"),
    ],
)
def test_a_wrong_command_is_found(line: str, fault: str) -> None:
    assert command_faults(parsed(line), "owlivion") == [fault]
