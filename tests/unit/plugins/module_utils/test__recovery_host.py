# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a host is in use, and what a drill has written into its hosts file."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _recovery_host
from ansible_collections.runbook.ops.plugins.module_utils._command import CommandError
from ansible_collections.runbook.ops.plugins.module_utils._recovery_host import (
    Cleaner,
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


class FakeHost:
    """Programs of a host: psql answers from ``answers``, in turn; None is a server that does not run."""

    def __init__(self, *answers):
        self.answers, self.calls = list(answers), []

    def __call__(self, program, **_options):
        def run(*arguments, stdin="", **_more):
            self.calls.append(" ".join([program, *(arguments if program != "psql" else [stdin])]))
            answer = self.answers.pop(0) if program == "psql" and self.answers else ""
            if answer is None:
                raise CommandError("psql failed: connection refused")
            return answer

        return run


def cleaner(program, **journal):
    empty = {key: [] for key in ("paths", "accounts", "roles", "units", "made", "there", "packages", "users", "groups")}
    made = Cleaner({**empty, **journal}, program)
    made._has = lambda _program: True
    return made


def test_databases_are_dropped_while_their_server_still_runs(monkeypatch):
    host = FakeHost("shop\n")
    monkeypatch.setattr(_recovery_host.pwd, "getpwall", list)
    clean = cleaner(
        host, units=["nginx.service", "postgresql@15-main.service"], packages=["postgresql-15"], roles=["shop"]
    )
    for step in (clean._stop, clean._drop_databases, clean._stop_stores):
        step()
    assert [call for call in host.calls if "daemon-reload" not in call and "SELECT" not in call] == [
        "systemctl stop nginx.service",
        'psql DROP DATABASE "shop" WITH (FORCE);',
        'psql DROP ROLE IF EXISTS "shop";',
        "systemctl stop postgresql@15-main.service",
    ]


def test_a_server_that_was_stopped_is_started_to_drop_what_it_holds(monkeypatch):
    monkeypatch.setattr(_recovery_host, "clusters_with_data", lambda: ["/var/lib/postgresql/15/main"])
    host = FakeHost(None, "shop\n")
    clean = cleaner(host, packages=["postgresql-15"])
    clean._drop_databases()
    assert "systemctl restart postgresql.service" in host.calls
    assert clean.actions == ["drop database shop"]


def test_it_is_not_clean_where_databases_are_that_cannot_be_dropped(monkeypatch):
    monkeypatch.setattr(_recovery_host, "clusters_with_data", lambda: ["/var/lib/postgresql/15/main"])
    with pytest.raises(CommandError):
        cleaner(FakeHost(None, None), packages=["postgresql-15"])._drop_databases()
    monkeypatch.setattr(_recovery_host, "clusters_with_data", list)
    cleaner(FakeHost(None, None), packages=["postgresql-15"])._drop_databases()


@pytest.mark.parametrize("as_link", [False, True], ids=["restored into it", "replaced by a link"])
def test_a_directory_that_was_there_and_empty_is_so_again(tmp_path, monkeypatch, as_link):
    monkeypatch.setattr(_recovery_host, "STORES", ())
    path = tmp_path / "srv"
    if as_link:
        (tmp_path / "elsewhere").mkdir()
        path.symlink_to(tmp_path / "elsewhere")
    else:
        make(path, "shop/server.js")
        make(path, ".env")
    clean = cleaner(FakeHost(), paths=[str(path)], there=[str(path)])
    monkeypatch.setattr(clean, "_remove_dead_links", lambda: None)  # they are those of this machine
    clean._remove_paths()
    assert path.is_dir()
    assert not path.is_symlink()
    assert list(path.iterdir()) == []
