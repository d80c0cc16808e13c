# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the whole share: a clean environment, the built artefact, and where a test host is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
# Left behind by work in a checkout; none of it may reach an artefact.
LITTER = (
    ".cache/venv/bin/python",
    "tests/output/report.txt",
    "plugins/modules/__pycache__/x.cpython-311.pyc",
    "old.tar.gz",
)

Run = Callable[..., str]


@pytest.fixture(scope="session")
def run() -> Run:
    """Run one of Ansible's programs, without the caller's settings, and return what it printed."""

    def run_program(program: str, *arguments: str, cwd: Path, **environment: str) -> str:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        done = subprocess.run(
            [str(BIN / program), *arguments],
            cwd=cwd,
            env={**kept, "PATH": f"{BIN}:{kept.get('PATH', os.defpath)}", "LC_ALL": "C.UTF-8", **environment},
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, f"{program} {' '.join(arguments)}\n{done.stdout}{done.stderr}"
        return done.stdout

    return run_program


def tracked() -> list[str]:
    """Return the paths of all files that git tracks or would track."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return [name for name in names if name and os.path.lexists(ROOT / name)]


@pytest.fixture(scope="session")
def artefact(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the collection from a copy of this checkout that has litter in it."""
    copy, output = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("artefact")
    for name in tracked():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy / name, follow_symlinks=False)
    for name in LITTER:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text("litter\n", encoding="utf-8")
    run("ansible-galaxy", "collection", "build", "--output-path", str(output), cwd=copy)
    (built,) = output.glob("runbook-ops-*.tar.gz")
    return built


@pytest.fixture(scope="session")
def installed(run: Run, artefact: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the artefact, without network, and return the collections path."""
    path = tmp_path_factory.mktemp("collections")
    run("ansible-galaxy", "collection", "install", "--offline", str(artefact), "-p", str(path), cwd=path)
    return path


@pytest.fixture(scope="session")
def overlay() -> Path:
    """Return the inventory that lays a test host over the one of Owlivion."""
    given = os.environ.get("RUNBOOK_TEST_INVENTORY")
    if not given:
        pytest.fail(
            "RUNBOOK_TEST_INVENTORY is not set: bring a test host up (python3 tests/hosts/hosts.py up) and name its "
            "overlay inventory there"
        )
    path = Path(given).resolve()
    if not path.exists():
        pytest.fail(f"RUNBOOK_TEST_INVENTORY names {path}, which does not exist: is the test host up?")
    return path
