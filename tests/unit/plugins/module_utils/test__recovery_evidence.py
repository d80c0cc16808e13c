# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a host is in use."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._recovery_evidence import evidence


def make(root, path):
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.touch()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        pytest.param("srv/shop/server.js", "/srv/shop is there", id="what would be restored"),
        pytest.param("var/lib/runbook-ops/runs/20261121T170000Z-backup-1.json", "/var/lib/runbook-ops/runs is there", id="records of runs"),
        pytest.param("var/lib/runbook-ops/change/window.json", "/var/lib/runbook-ops/change is there", id="a change that was begun"),
        pytest.param("var/lib/runbook-ops/restores/1.json", "runbook-ops/restores is there", id="restores"),
        pytest.param("var/lib/postgresql/15/main/base/16384/1", "/var/lib/postgresql/15/main holds databases", id="a database"),
        pytest.param("home/shop/.pm2/dump.pm2", "/home/shop/.pm2 is there", id="applications"),
        pytest.param("root/.pm2/dump.pm2", "/root/.pm2 is there", id="applications of root"),
        pytest.param("var/lib/docker/containers/1/config.json", "Docker has containers", id="containers"),
        pytest.param("var/lib/docker/volumes/shop_data/_data/1", "Docker has volumes", id="a volume"),
        pytest.param("var/lib/mysql/shop/orders.ibd", "/var/lib/mysql is not empty", id="data of MySQL"),
        pytest.param("var/lib/mongodb/WiredTiger", "/var/lib/mongodb is not empty", id="data of MongoDB"),
        pytest.param("var/lib/redis/dump.rdb", "/var/lib/redis is not empty", id="data of Redis"),
        pytest.param("var/lib/containers/storage/db.sql", "containers/storage is not empty", id="containers of Podman"),
        pytest.param("var/lib/libvirt/images/shop.img", "libvirt/images is not empty", id="virtual machines"),
        pytest.param("etc/nginx/sites-enabled/shop", "/etc/nginx/sites-enabled/shop is there", id="a site"),
        pytest.param("etc/systemd/system/shop.service", "/etc/systemd/system/shop.service is there", id="a service of its own"),
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
        pytest.param("var/lib/runbook-ops/change/lock.json", id="with the lock that this run has taken"),
        pytest.param("home/admin/.bashrc", id="with an account"),
        pytest.param("etc/nginx/sites-enabled/default", id="with nginx as it comes"),
        pytest.param("etc/systemd/system/multi-user.target.wants/ssh.service", id="with a service that is enabled"),
        pytest.param(
            "var/lib/runbook-ops/runs/20261121T170000Z-disaster_recovery-1.json", id="with the record of this run"
        ),
    ],
)
def test_an_empty_host_is_one(tmp_path, path):
    make(tmp_path, path)
    (tmp_path / "srv/shop").mkdir(parents=True)
    assert evidence(["/srv/shop"], root=tmp_path, own=Path("/var/lib/runbook-ops/recovery")) == []
