# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The good and bad versions that deploys are tried with are in a repository as they are described."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
NODE = shutil.which("node")


def _versions() -> ModuleType:
    spec = importlib.util.spec_from_file_location("versions", ROOT / "tests" / "versions" / "versions.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


versions = _versions()


def test_the_ways_to_be_bad_are_each_named_once_and_refused_somewhere() -> None:
    assert len({bad.kind for bad in versions.BAD}) == len(versions.BAD) >= 20
    assert {bad.refused for bad in versions.BAD} == {"build", "migration", "gate", "watch"}
    assert all(bad.flaw or bad.files for bad in versions.BAD)


@pytest.mark.parametrize("kind", versions.KINDS)
def test_a_version_tells_its_number_and_has_the_flaw_that_is_described(kind: str) -> None:
    version = versions.KINDS[kind]
    files = versions.contents(version, "1.7.0")
    assert json.loads(files["package.json"])["version"] == "1.7.0"
    assert version.flaw in files.get("server.js", version.flaw)


@pytest.mark.parametrize("kind", [kind for kind in versions.KINDS if kind not in ("syntax-error", "no-entry-point")])
@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_a_version_is_javascript(kind: str) -> None:
    code = versions.contents(versions.KINDS[kind], "1.0.0")["server.js"]
    done = subprocess.run([str(NODE), "--check", "-"], input=code, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_same_versions_are_the_same_commits_in_every_repository(tmp_path: Path) -> None:
    told = []
    for name in ("one", "other"):
        subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / name)], check=True)
        git = ["git", "-C", str(tmp_path / name)]
        stream = versions.stream(versions.numbered(["good", "never-healthy", "good"]), "server")
        subprocess.run([*git, "fast-import", "--force", "--quiet"], input=stream, text=True, check=True)
        subprocess.run([*git, "fsck", "--strict"], capture_output=True, check=True)
        log = ["log", "--format=%H %s %D", "main", "--", "server/server.js"]
        told.append(subprocess.run([*git, *log], capture_output=True, text=True, check=True).stdout)
    assert told[0] == told[1]
    assert [line.split(maxsplit=1)[1].split(" ")[:2] for line in told[0].splitlines()] == [
        ["1.2.0:", "good"],
        ["1.1.0:", "never-healthy"],
        ["1.0.0:", "good"],
    ]
