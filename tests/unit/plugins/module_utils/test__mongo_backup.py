# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database of MongoDB on its way into a backup: what is left out, and what is said of writes that came meanwhile."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _mongo_backup
from ansible_collections.runbook.ops.plugins.module_utils._bson import Stamp, decode, encode
from ansible_collections.runbook.ops.plugins.module_utils._mongo import MongoDownError, MongoRefusedError
from ansible_collections.runbook.ops.plugins.module_utils._mongo_backup import MongoStore
from ansible_collections.runbook.ops.plugins.module_utils._mongo_server import Place, writes_between
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import StoreError

ASIDE = "a.before-20261121T200000Z"
FIRST, LAST = Stamp((1_790_000_000 << 32) | 1), Stamp((1_790_000_000 << 32) | 9)


class Server:
    def __init__(
        self, *, documents: int = 3, writes: Any = 0, replica_set: str | None = "rs0", names: Any = ("a", ASIDE)
    ) -> None:
        self.documents, self.writes, self.replica_set, self.names = documents, writes, replica_set, names
        self.moments = [FIRST, LAST]
        self.queries: list[dict[str, Any]] = []

    def command(self, database: str, name: str, value: Any = 1, **more: Any) -> dict[str, Any]:
        if name == "listCollections":
            return {"cursor": {"id": 0, "firstBatch": [{"name": one, "info": {"uuid": b"1"}} for one in self.names]}}
        if name == "aggregate":
            return {"cursor": {"id": 0, "firstBatch": [{"n": self.documents}]}}
        if name == "hello":
            more = {"lastWrite": {"opTime": {"ts": self.moments.pop(0)}}} if len(self.moments) else {}
            return {"setName": self.replica_set, **(more if self.replica_set else {})}
        if name == "count":
            self.queries.append({"database": database, "collection": value, **more})
            if isinstance(self.writes, Exception):
                raise self.writes
            return {"n": self.writes.pop(0) if isinstance(self.writes, list) else self.writes}
        return {"dataSize": 5000, "version": "7.0.5"}


class Far(Place):
    server: Server

    @contextmanager
    def connected(self, timeout_seconds: float = 9):
        assert timeout_seconds
        with self.explained():
            yield self.server


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch):
    def go(server: Server, *, dumped: int = 3) -> tuple[MongoStore, list[Any]]:
        asked: list[Any] = []
        content = {
            "collections": {"a": {"type": "collection", "documents": dumped, "indexes": {}}},
            "tool_version": "100",
        }
        monkeypatch.setattr(
            _mongo_backup, "dump", lambda *given, **_limit: asked.append(given) or iter([b"an archive"])
        )
        monkeypatch.setattr(_mongo_backup, "read_archive", lambda pieces: (b"".join(pieces), content)[1])
        place = Far("db")
        place.server = server
        return MongoStore("shop", place), asked

    return go


def taken(store: MongoStore) -> dict[str, Any]:
    assert b"".join(store.pieces()) == b"an archive"
    return store.content()


def test_what_a_restore_keeps_beside_the_collections_is_left_out(store):
    one, asked = store(Server())
    assert one.look(None) == 5000
    one._place.server.moments = [FIRST, LAST]
    content = taken(one)
    assert asked[0][1:] == ("shop", [ASIDE])
    assert (content["writes_meanwhile"], content["replica_set"]) == (0, "rs0")
    assert one.tools() == {"mongodb": "7.0.5", "mongodump": "100"}


@pytest.mark.parametrize("names", [(), (ASIDE, "system.views")], ids=["empty", "nothing of its own"])
def test_a_database_that_is_not_there_is_no_backup(store, names):
    one, _asked = store(Server(names=names))
    with pytest.raises(StoreError, match="there is no database shop at db:27017"):
        one.look(None)


def test_a_dump_that_lacks_documents_is_no_backup_where_nobody_has_written(store):
    server = Server(documents=4)
    one, _asked = store(server)
    server.moments.append(LAST)
    with pytest.raises(StoreError, match=r"mongodump wrote 3 documents of shop\.a, 4 are there"):
        taken(one)


def test_a_write_that_comes_while_the_documents_are_counted_is_told_and_refuses_no_dump(store):
    server = Server(documents=4, writes=[0, 1])
    one, _asked = store(server)
    server.moments.append(LAST)
    assert taken(one)["writes_meanwhile"] == 1


def test_where_somebody_has_written_the_number_is_told_and_the_counts_may_differ(store):
    one, _asked = store(Server(documents=4, writes=7))
    assert taken(one)["writes_meanwhile"] == 7


@pytest.mark.parametrize(
    "server",
    [
        pytest.param(
            Server(documents=9, writes=MongoRefusedError("not authorized")), id="an account that may not look"
        ),
        pytest.param(
            Server(documents=9, writes=MongoDownError("db: no answer in time")), id="an oplog that is too long"
        ),
        pytest.param(Server(documents=9, replica_set=None), id="a server without an oplog"),
    ],
)
def test_where_it_cannot_be_known_it_is_not_claimed(store, server):
    one, _asked = store(server)
    assert taken(one)["writes_meanwhile"] is None


def test_writes_are_counted_by_the_whole_moment_and_those_of_transactions_too():
    server = Server(writes=2)
    assert writes_between(server, "my.shop", FIRST, LAST) == 2  # type: ignore[arg-type]
    (asked,) = server.queries
    assert asked["maxTimeMS"] > 60_000  # the server ends it too: nobody waits for the answer any more
    assert (asked["database"], asked["collection"]) == ("local", "oplog.rs")
    assert asked["query"]["$or"] == [{"ns": {"$regex": r"^my\.shop\."}}, {"o.applyOps.ns": {"$regex": r"^my\.shop\."}}]
    # Two of one second are told apart.
    assert encode({"ts": FIRST}) != encode({"ts": LAST})
    assert decode(encode({"ts": LAST}))["ts"].raw == LAST.raw
