# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A replica set in all its states. Those of more than one member follow the documented answers: the server that tests run
against is always alone.
"""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._mongo import MongoRefusedError
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError, read_options
from ansible_collections.runbook.ops.plugins.module_utils.probes import mongodb

PRIMARY = {
    "setName": "rs0",
    "isWritablePrimary": True,
    "hosts": ["a:27017", "b:27017", "c:27017"],
    "primary": "a:27017",
}
SECONDARY = {**PRIMARY, "isWritablePrimary": False, "secondary": True}


def member(name: str, state: str, at: float | None = 1000.0, health: float = 1.0) -> dict[str, Any]:
    return {"name": name, "stateStr": state, "health": health, "optimeDate": at}


def look(hello: dict[str, Any], members: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, dict[str, Any]]:
    raw = {"probe": "x", "section": "S", "name": "shop", "replica_set": "rs0", **more.pop("options", {})}
    asked = read_options(raw, mongodb.OPTIONS, where="test")
    known = {"error": None, "refused": None, "connections": None, "operations": None}
    measured = {**known, "hello": hello, "status": {"members": members} if members else None, **more}
    return {check["id"].removeprefix("mongodb:shop").lstrip(":"): check for check in mongodb.judge(measured, asked)}


@pytest.mark.parametrize(
    ("hello", "status", "words"),
    [
        pytest.param(PRIMARY, "ok", "primary of rs0, 3 members", id="primary"),
        pytest.param(SECONDARY, "ok", "secondary of rs0", id="secondary"),
        pytest.param({**SECONDARY, "primary": None}, "critical", "rs0 has no primary", id="no primary"),
        pytest.param({**PRIMARY, "setName": "rs1"}, "critical", "belongs to rs1, not to rs0", id="another set"),
        pytest.param({"isWritablePrimary": True}, "critical", "no replica set, not to rs0", id="no set"),
    ],
)
def test_a_server_has_its_place_in_the_replica_set(hello: dict[str, Any], status: str, words: str) -> None:
    check = look(hello)[""]
    assert check["status"] == status
    assert words in check["detail"]


def test_a_member_that_is_away_is_a_warning_as_long_as_there_is_a_primary() -> None:
    away = member("c:27017", "(not reachable/healthy)", None, 0.0)
    checks = look(PRIMARY, [member("a:27017", "PRIMARY"), member("b:27017", "SECONDARY", 998.0), away])
    assert (checks["members"]["status"], checks["members"]["value"]) == ("warning", 2)
    assert checks["members"]["detail"] == "c:27017 is (not reachable/healthy)"
    assert (checks["lag"]["status"], checks["lag"]["value"]) == ("ok", 2.0)


def test_a_secondary_that_is_behind_is_found() -> None:
    checks = look(PRIMARY, [member("a", "PRIMARY"), member("b", "SECONDARY", 999.0), member("c", "SECONDARY", 300.0)])
    assert (checks["lag"]["status"], checks["lag"]["value"], checks["lag"]["limit"]) == ("critical", 700.0, 600)


def test_connections_are_judged_by_what_is_left() -> None:
    check = look(PRIMARY, connections={"current": 850, "available": 150})["connections"]
    assert (check["status"], check["value"], check["detail"]) == ("warning", 85.0, "850 of 1000 in use")


def test_the_longest_operation_of_a_client_counts_and_a_waiting_hello_does_not() -> None:
    operations = [
        {"op": "command", "secs_running": 9000, "command": {"hello": 1}},
        {"op": "none", "secs_running": 99999},
        {"op": "query", "secs_running": 4000, "ns": "shop.orders", "opid": 7, "command": {"find": "orders"}},
    ]
    check = look(PRIMARY, operations=operations)["operations"]
    assert (check["status"], check["value"]) == ("warning", 4000)
    assert "shop.orders" in check["detail"]
    assert "opid: 7" in check["remedy"]


def test_a_wrong_password_hides_the_rest_and_not_the_set() -> None:
    checks = look(PRIMARY, refused="Authentication failed.")
    assert (checks[""]["status"], checks["access"]["status"]) == ("ok", "unknown")
    assert checks["access"]["detail"] == "Authentication failed."


def test_a_server_that_is_down_is_critical() -> None:
    check = look({}, error="127.0.0.1:27017: Connection refused")[""]
    assert (check["status"], check["detail"]) == ("critical", "127.0.0.1:27017: Connection refused")


class Old:
    """A server of before 4.4.2, or one that refuses all."""

    def __init__(self, *known: str) -> None:
        self.known = known

    def __enter__(self) -> Old:
        return self

    def __exit__(self, *_what: object) -> None:
        pass

    def command(self, _database: str, name: str, **_more: Any) -> dict[str, Any]:
        if name not in self.known:
            raise MongoRefusedError(f"no such command: {name!r}")
        return {"ismaster": True, "setName": "rs0", "hosts": ["a:27017"], "ok": 1}


def test_a_server_that_does_not_know_hello_is_asked_by_its_older_name(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = read_options({"probe": "x", "section": "S", "replica_set": "rs0"}, mongodb.OPTIONS, where="test")
    monkeypatch.setattr(mongodb, "Mongo", lambda *_where, **_how: Old("isMaster"))
    (check,) = mongodb.judge(mongodb.measure(asked), asked)
    assert (check["status"], check["detail"]) == ("ok", "primary of rs0, 1 members")
    monkeypatch.setattr(mongodb, "Mongo", lambda *_where, **_how: Old())
    with pytest.raises(ProbeError, match="MongoDB did not tell: no such command"):
        mongodb.measure(asked)
