# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a host is in use, and what a drill has written into its hosts file."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._recovery_host import (
    RecoveryHostError,
    evidence,
    read_journal,
    without_block,
    write_journal,
)

HOSTS = "127.0.0.1 localhost\n::1 localhost\n"


def make(root, path):
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.touch()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        pytest.param("srv/shop/server.js", "/srv/shop is there", id="what would be restored"),
        pytest.param("var/lib/runbook-ops/runs/20261121T170000Z-backup-1.json", "/var/lib/runbook-ops/runs is there", id="records of runs"),
        pytest.param("var/lib/runbook-ops/restores/1.json", "runbook-ops/restores is there", id="restores"),
        pytest.param("var/lib/postgresql/15/main/base/16384/1", "/var/lib/postgresql/15/main holds databases", id="a database"),
        pytest.param("home/shop/.pm2/dump.pm2", "/home/shop/.pm2 is there", id="applications"),
        pytest.param("root/.pm2/dump.pm2", "/root/.pm2 is there", id="applications of root"),
        pytest.param("var/lib/docker/containers/1/config.json", "Docker has containers", id="containers"),
    ],
)  # fmt: skip
def test_a_host_in_use_is_known_by(tmp_path, path, words):
    make(tmp_path, path)
    assert len(evidence(["/srv/shop"], root=tmp_path)) == 1
    assert words in evidence(["/srv/shop"], root=tmp_path)[0]


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("etc/passwd", id="with what each host has"),
        pytest.param("var/lib/postgresql/15/main/base/5/1", id="with a server that holds nothing"),
        pytest.param("var/lib/runbook-ops/recovery/journal.json", id="with a recovery underway"),
        pytest.param("home/admin/.bashrc", id="with an account"),
        pytest.param(
            "var/lib/runbook-ops/runs/20261121T170000Z-disaster_recovery-1.json", id="with the record of this run"
        ),
    ],
)
def test_an_empty_host_is_one(tmp_path, path):
    make(tmp_path, path)
    (tmp_path / "srv/shop").mkdir(parents=True)
    assert evidence(["/srv/shop"], root=tmp_path, own=Path("/var/lib/runbook-ops/recovery")) == []


def test_only_our_lines_leave_the_hosts_file():
    ours = "# BEGIN runbook.ops drill\n127.0.0.1 shop.example\n# END runbook.ops drill\n"
    assert without_block(HOSTS + ours + "192.0.2.1 other\n") == HOSTS + "192.0.2.1 other\n"
    assert without_block(HOSTS) == HOSTS


def test_a_journal_comes_back_as_it_was_written_and_nobody_else_reads_it(tmp_path):
    path = tmp_path / "recovery" / "journal.json"
    assert read_journal(path) is None
    write_journal(path, {"drill": True})
    assert read_journal(path) == {"drill": True}
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_journal_that_cannot_be_read_says_what_to_do(tmp_path):
    path = tmp_path / "journal.json"
    path.write_text("{")
    with pytest.raises(RecoveryHostError, match="throw this host away"):
        read_journal(path)
