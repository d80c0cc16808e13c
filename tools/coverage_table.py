# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check docs/coverage.yml against the catalogue of runbook steps, and write docs/coverage.md for people."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
RANGE = re.compile(r"(?P<section>[a-z0-9-]+-)(?P<first>\d{2})(?:\.\.(?P<last>\d{2}))?")
STATES = ("done", "human", "open")
KEYS = {"done": {"steps", "playbook", "role", "test"}, "human": {"steps", "how"}, "open": {"steps"}}
HEAD = """\
<!-- SPDX-License-Identifier: GPL-3.0-or-later -->
<!-- Written by tools/coverage_table.py from coverage.yml and catalogue_ids.yml: change those, then `make docs`. -->
# Which runbook steps the collection covers

The five example runbooks have {total} steps. A step is **done** where a playbook does it and a test has seen the
effect, **human** where it is a person's work that the collection helps with today, and **open** otherwise.
What each id means stands in [catalogue_ids.yml](catalogue_ids.yml).
"""


def load(name: str, root: Path = ROOT) -> dict[str, Any]:
    """Return the data of ``docs/<name>``."""
    data: dict[str, Any] = yaml.safe_load((root / "docs" / name).read_text(encoding="utf-8"))
    return data


def expand(steps: str) -> list[str]:
    """Return the ids that ``steps`` means: one id, or a range such as ``owlivion-weekly-monday-02..03``.

    :raises ValueError: it is neither.
    """
    found = RANGE.fullmatch(steps)
    if not found:
        raise ValueError(f"{steps!r} is neither an id nor a range: write section-02 or section-02..05")
    first = int(found["first"])
    last = int(found["last"] or first)
    if last < first:
        raise ValueError(f"{steps!r} ends before it begins")
    return [f"{found['section']}{number:02}" for number in range(first, last + 1)]


def ranges(ids: Iterable[str]) -> list[str]:
    """Return ``ids``, which are in order, in as few ranges as possible."""
    found: list[list[str]] = []
    for step in ids:
        section, number = step[:-2], int(step[-2:])
        if found and found[-1][-1] == f"{section}{number - 1:02}":
            found[-1].append(step)
        else:
            found.append([step])
    return [run[0] if len(run) == 1 else f"{run[0]}..{run[-1][-2:]}" for run in found]


def catalogue_ids(catalogue: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return system and procedure of each id."""
    return {
        step: (name, procedure)
        for name, system in catalogue["systems"].items()
        for procedure, steps in system["steps"].items()
        for step in steps
    }


def entries(coverage: Mapping[str, Any]) -> list[tuple[str, dict[str, str]]]:
    """Return all entries of the coverage with their state; an open one may be written as its steps alone."""
    return [
        (state, {"steps": entry} if isinstance(entry, str) else entry)
        for state in STATES
        for entry in coverage.get(state) or []
    ]


def missing_files(entry: Mapping[str, str], root: Path) -> list[str]:
    """Return what an entry names and the collection does not have."""
    wanted = [root / "playbooks" / f"{entry.get('playbook')}.yml", root / "roles" / entry.get("role", "") / "tasks"]
    wanted.append(root / entry.get("test", ""))
    return [f"{entry['steps']}: {path.relative_to(root)} is not there" for path in wanted if not path.exists()]


def mapping_problems(coverage: Mapping[str, Any], catalogue: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the mapping itself: ids without entry, with two, or that no runbook has."""
    known, problems, seen = catalogue_ids(catalogue), [], Counter[str]()
    for state, entry in entries(coverage):
        if set(entry) != KEYS[state] or not all(entry.values()):
            problems.append(f"{state}: {entry} needs exactly {', '.join(sorted(KEYS[state]))}")
        try:
            seen.update(expand(entry.get("steps", "")))
        except ValueError as exc:
            problems.append(str(exc))
    problems += [f"{step} is in no runbook" for step in seen if step not in known]
    problems += [f"{step} is mapped {times} times" for step, times in seen.items() if times > 1]
    return problems + [f"{steps} is not mapped" for steps in ranges(sorted(step for step in known if step not in seen))]


def file_problems(coverage: Mapping[str, Any], root: Path = ROOT) -> list[str]:
    """Return the playbooks, roles and tests that are named and do not exist."""
    return [line for state, entry in entries(coverage) if state == "done" for line in missing_files(entry, root)]


def table(coverage: Mapping[str, Any], catalogue: Mapping[str, Any]) -> str:
    """Return docs/coverage.md."""
    known, systems = catalogue_ids(catalogue), list(catalogue["systems"])
    state_of = {step: state for state, entry in entries(coverage) for step in expand(entry["steps"])}
    lines = [
        HEAD.format(total=len(known)),
        "| System | Steps | done | human | open |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name in systems:
        counts = Counter(state_of[step] for step, (system, _procedure) in known.items() if system == name)
        title = catalogue["systems"][name]["title"]
        lines.append(f"| {title} | {counts.total()} | {' | '.join(str(counts[state]) for state in STATES)} |")
    counts = Counter(state_of.values())
    lines += [f"| **All** | {counts.total()} | {' | '.join(str(counts[state]) for state in STATES)} |", ""]
    lines += ["## By procedure", "", "Done and human steps of all steps; a dash where the runbook has none.", ""]
    lines += [f"| Group | Procedure | {' | '.join(systems)} |", f"| --- | --- |{' ---: |' * len(systems)}"]
    for procedure, about in catalogue["procedures"].items():
        cells = []
        for name in systems:
            steps = catalogue["systems"][name]["steps"].get(procedure, [])
            covered = sum(state_of[step] != "open" for step in steps)
            cells.append(f"{covered} of {len(steps)}" if steps else "–")  # noqa: RUF001  # a dash for people
        lines.append(f"| {about['group']} | {about['title']} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *details(coverage), ""])


def details(coverage: Mapping[str, Any]) -> list[str]:
    """Return what does each step that is done, and how the collection helps with those that are human."""
    lines = ["## Done", "", "| Steps | Playbook | Role | Test |", "| --- | --- | --- | --- |"]
    for entry in coverage.get("done") or []:
        lines.append(f"| {entry['steps']} | `{entry['playbook']}` | `{entry['role']}` | `{entry['test']}` |")
    lines += ["", "## Human", "", "| Steps | How the collection helps |", "| --- | --- |"]
    return lines + [f"| {entry['steps']} | {entry['how']} |" for entry in coverage.get("human") or []]


def main() -> int:
    """Write docs/coverage.md, or with ``--check`` say whether it is up to date."""
    coverage, catalogue = load("coverage.yml"), load("catalogue_ids.yml")
    problems = mapping_problems(coverage, catalogue)
    if problems:
        print("\n".join(problems), file=sys.stderr)
        return 1
    target, text = ROOT / "docs" / "coverage.md", table(coverage, catalogue)
    if "--check" in sys.argv[1:]:
        current = target.exists() and target.read_text(encoding="utf-8") == text
        print(f"docs/coverage.md is {'up to date' if current else 'out of date: run tools/coverage_table.py'}")
        return 0 if current else 1
    target.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
