# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of a release that Compose runs, each in a container of its own of the release's image. Private to this collection.

It has the variables, networks and volumes that the release will be run with, and neither its ports nor its name: what serves goes on.
"""

from __future__ import annotations

import json
import math
import posixpath
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import (
    DeployPaths,
    StateError,
    read_json,
    remove,
    write_json,
)
from ansible_collections.runbook.ops.plugins.module_utils._docker import LABEL, DockerError, ask
from ansible_collections.runbook.ops.plugins.module_utils._migration import Program
from ansible_collections.runbook.ops.plugins.module_utils._migration_plan import MigrationError
from ansible_collections.runbook.ops.plugins.module_utils._migration_programs import calling
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import PipelineError, Stage, run_pipeline
from ansible_collections.runbook.ops.plugins.module_utils._release import Release, load
from ansible_collections.runbook.ops.plugins.module_utils._slot_compose_file import one_off

CALL_SECONDS = 60
GRACE_SECONDS = 30  # for a container to end by itself
FILE = "migration.json"


class ReleaseImage:
    """One release of a service that Compose runs."""

    def __init__(self, service: str, release: str, directory: str) -> None:
        """Read what the release keeps.

        :raises MigrationError: there is no such release, or it has no image.
        """
        paths = DeployPaths(service, directory)
        try:
            found, variables = load(paths, release), read_json(paths.environment(release))
        except StateError as exc:
            raise MigrationError(str(exc)) from exc
        if found is None or not found.image:
            raise MigrationError(f"{release} is no release of {service} with an image: build it again")
        if not found.process.get("service"):
            raise MigrationError(f"{release} does not say how it is run: its definition was not kept, build it again")
        self.release: Release = found
        self.environment = {name: str(value) for name, value in (variables or {}).items()}
        self._file = paths.directory / FILE
        self._project = re.sub(r"[^a-z0-9_-]", "-", f"{service}-migration".lower()).lstrip("-_")

    def program(self, argv: Sequence[str], environment: Mapping[str, str], *, timeout_seconds: float) -> Program:
        """Return a call of ``argv`` within the image, with ``environment`` in place of the release's variables."""

        def stage(arguments: Sequence[str]) -> Stage:
            words = [*argv, *arguments]
            content = one_off(self.release.process, self._project, str(self.release.image), words, environment)
            write_json(self._file, content)
            place = ("--progress", "quiet", "--project-name", self._project, "--file", str(self._file))
            run = ("run", "--rm", "--no-deps", "--no-TTY", "--interactive=false", self._project)
            return _docker("compose", *place, *run, limit=timeout_seconds, name=posixpath.basename(argv[0]))

        called = calling(stage, environment, timeout_seconds=timeout_seconds + 2 * GRACE_SECONDS)

        def call(*arguments: str) -> str:
            self._end_old()
            try:
                return called(*arguments)
            except StateError as exc:
                raise MigrationError(str(exc)) from exc
            finally:
                with suppress(StateError):
                    remove(self._file)

        return call

    @contextmanager
    def files(self, below: str) -> Iterator[Path]:
        """Return a directory with what the image has in ``below``, relative to where its programs run.

        :raises MigrationError: it has none.
        """
        image = str(self.release.image)
        try:
            inside = (ask(f"/images/{quote(image, safe='/:@')}/json").get("Config") or {}).get("WorkingDir") or "/"
        except DockerError as exc:
            raise MigrationError(str(exc)) from exc
        place = posixpath.join(inside, below)
        self._end_old()
        mine = ("--label", f"{LABEL}project={self._project}", "--network", "none")
        identity = _told("create", *mine, "--entrypoint", "/nothing", image)
        try:
            with tempfile.TemporaryDirectory(prefix="runbook-migration-") as directory:
                copy = Path(directory) / "files"
                try:
                    _told("cp", f"{identity}:{place}/.", str(copy))
                except MigrationError as exc:
                    raise MigrationError(
                        f"{place} cannot be copied out of the image of {self.release.id}: {exc}; where it is missing, correct source.migrations"
                    ) from exc
                yield copy
        finally:
            with suppress(MigrationError):
                _told("rm", "--force", identity)

    def _end_old(self) -> None:
        """Take away what a killed call has left; one that still works is waited for by nobody.

        :raises MigrationError: one is at work.
        """
        for one in _listed(self._project):
            if one["State"] in ("running", "paused", "restarting"):
                name = one["Names"][0].lstrip("/")
                raise MigrationError(
                    f"a program that an earlier run has started is still at work in the container {name}: wait until it has ended, "
                    f"or, where it hangs, end it with docker rm -f {name} and look at the database"
                )
            _told("rm", "--force", one["Id"])


@contextmanager
def opened(params: Mapping[str, Any]) -> Iterator[tuple[ReleaseImage | None, Mapping[str, Any]]]:
    """Return the release whose image holds the programs, and ``params`` with a directory on this host.

    :raises MigrationError: there is no such release, or its image lacks the directory.
    """
    asked = params.get("release")
    if not asked:
        yield None, params
        return
    release = ReleaseImage(asked["service"], asked["id"], asked["directory"])
    below = params["directory"]
    if not below or posixpath.isabs(below):
        yield release, params
        return
    with release.files(below) as directory:
        yield release, {**params, "directory": str(directory), "place": below}


def _docker(*arguments: str, limit: float = CALL_SECONDS, name: str = "docker") -> Stage:
    """Return a call of Docker that is told to end where it takes too long, or where we are killed: then so is what it has started."""
    kept = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
    bounded = ["timeout", f"--kill-after={GRACE_SECONDS}", str(max(1, math.ceil(limit)))]
    return Stage([*kept, *bounded, "docker", *arguments], name=name)


def _told(*arguments: str) -> str:
    try:
        return run_pipeline([_docker(*arguments)], timeout_seconds=CALL_SECONDS + GRACE_SECONDS).text.strip()
    except PipelineError as exc:
        raise MigrationError(str(exc)) from exc


def _listed(project: str) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = ask(
            f"/containers/json?all=1&filters={quote(json.dumps({'label': [f'{LABEL}project={project}']}))}"
        )
    except DockerError as exc:
        raise MigrationError(str(exc)) from exc
    return found
