# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the image of a release is built from its directory."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _release_compose
from ansible_collections.runbook.ops.plugins.module_utils._release import BUILD, ReleaseError
from ansible_collections.runbook.ops.plugins.module_utils._release_compose import Plan, build, name_of, plan_of

IMAGE = "sha256:" + "a" * 64


@pytest.fixture
def release(tmp_path):
    """The directory of a release, with the application below it."""
    (tmp_path / "web" / "docker").mkdir(parents=True)
    for name in ("Dockerfile", "docker/Dockerfile"):
        (tmp_path / "web" / name).touch()
    return tmp_path


def plan(release, said):
    return plan_of(said, project="/srv/shop", where=str(release / "web"), root=str(release))


def test_paths_of_the_compose_file_are_those_of_the_release(release):
    assert plan(release, None) == Plan(str(release / "web"), str(release / "web" / "Dockerfile"))
    said = {"context": "/srv/shop/docker", "dockerfile": "Dockerfile", "target": "run", "args": {"A": 1, "B": None}}
    directory = release / "web" / "docker"
    assert plan(release, said) == Plan(str(directory), str(directory / "Dockerfile"), "run", None, {"A": "1"})


@pytest.mark.parametrize(
    ("said", "words"),
    [
        pytest.param({"context": "/etc"}, "build.context leads out of the release", id="a directory of the host"),
        pytest.param(
            {"context": "/srv/shop", "dockerfile": "/etc/passwd"}, "build.dockerfile leads out", id="a file of the host"
        ),
        pytest.param({"context": "/srv/shop", "dockerfile": "none"}, "the release has no web/none", id="no such file"),
        pytest.param(
            {"context": "/srv/shop", "secrets": ["key"]}, "has secrets, which is not done here", id="a secret"
        ),
    ],
)
def test_what_cannot_be_built_is_refused(release, said, words):
    with pytest.raises(ReleaseError, match=words):
        plan(release, said)


def test_a_build_argument_is_in_no_argument_of_a_program(release, monkeypatch):
    seen = {}

    def run(_account, directory, steps, *, environment, **_more):
        seen.update(directory=directory, step=steps[0], environment=environment)
        step = steps[0]
        told = step[step.index("--iidfile") + 1]
        Path(told).write_text(IMAGE, encoding="utf-8")
        return 1.0

    monkeypatch.setattr(_release_compose.builder, "build", run)
    made = plan(release, {"context": "/srv/shop", "args": ["TOKEN=s3cr3t"]})
    log = release / "x.log"
    image = build(made, service="My Shop", release="r1", commit="c" * 40, directory=str(release), seconds=5, log=log)
    assert image == IMAGE
    assert "s3cr3t" not in " ".join(seen["step"])
    assert seen["environment"]["TOKEN"] == "s3cr3t" and seen["environment"][BUILD] == str(release)
    assert name_of("My Shop", "r1") == "runbook-ops/my-shop:r1" in seen["step"]
    assert not (release / "x.image").exists()
