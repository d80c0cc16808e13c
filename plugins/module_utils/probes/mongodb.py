# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A MongoDB server: reachable, its replica set whole, connections left, no operation for hours. Private to this collection."""

from __future__ import annotations

from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_check
from ansible_collections.runbook.ops.plugins.module_utils._mongo import Mongo, MongoDownError, MongoRefusedError
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError, limits
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration

SECTION = "Databases"
OPTIONS = {
    "host": Option("str", "name or address of the server", "127.0.0.1"),
    "port": Option("int", "its TCP port", 27017),
    "container": Option("str", "container that it runs in, instead of host: its address is asked of Docker"),
    "project": Option("str", "Compose project of that container, instead of its name"),
    "service": Option("str", "service within project"),
    "user": Option("str", "account to log in as; without it only what anybody may know is looked at"),
    "password": Option("secret", "name of the password among the secrets"),
    "auth_database": Option("str", "database that knows the account", "admin"),
    "replica_set": Option("str", "replica set that it must belong to, with a primary"),
    "connections_percent": Option("limits", "connections, in percent of those that it takes", limits(80, 90)),
    "operation_seconds": Option("limits", "time that the longest operation of a client runs", limits(3600)),
    "lag_seconds": Option("limits", "how far the last secondary is behind", limits(60, 600)),
}
STATES = {
    **{0: "STARTUP", 1: "PRIMARY", 2: "SECONDARY", 3: "RECOVERING", 5: "STARTUP2"},
    **{6: "UNKNOWN", 7: "ARBITER", 8: "DOWN", 9: "ROLLBACK", 10: "REMOVED"},
}
SOUND = ("PRIMARY", "SECONDARY", "ARBITER")
CLIENTS = ("query", "insert", "update", "remove", "command", "getmore")


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return what the server says of itself, its set, its connections and its operations; ``error`` where it is down."""
    try:
        with Mongo(_host(options), options["port"], timeout_seconds=options["timeout_seconds"]) as server:
            return {"error": None, **_ask(server, options)}
    except MongoDownError as exc:
        return {"error": str(exc)}
    except MongoRefusedError as exc:
        raise ProbeError(f"MongoDB did not tell: {exc}", "correct auth_database or user") from exc


def _host(options: dict[str, Any]) -> str:
    if not (options["container"] or options["service"]):
        return str(options["host"])
    from ansible_collections.runbook.ops.plugins.module_utils._docker import DockerError, container_address  # noqa: PLC0415

    try:
        return container_address(**{key: options[key] for key in ("project", "service", "container")})
    except DockerError as exc:
        raise ProbeError(str(exc), "see what runs: docker ps --all") from exc


def _ask(server: Mongo, options: dict[str, Any]) -> dict[str, Any]:
    user, database = options["user"], options["auth_database"]
    asked = {"saslSupportedMechs": f"{database}.{user}"} if user else {}
    try:
        hello = server.command("admin", "hello", **asked)
    except MongoRefusedError:  # its name before 4.4.2
        hello = server.command("admin", "isMaster", **asked)
    told: dict[str, Any] = {"hello": hello, "refused": None, "status": None, "connections": None, "operations": None}
    if not user:
        return told
    try:
        server.log_in(user, options["password"] or "", database, hello.get("saslSupportedMechs") or [])
        told["connections"] = server.command("admin", "serverStatus").get("connections")
        told["operations"] = server.command("admin", "currentOp", active=True).get("inprog")
        told["status"] = server.command("admin", "replSetGetStatus") if hello.get("setName") else None
    except MongoRefusedError as exc:
        told["refused"] = str(exc)
    return told


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a check of the server and its set, and of connections and operations as far as we may know."""
    name, section = options["name"] or f"MongoDB {options['port']}", options["section"]

    def check(thing: str, title: str, status: str, detail: str, remedy: str, **more: Any) -> dict[str, Any]:
        identity = f"mongodb:{name}:{thing}" if thing else f"mongodb:{name}"
        said = {"status": status, "detail": detail, "remedy": remedy, **more}
        return make_check(identity, name=f"{name} {title}".strip(), section=section, **said)

    if measured["error"]:
        return [check("", "", "critical", measured["error"], "read systemctl status mongod and the server's log")]
    checks = [check("", "", *_of_set(measured["hello"], options), "look by hand: mongosh --eval 'rs.status()'")]
    if measured["refused"]:
        return [
            *checks,
            check("access", "access", "unknown", measured["refused"], "correct user, password or its rights"),
        ]
    members = (measured["status"] or {}).get("members") or []
    if members:
        bad = [
            f"{one['name']} is {_state(one)}" for one in members if _state(one) not in SOUND or one.get("health") == 0
        ]
        detail = "; ".join(bad) or f"{len(members)} in order"
        more = {"value": len(members) - len(bad), "unit": "members", "limit": len(members)}
        checks.append(check("members", "members", "warning" if bad else "ok", detail, "read that member's log", **more))
    behind = lag(members)
    if behind is not None:
        status, limit = judge_high(behind, **options["lag_seconds"])
        detail = f"the last secondary is {human_duration(behind)} behind"
        more = {"value": behind, "unit": "s", "limit": limit}
        checks.append(check("lag", "replication", status, detail, "see rs.printSecondaryReplicationInfo()", **more))
    if measured["connections"]:
        used, free = measured["connections"].get("current", 0), measured["connections"].get("available", 0)
        percent = round(100 * used / max(1, used + free), 1)
        status, limit = judge_high(percent, **options["connections_percent"])
        detail, remedy = f"{used} of {used + free} in use", "see who holds them: db.currentOp(true)"
        checks.append(check("connections", "connections", status, detail, remedy, value=percent, unit="%", limit=limit))
    if measured["operations"] is not None:
        checks.append(check("operations", "operations", **_of_operations(measured["operations"], options)))
    return checks


