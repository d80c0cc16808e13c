# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a drill leaves behind: nothing."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _recovery_clean
from ansible_collections.runbook.ops.plugins.module_utils._command import CommandError
from ansible_collections.runbook.ops.plugins.module_utils._recovery_clean import Cleaner, without_block

HOSTS = "127.0.0.1 localhost\n::1 localhost\n"


def make(root, path):
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.touch()


def test_only_our_lines_leave_the_hosts_file():
    ours = "# BEGIN runbook.ops drill\n127.0.0.1 shop.example\n# END runbook.ops drill\n"
    assert without_block(HOSTS + ours + "192.0.2.1 other\n") == HOSTS + "192.0.2.1 other\n"
    assert without_block(HOSTS) == HOSTS


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
    monkeypatch.setattr(_recovery_clean.pwd, "getpwall", list)
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
    monkeypatch.setattr(_recovery_clean, "clusters_with_data", lambda: ["/var/lib/postgresql/15/main"])
    host = FakeHost(None, "shop\n")
    clean = cleaner(host, packages=["postgresql-15"])
    clean._drop_databases()
    assert "systemctl restart postgresql.service" in host.calls
    assert clean.actions == ["drop database shop"]


def test_it_is_not_clean_where_databases_are_that_cannot_be_dropped(monkeypatch):
    monkeypatch.setattr(_recovery_clean, "clusters_with_data", lambda: ["/var/lib/postgresql/15/main"])
    with pytest.raises(CommandError):
        cleaner(FakeHost(None, None), packages=["postgresql-15"])._drop_databases()
    monkeypatch.setattr(_recovery_clean, "clusters_with_data", list)
    cleaner(FakeHost(None, None), packages=["postgresql-15"])._drop_databases()


@pytest.mark.parametrize("as_link", [False, True], ids=["restored into it", "replaced by a link"])
def test_a_directory_that_was_there_and_empty_is_so_again(tmp_path, monkeypatch, as_link):
    monkeypatch.setattr(_recovery_clean, "STORES", ())
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
