# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much room a server has is known where it is seen, and never guessed."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _pg_disk
from ansible_collections.runbook.ops.plugins.module_utils._pg_disk import free_of, parse_df
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import PgTarget
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import PipelineError

HEAD = "Filesystem     1024-blocks    Used Available Capacity Mounted on\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(f"{HEAD}/dev/sda1 1000 600 400 60% /var/lib", 400 * 1024, id="one disk"),
        pytest.param(f"{HEAD}/dev/sda1 1000 600 400 60% /a path", 400 * 1024, id="mounted where a blank is"),
        pytest.param(f"{HEAD}overlay 1000 600 - - /", None, id="a disk that tells nothing"),
        pytest.param(HEAD, None, id="no disk"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_what_df_tells(text, expected):
    assert parse_df(text) == expected


@pytest.mark.parametrize(
    ("params", "known"),
    [
        pytest.param({}, True, id="the socket"),
        pytest.param({"login_host": "localhost"}, True, id="this host"),
        pytest.param({"login_host": "/run/postgresql"}, True, id="another socket"),
        pytest.param({"login_host": "db.example.com"}, False, id="another host, which may have the same path"),
    ],
)
def test_only_disks_of_this_host_are_looked_at(tmp_path, params, known):
    free = free_of(params)({"1663": str(tmp_path), "17000": str(tmp_path / "gone"), "17001": None})
    assert set(free) == ({1663} if known else set())
    assert all(size > 0 for size in free.values())


def test_in_a_container_its_own_df_is_asked_and_what_it_cannot_tell_is_left_out(monkeypatch):
    asked = []

    def run(stages, **_limits):
        asked.append(list(stages[0].argv))
        if stages[0].argv[-1] == "/gone":
            raise PipelineError("docker failed")
        return SimpleNamespace(text=f"{HEAD}overlay 1000 600 400 60% /")

    monkeypatch.setattr(_pg_disk, "run_pipeline", run)
    monkeypatch.setattr(PgTarget, "container", "shop-db-1")
    free = free_of({"container": "db"})({"1663": "/var/lib/postgresql/data", "17000": "/gone", "17001": None})
    assert free == {1663: 400 * 1024}
    assert asked[0] == ["docker", "exec", "shop-db-1", "df", "-Pk", "/var/lib/postgresql/data"]
