# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the description of a system says of the restore of a Redis server, of a MongoDB database, or of files."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._restore_store_options import (
    file_options,
    mongodb_options,
    redis_options,
)


def service(name: str, manager: str = "systemd", **more: Any) -> dict[str, Any]:
    known = {"needs": [], "after": [], "config": [], "on_change": "restart", "unit": f"{name}.service"}
    return {"name": name, "manager": manager, **known, **more}


ITEM = {"made_by": "collection", "directory": "/b", "keep": {"last": 3}}
SYSTEM: dict[str, Any] = {
    "services": [
        service("redis", config=["/etc/redis/redis.conf"]),
        service("cache", "compose", project="shop", compose_service="cache-server"),
        service("loose", "pm2"),
        service("api", "pm2", after=["redis"], path="/srv/app"),
        service("worker", "pm2"),
        service("mailer", "pm2", needs=["sessions"]),
        service("web", "vercel", needs=["sessions"]),
        service("nginx", on_change="reload", config=["/etc/nginx"], after=["api"]),
    ],
    "redis": [
        {"name": "sessions", "service": "redis", "host": "127.0.0.1", "port": 6379, "password": "x"},
        {"name": "cache", "service": "cache"},
        {"name": "lone", "host": "127.0.0.1"},
        {"name": "odd", "service": "loose"},
    ],
    "elsewhere": {"redis": [{"name": "far"}]},
    "queues": [{"name": "mails", "redis": "sessions", "service": "worker"}, {"name": "web", "library": "http"}],
    "backups": [
        {"name": "nightly", "redis": ["sessions"], "encryption": {"method": "age", "recipients": ["age1"]}, **ITEM},
        {"name": "configuration", "files": ["/etc/nginx", "/etc/letsencrypt", "/etc/redis"], **ITEM},
        {"name": "application", "files": ["/srv"], **ITEM},
    ],
}


def test_who_uses_a_redis_server_is_stopped_and_not_what_it_runs_in() -> None:
    found = redis_options(SYSTEM, "sessions")
    assert found["writers"] == ["api", "worker", "mailer"]
    assert found["unstoppable"] == ["web"] and found["reloaded"] == []
    assert found["reach"] == {"name": "sessions", "host": "127.0.0.1", "unit": "redis.service", "port": 6379}
    assert (found["directory"], found["set"], found["secret"]) == ("/b", "nightly-sessions", "redis:sessions")
    assert found["form"] == {"encryption": {"method": "age", "recipients": ["age1"]}}


def test_one_in_a_container_is_reached_there_and_without_backups_there_is_no_set() -> None:
    found = redis_options(SYSTEM, "cache")
    assert found["reach"] == {"name": "cache", "project": "shop", "service": "cache-server"}
    assert (found["directory"], found["set"], found["secret"], found["form"]) == (None, None, None, {})


@pytest.mark.parametrize(
    ("name", "said"),
    [("sesions", "known are sessions"), ("far", "runs elsewhere"), ("lone", "set its service"), ("odd", "set its service")],
)  # fmt: skip
def test_a_redis_server_that_cannot_be_restored_is_said(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        redis_options(SYSTEM, name)


@pytest.mark.parametrize(
    ("name", "paths", "writers", "reloaded"),
    [
        ("configuration", [], ["redis"], ["nginx"]),
        ("configuration", ["/etc/nginx/sites-available"], [], ["nginx"]),
        ("configuration", ["/etc/redis/"], ["redis"], []),
        ("configuration", ["/etc/letsencrypt"], [], ["nginx"]),
        ("application", [], ["api"], []),
        ("application", ["/srv/other"], [], []),
    ],
    ids=["all", "a part of a configuration", "a directory with one", "certificates", "an application", "nobody's"],
)
def test_who_uses_files_is_reloaded_or_stopped(
    name: str, paths: list[str], writers: list[str], reloaded: list[str]
) -> None:
    found = file_options(SYSTEM, name, paths)
    assert (found["writers"], found["reloaded"]) == (writers, reloaded)
    assert found["set"] == f"{name}-files"


@pytest.mark.parametrize(
    ("name", "paths", "said"),
    [("nightly", [], "known are configuration, application"), ("application", ["/etc"], "saves /srv")],
)
def test_files_that_are_not_saved_are_refused(name: str, paths: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        file_options(SYSTEM, name, paths)


MONGODB = {
    **SYSTEM,
    "services": [
        service("mongod", health={"database": "shop"}),
        service("api", "pm2", after=["mongod"]),
        service("mailer", "pm2", needs=["shop"]),
        service("web", "vercel", needs=["shop"]),
        service("nginx", after=["api"]),
    ],
    "databases": [
        {"engine": "mongodb", "name": "shop", "service": "mongod", "host": "127.0.0.1", "port": 27017, "user": "admin", "password": "x"},
        {"engine": "postgresql", "name": "mail"},
    ],
    "backups": [{"name": "nightly", "databases": ["shop"], **ITEM}],
}  # fmt: skip


def test_a_database_of_mongodb_is_reached_as_it_is_backed_up_and_who_uses_it_is_stopped() -> None:
    found = mongodb_options(MONGODB, "shop")
    assert found["reach"] == {"database": "shop", "host": "127.0.0.1", "port": 27017, "user": "admin"}
    assert (found["directory"], found["set"]) == ("/b", "nightly")
    assert (found["writers"], found["unstoppable"]) == (["api", "mailer"], ["web"])
    assert (found["secret"], found["about"]) == ("database:shop", "database:shop")


@pytest.mark.parametrize("name", ["mail", "nowhere"])
def test_what_is_no_database_of_mongodb_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"there is no MongoDB database '{name}' on this host: known are shop"):
        mongodb_options(MONGODB, name)
