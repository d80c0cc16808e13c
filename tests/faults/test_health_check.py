# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The morning checklist finds what is wrong, and says so by its exit status."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .conftest import Host

WAIT = "until curl --fail --silent --output /dev/null https://owlivion.com/api/v1/health; do sleep 0.2; done"


@pytest.fixture
def restored(host: Host) -> Iterator[Host]:
    """Return a host that is put in order again afterwards, whatever was stopped."""
    yield host
    host(
        "systemctl start postgresql nginx\n"
        "cd / && runuser -u owlivion -- env HOME=/home/owlivion pm2 restart owlivion-sync-server >/dev/null\n"
        f"timeout 90 sh -c '{WAIT}'"
    )


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        pytest.param("systemctl stop nginx", ["nginx", "critical"], id="nginx is stopped"),
        pytest.param(
            "systemctl stop postgresql 'postgresql@*.service'",
            ["owlivion_sync", "critical"],
            id="PostgreSQL is stopped",
        ),
        pytest.param(
            "cd / && runuser -u owlivion -- env HOME=/home/owlivion pm2 stop owlivion-sync-server",
            ["owlivion-sync-server", "critical"],
            id="the application is stopped",
        ),
    ],
)
def test_a_fault_is_named_and_the_exit_status_is_not_0(restored: Host, fault: str, words: list[str]) -> None:
    restored(fault)
    outcome = restored.play("health_check")
    assert outcome.code != 0
    assert outcome.lines_with(*words), outcome.text


def test_a_healthy_host_passes(restored: Host) -> None:
    outcome = restored.play("health_check")
    assert outcome.code == 0, outcome.text
