# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How modules reach a database of a system's description. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._health_things import given, is_contained, place_of

System = Mapping[str, Any]


def reach_of_mongodb(system: System, database: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a MongoDB database is reached, in the options that its modules share."""
    login = given(**{key: database.get(key) for key in ("port", "user", "auth_database")})
    return {
        **login,
        **(place_of(system, database) if is_contained(system, database) else given(host=database.get("host"))),
    }


def reach_of_database(system: System, database: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a PostgreSQL database is reached, in the options that all modules share."""
    login = given(run_as=database.get("superuser"), login_user=database.get("user"))
    if is_contained(system, database):
        return {**login, **place_of(system, database)}
    if database.get("host"):
        login = {**given(login_user=database.get("owner")), **login}
    return {**login, **given(login_host=database.get("host"), login_port=database.get("port"))}
