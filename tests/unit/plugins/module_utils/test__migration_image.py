# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Migrations by programs of an image: what Docker is told to do, and that nothing is left. Docker itself is a stand-in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _migration_image, _migration_programs
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import DeployPaths, write_json
from ansible_collections.runbook.ops.plugins.module_utils._migration_image import ReleaseImage, opened
from ansible_collections.runbook.ops.plugins.module_utils._migration_plan import MigrationError
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import Outcome, PipelineError
from ansible_collections.runbook.ops.plugins.module_utils._release import Release, encode

R1 = "20260101T000000Z-0f3a9c1d2e4b"
IMAGE = "registry/api@sha256:" + "a" * 64
PROCESS = {
    "service": {
        "user": "app",
        "restart": "unless-stopped",
        "stop_grace_period": "2m0s",
        "healthcheck": {"test": ["CMD", "x"]},
        "command": ["serve"],
    },
    "networks": {"default": {"aliases": ["api"]}},
    "named": {"networks": {"default": {"name": "shop_default", "external": True}}},
}


class Docker:
    """Notes what it is told, and what the file said that Compose was given."""

    def __init__(self, running: list[dict[str, Any]] | None = None, wrong: str = "") -> None:
        self.calls: list[list[str]] = []
        self.files: list[dict[str, Any]] = []
        self.running, self.wrong = running or [], wrong

    def run(self, stages: Any, **_limits: float) -> Outcome:
        argv = [*stages[0].argv]
        words = argv[argv.index("docker") + 1 :]
        self.calls.append(words)
        if "--file" in words:
            self.files.append(json.loads(Path(words[words.index("--file") + 1]).read_text()))
            if self.wrong:
                raise PipelineError(self.wrong, name="npx")
        if words[0] == "cp":
            copied = Path(words[2])
            (copied / "1_init").mkdir(parents=True)
            (copied / "1_init" / "migration.sql").write_text("SELECT 1;")
        return Outcome(b"0001\n" if words[0] == "compose" else b"c0ffee\n", 0, (), 0.0)

    def ask(self, path: str) -> Any:
        return self.running if path.startswith("/containers") else {"Config": {"WorkingDir": "/app"}}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    paths = DeployPaths("api", str(tmp_path))
    paths.make()
    write_json(paths.release(R1), told())
    write_json(paths.environment(R1), {"DATABASE_URL": "postgresql://app:pa55word1@database/shop", "KEY": "k"})
    return tmp_path


def told() -> dict[str, Any]:
    values: dict[str, Any] = dict.fromkeys(Release._fields)
    values.update(id=R1, service="api", kind="image", image=IMAGE, process=PROCESS, built_at="2026-01-01T00:00:00Z")
    return encode(Release(**values))


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch) -> Docker:
    made = Docker()
    monkeypatch.setattr(_migration_image, "run_pipeline", made.run)
    monkeypatch.setattr(_migration_programs, "run_pipeline", made.run)
    monkeypatch.setattr(_migration_image, "ask", made.ask)
    return made


def given(here: Path, **more: Any) -> dict[str, Any]:
    return {
        "release": {"service": "api", "id": R1, "directory": str(here)},
        "directory": "prisma/migrations",
        "kind": "prisma",
        **more,
    }


def test_a_program_runs_in_a_container_of_the_new_image_beside_what_serves(here: Path, docker: Docker) -> None:
    release = ReleaseImage("api", R1, str(here))
    call = release.program(["npx", "prisma"], {"KEY": "a$b"}, timeout_seconds=10)
    assert call("migrate", "deploy") == "0001\n"
    (words,) = docker.calls
    assert words[:4] == ["compose", "--progress", "quiet", "--project-name"]
    assert words[-6:] == ["run", "--rm", "--no-deps", "--no-TTY", "--interactive=false", "api-migration"]
    service = docker.files[0]["services"]["api-migration"]
    assert service == {
        "user": "app",
        "image": IMAGE,
        "pull_policy": "never",
        "entrypoint": ["npx", "prisma", "migrate", "deploy"],
        "environment": {"KEY": "a$$b"},
        "networks": {"default": {}},
    }, (
        "no port, no alias, no restart, no health check, not the release's own command, nor the time that it may take to end"
    )
    assert docker.files[0]["networks"] == {"default": {"name": "shop_default", "external": True}}


