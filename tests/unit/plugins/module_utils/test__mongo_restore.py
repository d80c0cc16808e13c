# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A MongoDB database beside itself: each name leads to the old collection or the new one, whoever dies when."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _mongo_names
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import Backup
from ansible_collections.runbook.ops.plugins.module_utils._mongo import MongoRefusedError
from ansible_collections.runbook.ops.plugins.module_utils._mongo_backup import consistency
from ansible_collections.runbook.ops.plugins.module_utils._mongo_names import Names
from ansible_collections.runbook.ops.plugins.module_utils._mongo_restore import MongoRestore
from ansible_collections.runbook.ops.plugins.module_utils._mongo_server import Place
from ansible_collections.runbook.ops.plugins.module_utils._path_swap import make_item
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import StoreError

STAMP = "20261121T200000Z"
PARAMS = {
    **{"database": "shop", "from_database": "", "min_free_percent": 5, "host": "db", "port": 27017},
    **{"identity": None, "timeout_seconds": 9},
}


class KilledError(BaseException):
    """It was killed here."""


class Server:
    """The collections of one database, by name; what each holds is its identity."""

    def __init__(self, **collections: str) -> None:
        self.there = {name.replace("__", "."): what.encode() for name, what in collections.items()}
        self.left: int | None = None  # renames until it is killed
        self.primary, self.disk = True, {}
        self.indexes: list[str] = []
        self.asked: list[str] = []
        self.limits: list[float] = []  # seconds after which a rename is given up

    def command(self, _database: str, name: str, value: Any = 1, **more: Any) -> dict[str, Any]:
        self.asked.append(name)
        if name == "listCollections":
            found = [
                {"name": one, "type": "view" if what == b"view" else "collection", "info": {"uuid": what}}
                for one, what in sorted(self.there.items())
            ]
            return {"cursor": {"id": 0, "firstBatch": found}}
        if name == "renameCollection":
            self.limits.append(more["maxTimeMS"] / 1000)
            self._rename(value.partition(".")[2], more["to"].partition(".")[2])
        if name == "drop":
            del self.there[value]
        if name == "hello":
            return {"isWritablePrimary": self.primary, "primary": "db-1:27017"}
        if name == "aggregate":
            return {"cursor": {"id": 0, "firstBatch": [{"n": len(self.there[value])}]}}
        if name == "count":
            return {"n": len(self.there[value])}
        if name == "listIndexes":
            return {"cursor": {"id": 0, "firstBatch": [{"name": one} for one in self.indexes]}}
        return self.disk

    def _rename(self, source: str, target: str) -> None:
        if self.left == 0:
            raise KilledError
        if self.left is not None:
            self.left -= 1
        if target in self.there:
            raise MongoRefusedError(f"{target} exists (NamespaceExists)")
        self.there[target] = self.there.pop(source)


class Far(Place):
    """A place that is reached without a network."""

    server: Server

    @contextmanager
    def connected(self, timeout_seconds: float = 9):
        assert timeout_seconds
        with self.explained():
            yield self.server

    def log_in(self, _server: Any) -> None:
        """Nobody asks."""


@pytest.fixture
def reach(monkeypatch: pytest.MonkeyPatch):
    def go(server: Server) -> Names:
        monkeypatch.setattr(_mongo_names, "Mongo", lambda *_place, **_limit: server)
        place = Far("db")
        place.server = server
        return Names(place)

    return go


def item(name: str, names: Names) -> dict[str, Any]:
    made = make_item(f"shop.{name}", STAMP)
    made["new_id"], made["old_id"] = names.identify(made["new"]), names.identify(made["live"])
    return made


ITEMS = {
    "both": ({"a": "old", f"a__restored-{STAMP}": "new"}, {"a": "new", f"a.before-{STAMP}": "old"}),
    "only saved": ({f"a__restored-{STAMP}": "new"}, {"a": "new"}),
    "only live": ({"a": "old"}, {f"a.before-{STAMP}": "old"}),
}


