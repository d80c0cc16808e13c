# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A test restore of MongoDB: where it takes place, and what is left of one that was killed."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _drill_mongodb
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import Backup
from ansible_collections.runbook.ops.plugins.module_utils._mongo_server import Place
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import StoreError

A = {"type": "collection", "documents": 3, "bytes": 9, "sum": "1", "indexes": {}, "options": {}}
CONTENT = {"collections": {"a": A}, "documents": 3, "data_bytes": 9}


class Server:
    def __init__(self, **more: Any) -> None:
        self.answers = {"hello": {"isWritablePrimary": True, "primary": "db-1:27017"}, **more}
        self.asked: list[tuple[str, str]] = []

    def command(self, database: str, name: str, _value: Any = 1, **_more: Any) -> dict[str, Any]:
        self.asked.append((database, name))
        return self.answers.get(name, {"version": "7.0.5"})


class Far(Place):
    server: Server

    @contextmanager
    def connected(self, timeout_seconds: float = 9):
        assert timeout_seconds
        with self.explained():
            yield self.server


@pytest.fixture
def drill(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    at = datetime(2026, 11, 21, tzinfo=timezone.utc)
    name = "shop_20261121T000000Z"
    backup = Backup(Path("/b") / name, name, "shop", at, {"database": "shop", "content": CONTENT}, "", {})
    loaded: list[str] = []

    def go(server: Server, *, address: str = "172.18.0.2", **options: Any) -> dict[str, Any]:
        place = Far(address)
        place.server = server
        monkeypatch.setattr(_drill_mongodb, "target_of", lambda _options: place)
        return _drill_mongodb.drill(backup, options)

    monkeypatch.setattr(_drill_mongodb, "LOCKS", tmp_path)
    monkeypatch.setattr(_drill_mongodb, "load", lambda _backup, _place, names, **_more: loaded.append(names[1]))
    monkeypatch.setattr(_drill_mongodb, "dump", lambda _place, _name, **_more: iter([b"an archive"]))
    monkeypatch.setattr(_drill_mongodb, "read_archive", lambda _pieces: CONTENT)
    go.loaded = loaded
    return go


SERVICE = {"project": "shop", "service": "mongo"}


@pytest.mark.parametrize("options", [SERVICE, {"container": "mongo"}], ids=["service", "container"])
def test_a_container_that_was_made_anew_has_the_same_database_for_test_restores(drill, options):
    before, after = Server(), Server()
    assert drill(before, address="172.18.0.2", **options)["passed"]
    assert drill(after, address="172.18.0.7", **options)["passed"]
    assert drill.loaded[0] == drill.loaded[1]
    scratch = drill.loaded[0].split(".")[0]
    # What a killed run left goes first, and what is ours at the end.
    assert [database for database, name in after.asked if name == "dropDatabase"] == [scratch, scratch]


def test_two_servers_have_two_databases_for_test_restores(drill):
    ways = [SERVICE, {**SERVICE, "project": "blog"}, {"container": "mongo"}, {}]
    for options in ways:
        drill(Server(), **options)
    drill(Server(), address="172.18.0.7")
    assert len(set(drill.loaded)) == len(ways) + 1


def test_a_server_that_takes_no_writes_is_no_place_for_a_test_restore(drill):
    server = Server(hello={"isWritablePrimary": False, "secondary": True, "primary": "db-1:27017"})
    with pytest.raises(StoreError, match="takes no writes: try the backup on the primary, which is db-1:27017"):
        drill(server)
    assert ("dropDatabase" not in [name for _database, name in server.asked]) and not drill.loaded
