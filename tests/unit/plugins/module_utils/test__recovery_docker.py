# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a drill removes from Docker: all that it has brought, and nothing that was there."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._command import CommandError
from ansible_collections.runbook.ops.plugins.module_utils._recovery_docker import listed, remove_new, stop_own

NOTHING = {"containers": [], "volumes": [], "networks": [], "images": []}


class FakeDocker:
    """Programs of a host; Docker lists what it ``has``, and does not answer the first ``deaf`` times."""

    def __init__(self, has, deaf=0):
        self.has, self.deaf, self.calls = has, deaf, []

    def __call__(self, program):
        def run(*arguments, **_options):
            if program == "docker" and self.deaf:
                self.deaf -= 1
                raise CommandError("docker ps failed (1): cannot connect")
            first = {"ps": "containers", "volume": "volumes", "network": "networks", "images": "images"}.get(
                arguments[0]
            )
            if first and "--quiet" in arguments:
                return "\n".join(self.has[first])
            self.calls.append(" ".join([program, *arguments]))
            return ""

        return run


def test_what_is_new_goes_data_first_and_what_was_there_stays():
    docker = FakeDocker({"containers": ["c1"], "volumes": ["data"], "networks": ["n1"], "images": ["old", "new"]})
    did = []
    remove_new(docker, {**NOTHING, "images": ["old"]}, did.append)
    assert docker.calls == [
        "docker rm --force --volumes c1",
        "docker volume rm --force data",
        "docker network rm n1",
        "docker rmi --force new",
    ]
    assert did == [f"remove 1 {kind} of Docker" for kind in ("containers", "volumes", "networks", "images")]


def test_nothing_new_is_nothing_to_do():
    docker = FakeDocker({**NOTHING, "images": ["old"]})
    remove_new(docker, listed(docker), pytest.fail)
    assert docker.calls == []


def test_docker_that_was_stopped_is_started_to_remove_what_it_holds():
    docker = FakeDocker({**NOTHING, "volumes": ["data"]}, deaf=1)
    remove_new(docker, NOTHING, lambda _what: None)
    assert docker.calls == ["systemctl start docker.service", "docker volume rm --force data"]


def test_it_is_not_clean_where_docker_does_not_answer():
    with pytest.raises(CommandError):
        remove_new(FakeDocker({**NOTHING, "volumes": ["data"]}, deaf=9), NOTHING, lambda _what: None)


@pytest.mark.parametrize("deaf", [0, 9], ids=["that runs", "that never ran"])
def test_docker_that_came_with_the_recovery_is_stopped(deaf):
    docker = FakeDocker({**NOTHING, "containers": ["c1"]}, deaf=deaf)
    stop_own(docker)
    assert docker.calls[-1] == "systemctl stop docker.socket docker.service containerd.service"
    assert ("docker rm --force --volumes c1" in docker.calls) == (deaf == 0)
