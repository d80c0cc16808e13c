# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a recovery brings into Docker, and how a drill takes it away again. Private to this collection."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._command import CommandError

UNITS = ("docker.socket", "docker.service", "containerd.service")
# Where its packages keep what they are given; gone with a drill that has brought them.
STORES = ("/var/lib/docker", "/var/lib/containerd", "/etc/docker")
# What is personal first. Each: how it is listed, and how it is removed.
KINDS = {
    "containers": (("ps", "--all", "--quiet", "--no-trunc"), ("rm", "--force", "--volumes")),
    "volumes": (("volume", "ls", "--quiet"), ("volume", "rm", "--force")),
    "networks": (("network", "ls", "--quiet", "--no-trunc", "--filter", "type=custom"), ("network", "rm")),
    "images": (("images", "--all", "--quiet", "--no-trunc"), ("rmi", "--force")),
}

Program = Callable[..., Any]


def in_use(root: Path) -> list[str]:
    """Return what shows that Docker holds something of somebody, one phrase each; it is not asked, for it need not run.

    :param root: where the file system of the host is
    """
    found = ["Docker has containers"] if any((root / "var/lib/docker/containers").glob("*")) else []
    # A project of the same name would take its data for its own, and a drill would delete it.
    return found + (["Docker has volumes"] if any((root / "var/lib/docker/volumes").glob("*/_data")) else [])


def listed(program: Program) -> dict[str, list[str]]:
    """Return what Docker has, by kind.

    :raises CommandError: it does not answer.
    """
    docker = program("docker")
    return {kind: list(dict.fromkeys(docker(*ask).split())) for kind, (ask, _remove) in KINDS.items()}


def remove_new(program: Program, before: Mapping[str, list[str]], did: Callable[[str], None]) -> None:
    """Remove from Docker what was not there before.

    :param before: what :func:`listed` has returned then
    :raises CommandError: Docker does not answer, or keeps something: production's data may still be there.
    """
    try:
        now = listed(program)
    except CommandError:
        program("systemctl")("start", "docker.service", accept=range(256))
        now = listed(program)
    docker = program("docker")
    for kind, (_ask, remove) in KINDS.items():
        new = [one for one in now[kind] if one not in before[kind]]
        if new:
            did(f"remove {len(new)} {kind} of Docker")
            docker(*remove, *new)


def stop_own(program: Program) -> None:
    """Stop Docker that has come with the recovery: all that it keeps is deleted, and its packages go."""
    with contextlib.suppress(CommandError):  # it need not have come to run
        containers, remove = KINDS["containers"]
        docker = program("docker")
        docker(*remove, *docker(*containers).split())
    program("systemctl")("stop", *UNITS, accept=range(256))
