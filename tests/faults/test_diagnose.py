# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A diagnosis is whole and quick while the host is ill, and leaves it as it was."""

from __future__ import annotations

import hashlib
import json
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from .conftest import Host

LONGEST_SECONDS = 60
# Where a trace could be left; what is written there all the time is left out.
TRACES = (
    "find /tmp /var/tmp /dev/shm /root /home /etc /opt /srv /var/lib/runbook-ops -xdev -printf '%p %s %T@ %m\\n' 2>/dev/null"
    " | grep -v -e '/\\.pm2' -e '/PostgreSQL\\.' -e '^/dev/shm ' -e '/systemd-private' | sort"
)
HEAL = """
kill -CONT $(pgrep -f owlivion-sync-server/server.js) 2>/dev/null
systemctl start postgresql nginx
timeout 90 sh -c 'until curl --fail --silent --max-time 2 --output /dev/null https://owlivion.com/api/v1/health; do sleep 0.2; done'
"""


class Diagnosis(NamedTuple):
    """A bundle, read."""

    code: int
    output: str
    seconds: float
    files: dict[str, str]

    @property
    def summary(self) -> str:
        return self.files["summary.txt"]


def diagnose(host: Host, folder: Path, **variables: object) -> Diagnosis:
    path = folder / "bundle.tar.gz"
    began = time.monotonic()
    outcome = host.play("diagnose", variables={"diagnosis_path": str(path), **variables})
    seconds = time.monotonic() - began
    files = {}
    with tarfile.open(path) as archive:
        for member in archive.getmembers():
            file = archive.extractfile(member)
            assert file is not None
            files[member.name.partition("/")[2]] = file.read().decode()
    return Diagnosis(outcome.code, outcome.text, seconds, files)


@pytest.fixture
def ill(host: Host) -> Iterator[Host]:
    """Return a host that is put in order again afterwards."""
    yield host
    host(HEAL)


def test_a_healthy_host_is_left_as_it_was(host: Host, tmp_path: Path) -> None:
    before, traces = host.fingerprint(), host(TRACES)
    found = diagnose(host, tmp_path)
    assert found.code == 0, found.output
    assert host.fingerprint() == before
    assert set(host(TRACES).splitlines()) ^ set(traces.splitlines()) == set()


def test_the_bundle_is_whole_and_private(host: Host, tmp_path: Path) -> None:
    found = diagnose(host, tmp_path)
    manifest = json.loads(found.files["manifest.json"])
    told = {
        name: hashlib.sha256(text.encode()).hexdigest() for name, text in found.files.items() if name != "manifest.json"
    }
    assert {name: one["sha256"] for name, one in manifest["files"].items()} == told
    assert (tmp_path / "bundle.tar.gz").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["bundle.tar.gz"]
    assert all(topic["status"] != "failed" for topic in manifest["hosts"]["owlivion-1"]["topics"].values())


@pytest.mark.parametrize(
    ("fault", "wrong", "missing"),
    [
        pytest.param("systemctl stop postgresql 'postgresql@*.service'", "owlivion_sync", "PostgreSQL: owlivion_sync", id="PostgreSQL is stopped"),
        pytest.param("systemctl stop nginx", "nginx", None, id="nginx is stopped"),
        pytest.param("kill -STOP $(pgrep -f owlivion-sync-server/server.js)", "owlivion-sync-server health", None, id="the application hangs"),
    ],
)  # fmt: skip
def test_an_ill_host_is_diagnosed_in_time(
    ill: Host, tmp_path: Path, fault: str, wrong: str, missing: str | None
) -> None:
    ill(fault)
    found = diagnose(ill, tmp_path)
    assert found.code == 0, found.output
    assert found.seconds < LONGEST_SECONDS
    what, _heading, rest = found.summary.partition("WHAT CHANGED LATELY")
    assert wrong in what, found.summary
    assert missing is None or missing in what.partition("NOT LOOKED AT")[2]
    assert "load.txt" in rest


def test_one_fault_is_told_as_one(ill: Host, tmp_path: Path) -> None:
    ill("systemctl stop postgresql 'postgresql@*.service'")
    found = diagnose(ill, tmp_path)
    roots = [line for line in found.summary.partition("NOT LOOKED AT")[0].splitlines() if line.startswith("  critical")]
    assert len(roots) == 1, found.summary
    assert "follows from it" in found.summary


def test_a_host_that_cannot_be_reached_is_named_and_the_run_fails(host: Host, tmp_path: Path) -> None:
    found = diagnose(host, tmp_path, ansible_port=9)
    assert found.code != 0
    assert "not reached" in found.summary


def test_nothing_is_written_in_check_mode(host: Host, tmp_path: Path) -> None:
    outcome = host.play("diagnose", "--check", "--diff", variables={"diagnosis_path": f"{tmp_path}/bundle.tar.gz"})
    assert outcome.code == 0, outcome.text
    assert not list(tmp_path.iterdir())
