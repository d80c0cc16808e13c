# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What starts a Redis server of our own: the one that is installed here, or the image that the live one runs from. Private to this collection."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from ansible_collections.runbook.ops.plugins.module_utils._docker import DockerError
from ansible_collections.runbook.ops.plugins.module_utils._docker import ask as ask_docker
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import PipelineError, Stage, run_pipeline
from ansible_collections.runbook.ops.plugins.module_utils._probe_program import PATH
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import StoreError

PROGRAMS = ("redis-server", "valkey-server")
LABEL = "runbook.ops.scratch"  # of our containers: the directory that each works in
REMOVAL_SECONDS = 60


class Starter(NamedTuple):
    """How a server is started."""

    argv: tuple[str, ...]
    directory: str  # where it sees the directory that it works in
    clean_up: Callable[[], None]  # once what was started has been killed


def starter(directory: Path, image: str | None) -> Starter:
    """Return what starts a server that works in ``directory``.

    :param image: of the container that the live one runs in; it is used where no server is installed here
    :raises StoreError: there is neither.
    """
    program = next((path for name in PROGRAMS if (path := shutil.which(name, path=PATH))), None)
    if program:
        return Starter((program,), str(directory), lambda: None)
    docker = shutil.which("docker", path=PATH)
    if not image or not docker:
        raise StoreError(
            "no redis-server is installed on this host to try the dump with: install the package redis-server, and disable its "
            "service"
        )
    remove_orphans(docker)
    name = f"runbook-ops{directory.name.replace('.', '-')}"
    # Nobody reaches it, it reaches nobody, and it sees nothing of this host but the directory.
    closed = ("--network", "none", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", "0:0")
    place = ("--label", f"{LABEL}={directory}", "--volume", f"{directory}:/data", "--workdir", "/data")
    argv = (
        docker,
        "run",
        "--rm",
        "--pull",
        "never",
        "--name",
        name,
        *closed,
        *place,
        "--entrypoint",
        PROGRAMS[0],
        image,
    )
    return Starter(argv, "/data", lambda: _remove(docker, name))


def remove_orphans(docker: str) -> list[str]:
    """Remove our containers whose directory is gone, because who started them was killed; return their names."""
    try:
        listed = ask_docker(f"/containers/json?all=1&filters={quote(json.dumps({'label': [LABEL]}))}")
    except DockerError:
        return []
    names = [one["Names"][0].lstrip("/") for one in listed if not Path(one["Labels"][LABEL]).is_dir()]
    for name in names:
        _remove(docker, name)
    return names


def _remove(docker: str, name: str) -> None:
    with contextlib.suppress(PipelineError):  # it has removed itself
        run_pipeline([Stage([docker, "rm", "--force", "--volumes", name])], timeout_seconds=REMOVAL_SECONDS)
