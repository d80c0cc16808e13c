# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a description says of migrations."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._migration_options import migration_options

MIGRATION = {
    "kind": "prisma",
    "database": "shop",
    "pending": [],
    "apply": [],
    "lock_timeout_seconds": 5,
    "timeout_seconds": 900,
    "backup_age_seconds": 86400,
}
APP: dict[str, Any] = {
    "name": "app",
    "manager": "pm2",
    "user": "deploy",
    "path": "/srv/app",
    "source": {"migrations": None},
    "deploy": {"environment_file": "/etc/app.env", "migration": MIGRATION},
}
SYSTEM = {"services": [APP, {"name": "plain", "manager": "pm2"}], "databases": [{"name": "shop", "port": 5433}]}


def test_prisma_keeps_its_migrations_in_the_release() -> None:
    told = migration_options(SYSTEM, "app", "/srv/releases/1")
    assert (told["directory"], told["chdir"], told["user"]) == (
        "/srv/releases/1/prisma/migrations",
        "/srv/releases/1",
        "deploy",
    )
    assert (told["reach"], told["backup_set"]) == ({"login_port": 5433}, None)


def test_the_description_names_another_directory() -> None:
    app = {**APP, "source": {"migrations": "deployment/sql"}}
    assert migration_options({**SYSTEM, "services": [app]}, "app")["directory"] == "/srv/app/deployment/sql"


def test_what_compose_runs_is_migrated_by_the_image_of_the_release() -> None:
    described = {**SYSTEM, "services": [{**APP, "manager": "compose"}]}
    told = migration_options(described, "app", identity="r1")
    assert (told["directory"], told["release"]) == ("prisma/migrations", {"service": "app", "id": "r1"})
    assert (told["chdir"], told["user"], told["environment_file"]) == (None, None, None), "those are the image's"
    assert (
        migration_options(described, "app", "/srv/releases/1", "r1")["directory"] == "/srv/releases/1/prisma/migrations"
    )
    with pytest.raises(ValueError, match="its migrations by a release's image: name the release"):
        migration_options(described, "app")
    assert migration_options(SYSTEM, "app", identity="r1")["release"] is None


def test_a_service_without_migrations_has_no_options() -> None:
    assert migration_options(SYSTEM, "plain") == {}


MONGODB = {
    "name": "rooms",
    "engine": "mongodb",
    "service": "mongod",
    "host": "127.0.0.1",
    "port": 27017,
    "user": "admin",
    "password": "secret",
}


def of_mongodb(**more: Any) -> dict[str, Any]:
    app = {**APP, "deploy": {**APP["deploy"], "migration": {**MIGRATION, "database": "rooms", **more}}}
    return {**SYSTEM, "services": [app], "databases": [MONGODB], "backups": []}


def test_a_program_that_migrates_mongodb_reaches_it_by_itself() -> None:
    told = migration_options(of_mongodb(kind="command", pending=["node", "look.js"]), "app")
    assert (told["pending"], told["reach"], told["secret"]) == (["node", "look.js"], {}, None)


def test_mongodb_is_migrated_by_nothing_but_a_program() -> None:
    with pytest.raises(ValueError, match=r"'rooms' is a database of MongoDB: .* set migration.kind to command"):
        migration_options(of_mongodb(), "app")


def test_an_unknown_service_is_named() -> None:
    with pytest.raises(ValueError, match="there is no service 'ap' on this host: known are app, plain"):
        migration_options(SYSTEM, "ap")