@pytest.mark.parametrize("before", ITEMS, ids=str)
@pytest.mark.parametrize("renames", range(4))
def test_what_was_killed_between_two_renames_is_finished_by_the_next(reach, before, renames):
    there, after = ITEMS[before]
    server = Server(**there)
    names = reach(server)
    one = item("a", names)
    server.left = renames
    try:
        names.put_in_place(one)
    except KilledError:
        server.left = None
        names.put_in_place(one)
    assert server.there == {name: what.encode() for name, what in after.items()}
    names.put_in_place(one)  # a second time finds nothing to do
    assert server.there == {name: what.encode() for name, what in after.items()}


@pytest.mark.parametrize("before", ITEMS, ids=str)
@pytest.mark.parametrize("renames", range(4))
@pytest.mark.parametrize("back", range(4))
def test_from_wherever_it_was_killed_the_way_back_leads_to_what_was_live(reach, before, renames, back):
    there, _after = ITEMS[before]
    server = Server(**there)
    names = reach(server)
    one = item("a", names)
    for limit, step in ((renames, names.put_in_place), (back, names.go_back), (None, names.go_back)):
        server.left = limit
        try:
            step(one)
        except KilledError:
            continue
    live = {name: what for name, what in server.there.items() if name == "a"}
    assert live == ({"a": b"old"} if "a" in there else {})
    assert b"old" not in [what for name, what in server.there.items() if name != "a"]
    if f"a__restored-{STAMP}" in there:
        assert server.there[f"a.failed-{STAMP}"] == b"new"  # nothing is dropped


def test_a_collection_that_somebody_made_meanwhile_is_neither_replaced_nor_lost(reach):
    server = Server(a="old", **{f"a__restored-{STAMP}": "new"})
    names = reach(server)
    one = item("a", names)
    server.there["a"] = b"another"
    with pytest.raises(StoreError, match=r"somebody has made shop\.a anew"):
        names.put_in_place(one)
    assert server.there["a"] == b"another"


def test_a_rename_that_waits_is_given_up_by_the_server_before_we_go_back_however_old_the_connection_is(monkeypatch):
    server, now, limits = Server(a="old", **{f"a__restored-{STAMP}": "new"}), [0.0], []
    monkeypatch.setattr(
        _mongo_names, "Mongo", lambda *_place, timeout_seconds: limits.append(timeout_seconds) or server
    )
    monkeypatch.setattr(_mongo_names.time, "monotonic", lambda: now[0])
    names = Names(Far("db"))
    one = item("a", names)
    now[0] = _mongo_names.KEPT_SECONDS
    names.put_in_place(one)
    left = limits[0] - now[0]
    assert len(limits) == 1
    assert len(server.limits) == 2
    assert all(60 < limit < left for limit in server.limits)  # 60: how long a transaction may live


def test_what_the_server_refuses_is_told_with_what_to_do(reach):
    server = Server(a="old", **{f"a__restored-{STAMP}": "new", f"a__before-{STAMP}": "in the way"})
    names = reach(server)
    with pytest.raises(StoreError, match=r"refuses: .*exists \(NamespaceExists\)$"):
        names.put_in_place(item("a", names))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        pytest.param("AuthenticationFailed", "refuses: no; correct user, password or auth_database$", id="the login"),
        pytest.param(
            "Unauthorized", "auth_database, or give that account the roles backup and restore$", id="the rights"
        ),
        pytest.param("MaxTimeMSExpired", "refuses: no$", id="anything else"),
    ],
)
def test_who_may_log_in_is_only_advised_where_that_is_what_the_server_says(code, words):
    with pytest.raises(StoreError, match=words), Place("db").explained():
        raise MongoRefusedError("no", code=code)


def backup(**content: Any) -> Backup:
    told = {"type": "collection", "documents": 3, "bytes": 9, "sum": "0", "indexes": {}, "options": {}}
    collections = {name: {**told, **one} for name, one in content.pop("collections", {"a": {}}).items()}
    manifest = {
        "database": "shop",
        "content": {"collections": collections, "documents": 3, "data_bytes": 9, "writes_meanwhile": 0, **content},
    }
    at = datetime(2026, 11, 21, tzinfo=timezone.utc)
    return Backup(Path("/b/shop_20261121T000000Z"), "shop_20261121T000000Z", "shop", at, manifest, "", {})


