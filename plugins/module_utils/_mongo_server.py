# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask one MongoDB server what a backup or a restore has to know, and rename or drop its collections. Private to this collection."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._docker import DockerError, container_address
from ansible_collections.runbook.ops.plugins.module_utils._mongo import Mongo, MongoDownError, MongoRefusedError
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import StoreError

ANSWER_SECONDS = 60.0
COUNT_SECONDS = 300.0  # that a server may read its oplog for what is only told
LOGIN = "; correct user, password or auth_database"
ADVICE = {  # by the server's name for what it refuses; the others say what is wrong by themselves
    "AuthenticationFailed": LOGIN,
    "UserNotFound": LOGIN,
    "Unauthorized": f"{LOGIN}, or give that account the roles backup and restore",
}
# What a restore leaves beside what is live: none of it belongs to the database.
ASIDE = re.compile(r"\.(?:restored|before|failed)-\d{8}T\d{6}Z\Z")

# See the fragment runbook.ops.mongodb.
ARGUMENTS: dict[str, Any] = {
    "database": {"type": "str", "required": True},
    "host": {"type": "str", "default": "127.0.0.1"},
    "port": {"type": "int", "default": 27017},
    "container": {"type": "str"},
    "project": {"type": "str"},
    "service": {"type": "str"},
    "user": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "auth_database": {"type": "str", "default": "admin"},
}


class Collection(NamedTuple):
    """One collection of a database, or a view."""

    name: str
    kind: str  # collection, view or timeseries
    identity: str | None  # stays when it is renamed


class Place(NamedTuple):
    """Where a server is, and who asks."""

    host: str = "127.0.0.1"
    port: int = 27017
    user: str | None = None
    password: str | None = None
    auth_database: str = "admin"

    @property
    def title(self) -> str:
        return f"{self.host}:{self.port}"

    @contextmanager
    def connected(self, timeout_seconds: float = ANSWER_SECONDS) -> Iterator[Mongo]:
        """Give a connection that is logged in.

        :raises StoreError: the server does not serve, or not us.
        """
        with self.explained(), Mongo(self.host, self.port, timeout_seconds=timeout_seconds) as server:
            self.log_in(server)
            yield server

    def log_in(self, server: Mongo) -> None:
        if self.user:
            known = hello(server, saslSupportedMechs=f"{self.auth_database}.{self.user}").get("saslSupportedMechs")
            server.log_in(self.user, self.password or "", self.auth_database, known or [])

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn what the server refuses into what to do.

        :raises StoreError: the server does not serve, or not us.
        """
        try:
            yield
        except MongoDownError as exc:
            raise StoreError(f"MongoDB does not answer: {exc}; see whether it runs, or correct host and port") from exc
        except MongoRefusedError as exc:
            raise StoreError(f"MongoDB at {self.title} refuses: {exc}{ADVICE.get(exc.code, '')}") from exc


def place_of(options: Mapping[str, Any]) -> Place:
    """Return where the server is that ``options`` tell of.

    :raises StoreError: Docker does not tell where its container is.
    """
    host = options.get("host") or "127.0.0.1"
    inside = {key: options.get(key) for key in ("project", "service", "container")}
    if inside["container"] or inside["service"]:
        try:
            host = container_address(**inside)
        except (DockerError, OSError) as exc:
            raise StoreError(f"cannot find the container of MongoDB: {exc}; see what runs: docker ps -a") from exc
    return Place(
        host,
        options.get("port") or 27017,
        options.get("user"),
        options.get("password"),
        options.get("auth_database") or "admin",
    )


def hello(server: Mongo, **more: Any) -> dict[str, Any]:
    """Return what the server says of its place in its replica set."""
    try:
        return server.command("admin", "hello", **more)
    except MongoRefusedError:  # its name before 4.4.2
        return server.command("admin", "isMaster", **more)


def refuse_secondary(told: Mapping[str, Any], place: Place, what: str) -> None:
    """Refuse to write to a server that takes no writes.

    :param told: its answer to hello
    :param what: what is to be done there, for people
    :raises StoreError: it is no primary.
    """
    if not (told.get("isWritablePrimary") or told.get("ismaster")):
        where = told.get("primary") or "none at the moment"
        raise StoreError(f"{place.title} takes no writes: {what} on the primary, which is {where}")


def version_of(server: Mongo) -> str:
    return str(server.command("admin", "buildInfo").get("version", "unknown"))


def listing(server: Mongo, database: str, command: str, value: Any, **more: Any) -> Iterator[dict[str, Any]]:
    """Yield all that a command gives out batch by batch."""
    cursor = server.command(database, command, value, **more)["cursor"]
    yield from cursor["firstBatch"]
    while cursor["id"]:
        collection = str(cursor["ns"]).partition(".")[2]
        cursor = server.command(database, "getMore", int(cursor["id"]), collection=collection)["cursor"]
        yield from cursor["nextBatch"]


def collections(server: Mongo, database: str) -> list[Collection]:
    """Return what the database has, without what the server keeps for itself and what a restore keeps beside it."""
    return [
        one for one in everything(server, database) if not one.name.startswith("system.") and not ASIDE.search(one.name)
    ]


def everything(server: Mongo, database: str, name: str | None = None) -> list[Collection]:
    """Return all that there is, or only what is called ``name``."""
    only = {} if name is None else {"filter": {"name": name}}
    found = [
        Collection(one["name"], one.get("type") or "collection", _identity(one))
        for one in listing(server, database, "listCollections", 1, **only)
    ]
    return sorted(found)


def _identity(told: Mapping[str, Any]) -> str | None:
    number = (told.get("info") or {}).get("uuid")
    return number.hex() if isinstance(number, bytes) else None


def statistics(server: Mongo, database: str) -> dict[str, Any]:
    """Return what the server says of sizes; nothing where that account may not ask."""
    try:
        return server.command(database, "dbStats")
    except MongoRefusedError:
        return {}


def count(server: Mongo, database: str, collection: str) -> int:
    """Return how many documents there are, counted one by one: what the server notes may be off after a crash."""
    pipeline = [{"$group": {"_id": None, "n": {"$sum": 1}}}]
    found = list(listing(server, database, "aggregate", collection, pipeline=pipeline, cursor={}))
    return int(found[0]["n"]) if found else 0


def estimate(server: Mongo, database: str, collection: str) -> int:
    """Return how many documents the server has noted that there are, at once however many."""
    return int(server.command(database, "count", collection)["n"])


def index_names(server: Mongo, database: str, collection: str) -> list[str]:
    return sorted(str(one["name"]) for one in listing(server, database, "listIndexes", collection))


def writes_between(server: Mongo, database: str, first: Any, last: Any) -> int | None:
    """Return how many writes to ``database`` the oplog holds after ``first``, up to ``last``.

    None where we may not look, or where the server is still reading after ``COUNT_SECONDS``.
    """
    mine = {"$regex": f"^{re.escape(database)}\\."}
    asked = {
        "ts": {"$gt": first, "$lte": last},
        "op": {"$ne": "n"},
        "$or": [{"ns": mine}, {"o.applyOps.ns": mine}],  # the second: of a transaction
    }
    try:
        found = server.command("local", "count", "oplog.rs", query=asked, maxTimeMS=int(COUNT_SECONDS * 1000))
        return int(found["n"])
    except (MongoRefusedError, MongoDownError, KeyError, TypeError):
        return None