def test_its_variables_stay_in_a_file_for_root_which_is_gone_afterwards(here: Path, docker: Docker) -> None:
    release = ReleaseImage("api", R1, str(here))
    assert release.environment["KEY"] == "k"
    docker.wrong = "npx ended with 1: cannot reach postgresql://app:pa55word1@database/shop"
    with pytest.raises(MigrationError, match="npx ended with 1") as failed:
        release.program(["npx"], release.environment, timeout_seconds=10)()
    assert "pa55word1" not in str(failed.value)
    assert "pa55word1" not in str(docker.calls)
    assert not (here / "api" / "migration.json").exists()


def test_the_files_of_the_image_are_looked_into_and_not_kept(here: Path, docker: Docker) -> None:
    with opened(given(here)) as (release, params):
        assert release is not None
        copied = Path(params["directory"])
        assert [one.parent.name for one in copied.glob("*/migration.sql")] == ["1_init"]
    assert not copied.exists()
    assert [call[0] for call in docker.calls] == ["create", "cp", "rm"]
    assert docker.calls[1][1] == "c0ffee:/app/prisma/migrations/."
    assert docker.calls[0][docker.calls[0].index("--network") + 1] == "none"


def test_what_a_killed_call_has_left_is_taken_away_and_what_still_works_is_waited_for(
    here: Path, docker: Docker
) -> None:
    call = ReleaseImage("api", R1, str(here)).program(["npx"], {}, timeout_seconds=10)
    docker.running = [{"Id": "old", "State": "exited", "Names": ["/api-migration-1"]}]
    call()
    assert docker.calls[0] == ["rm", "--force", "old"]
    docker.running = [{"Id": "old", "State": "running", "Names": ["/api-migration-2"]}]
    with pytest.raises(
        MigrationError, match=r"still at work in the container api-migration-2: wait .* docker rm -f api-migration-2"
    ):
        call()


def test_what_was_killed_while_files_were_looked_into_is_taken_away_by_the_next_look(
    here: Path, docker: Docker
) -> None:
    docker.running = [{"Id": "old", "State": "created", "Names": ["/distracted_hopper"]}]
    with opened(given(here)):
        pass
    assert [call[0] for call in docker.calls] == ["rm", "create", "cp", "rm"]
    assert docker.calls[0] == ["rm", "--force", "old"]


def test_that_files_cannot_be_copied_is_said_with_its_reason(
    here: Path, docker: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(stages: Any, **limits: float) -> Outcome:
        if "cp" in stages[0].argv:
            raise PipelineError("docker: no space left on device", name="docker")
        return docker.run(stages, **limits)

    monkeypatch.setattr(_migration_image, "run_pipeline", run)
    with pytest.raises(MigrationError, match="no space left on device") as failed, opened(given(here)):
        pass
    assert "/app/prisma/migrations cannot be copied" in str(failed.value)
    assert docker.calls[-1] == ["rm", "--force", "c0ffee"]


def test_a_release_that_does_not_say_how_it_is_run_is_refused(here: Path) -> None:
    write_json(DeployPaths("api", str(here)).release(R1), {**told(), "process": {}})
    with pytest.raises(MigrationError, match="does not say how it is run: its definition was not kept"):
        ReleaseImage("api", R1, str(here))


def test_without_a_release_programs_are_those_of_the_host(here: Path, docker: Docker) -> None:
    with opened(given(here, release=None)) as (release, params):
        assert (release, params["directory"]) == (None, "prisma/migrations")
    with opened(given(here, directory="/srv/release/sql")) as (release, params):
        assert release is not None
        assert params["directory"] == "/srv/release/sql"
    assert docker.calls == []


def test_a_release_that_is_not_there_is_said(here: Path) -> None:
    with pytest.raises(MigrationError, match="r2 is no release of api with an image"):
        ReleaseImage("api", "r2", str(here))