@pytest.fixture
def restore(reach):
    def go(server: Server, **params: Any) -> MongoRestore:
        kind = MongoRestore({**PARAMS, **params})
        kind.names, kind._place = reach(server), Far("db")
        kind._place.server = server
        return kind

    return go


def test_the_plan_says_what_is_replaced_what_is_put_away_and_what_moment_it_shows(restore):
    kind = restore(Server(a="old", b="gone", **{f"c__before-{STAMP}": "kept of an earlier one"}))
    plan = kind.plan(backup(), STAMP)
    text = "\n".join(plan["lines"])
    assert [one["live"] for one in plan["items"]] == ["shop.a", "shop.b"]
    assert "3 in 1 collections were saved, about 7 in 2 are there now" in text
    assert "aggregate" not in kind._place.server.asked  # a plan does not wait until each of a billion is counted
    assert "puts away    b" in text and "it shows one moment" in text


@pytest.mark.parametrize(
    ("server", "saved", "params", "words"),
    [
        pytest.param({}, {}, {"from_database": "mail"}, "a backup of the database shop, not of mail", id="another one"),
        pytest.param({}, {"collections": {"a": {"type": "timeseries"}}}, {}, "a is a time series", id="a time series"),
        pytest.param({"primary": False}, {}, {}, "on the primary, which is db-1:27017", id="a secondary"),
        pytest.param({"there": {"a": b"view"}}, {}, {}, r"shop\.a was a collection .* is a view now", id="a view has its name"),
        pytest.param({"disk": {"fsTotalSize": 100, "fsUsedSize": 90}}, {}, {}, "no room on the server's disk", id="no room"),
        pytest.param({}, {"collections": {"x" * 250: {}}}, {}, "255 bytes that a name may have", id="a long name"),
    ],
)  # fmt: skip
def test_what_cannot_be_restored_is_refused_before_anything_is_done(restore, server, saved, params, words):
    there = Server(a="old")
    vars(there).update(server)
    with pytest.raises(StoreError, match=words):
        restore(there, **params).plan(backup(**saved), STAMP)
    assert not {"renameCollection", "drop"} & set(there.asked)


TTL = {"at_1": {"name": "at_1", "expireAfterSeconds": 60}}


@pytest.mark.parametrize(
    ("there", "indexes", "words"),
    [
        pytest.param("new", {}, None, id="as many"),
        pytest.param("ne", {}, "a has 2 documents instead of 3", id="fewer"),
        pytest.param("ne", TTL, None, id="fewer, of what expires"),
        pytest.param("news", TTL, "a has 4 documents instead of 3", id="more, of what expires"),
    ],
)
def test_what_was_restored_has_all_documents_but_those_that_have_expired_since(restore, there, indexes, words):
    server = Server(**{f"a__restored-{STAMP}": there})
    server.indexes = list(indexes)
    kind, saved = restore(server), backup(collections={"a": {"indexes": indexes}})
    assert any(line.startswith("expires      a: ") for line in kind.plan(saved, STAMP)["lines"]) == bool(indexes)
    with pytest.raises(StoreError, match=words) if words else nullcontext():
        kind._compare(saved, f".restored-{STAMP}")


def test_after_the_exchange_each_name_must_lead_to_what_was_restored_however_much_is_written_meanwhile(restore):
    server = Server(a="old", b="put away", **{f"a__restored-{STAMP}": "new"})
    kind = restore(server)
    entry = {"items": [item("a", kind.names), item("b", kind.names)]}
    for one in entry["items"]:
        kind.names.put_in_place(one)
    server.asked.clear()
    kind.open(entry, restored=True)
    assert "aggregate" not in server.asked  # whose users are stopped: nobody waits until all documents are counted
    server.there["a"] = b"another"
    kind.open(entry, restored=False)
    with pytest.raises(StoreError, match=r"shop\.a is not what was restored"):
        kind.open(entry, restored=True)


@pytest.mark.parametrize(
    ("writes", "words"),
    [(0, "it shows one moment"), (7, "7 writes came while it was dumped"), (None, "is not known")],
)
def test_what_moment_a_backup_shows_is_said_honestly(writes, words):
    assert words in consistency({"writes_meanwhile": writes})