def _of_set(hello: dict[str, Any], options: dict[str, Any]) -> tuple[str, str]:
    """Return status and words for the server's place in its replica set."""
    wanted, found = options["replica_set"], hello.get("setName")
    is_primary = hello.get("isWritablePrimary") or hello.get("ismaster")
    if wanted and found != wanted:
        return "critical", f"it belongs to {found or 'no replica set'}, not to {wanted}"
    if found and not is_primary and not hello.get("primary"):
        return "critical", f"the replica set {found} has no primary: nothing can be written"
    if not is_primary and not found:
        return "critical", "it takes no writes"
    role = "primary" if is_primary else "secondary" if hello.get("secondary") else "arbiter"
    return "ok", f"{role} of {found}, {len(hello.get('hosts') or [1])} members" if found else "a server of its own"


def _state(member: dict[str, Any]) -> str:
    return str(member.get("stateStr") or STATES.get(member.get("state", 6), "UNKNOWN"))


def lag(members: list[dict[str, Any]]) -> float | None:
    """Return how many seconds the last secondary is behind the primary, None where there is no pair of them."""
    times = {
        state: [one["optimeDate"] for one in members if _state(one) == state and one.get("optimeDate") is not None]
        for state in ("PRIMARY", "SECONDARY")
    }
    if not times["PRIMARY"] or not times["SECONDARY"]:
        return None
    return round(max(0.0, times["PRIMARY"][0] - min(times["SECONDARY"])), 1)


def _of_operations(operations: list[dict[str, Any]], options: dict[str, Any]) -> dict[str, Any]:
    """Return the parts of the check of what clients do. A driver's waiting hello is none of their operations."""
    own = [
        one
        for one in operations
        if one.get("op") in CLIENTS and not {"hello", "isMaster", "ismaster"} & set(one.get("command") or {})
    ]
    longest = max(own, key=lambda one: one.get("secs_running") or 0, default={})
    seconds = longest.get("secs_running") or 0
    status, limit = judge_high(seconds, **options["operation_seconds"])
    where = f", the longest {human_duration(seconds)} on {longest.get('ns') or 'no collection'}" if seconds else ""
    remedy = f"see it: db.currentOp({{opid: {longest.get('opid')}}}); it can be ended by db.killOp"
    said = {"status": status, "detail": f"{len(own)} run{where}", "remedy": remedy}
    return {**said, "value": seconds, "unit": "s", "limit": limit}
