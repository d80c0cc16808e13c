# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is published is what is meant to be, and works where nothing else of this repository is."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from .conftest import LITTER, ROOT, Run, tracked

INSTALLED = ("meta", "playbooks", "plugins", "roles")
# All that may stand at the top of the artefact: what runs, what people read, and what Galaxy adds.
TOP = {*INSTALLED, "changelogs", "docs", "FILES.json", "MANIFEST.json"}
READ = {"CHANGELOG.md", "CHANGELOG.rst", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "COPYING", "README.md", "SECURITY.md"}
PLAYBOOKS = sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml"))


def members(artefact: Path) -> list[str]:
    with tarfile.open(artefact) as archive:
        return [member.name for member in archive.getmembers() if not member.isdir()]


def test_the_artefact_holds_only_what_it_should(artefact: Path) -> None:
    assert {name.partition("/")[0] for name in members(artefact)} - TOP - READ == set()


def test_no_litter_of_a_checkout_is_published(artefact: Path) -> None:
    names = members(artefact)
    assert [name for name in names if name in LITTER or name.endswith((".pyc", ".tar.gz"))] == []


def test_everything_that_runs_is_published(artefact: Path) -> None:
    wanted = {name for name in tracked() if name.startswith(tuple(f"{top}/" for top in INSTALLED))}
    assert wanted - set(members(artefact)) == set()


@pytest.mark.parametrize("kind", ["module", "filter", "test", "callback"])
def test_every_plugin_is_documented_where_it_is_installed(run: Run, installed: Path, tmp_path: Path, kind: str) -> None:
    folder = ROOT / "plugins" / {"module": "modules"}.get(kind, kind)
    wanted = {f"runbook.ops.{path.stem}" for path in folder.glob("*.py") if path.name != "__init__.py"}
    listed = run("ansible-doc", "-t", kind, "-l", "runbook.ops", cwd=tmp_path, ANSIBLE_COLLECTIONS_PATH=str(installed))
    rows = {line.split()[0]: line.split()[1:] for line in listed.splitlines() if line.strip()}
    assert wanted - set(rows) == set()
    assert [name for name in wanted if rows[name][:1] in ([], ["UNDOCUMENTED"])] == []


def test_the_installed_playbooks_run_by_their_full_names(run: Run, installed: Path, tmp_path: Path) -> None:
    told = run(
        "ansible-playbook",
        *(f"runbook.ops.{playbook}" for playbook in PLAYBOOKS),  # in one run: to start takes longer than to check
        "--syntax-check",
        "-i",
        "host-1,",
        cwd=tmp_path,
        ANSIBLE_COLLECTIONS_PATH=str(installed),
        ANSIBLE_STDOUT_CALLBACK="runbook.ops.runbook",
    )
    where = installed / "ansible_collections" / "runbook" / "ops" / "playbooks"
    assert [line for line in told.splitlines() if line] == [
        f"playbook: {where / playbook}.yml" for playbook in PLAYBOOKS
    ]
