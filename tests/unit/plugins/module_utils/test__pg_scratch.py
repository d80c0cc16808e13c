# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._pg_scratch import (
    LONGEST,
    MARK,
    create,
    drop,
    is_even,
    is_scratch,
    scratch_name,
    settings,
)

AT = datetime(2026, 11, 21, 2, 0, 5, tzinfo=timezone.utc)
CONTENT = {"encoding": "UTF8", "collate": "C.UTF-8", "ctype": "C.UTF-8", "provider": "c", "locale": None}


@pytest.mark.parametrize("database", ["shop", 'Sick "One"', "x" * 63, "ü" * 31, "a\nb"])
def test_a_scratch_database_is_known_by_its_name_again(database: str) -> None:
    name = scratch_name(database, AT)
    assert len(name.encode()) <= LONGEST
    assert is_scratch(name, f"{MARK} shop_20261121T020000Z")
    assert is_scratch(name, None)  # killed before it got its comment


@pytest.mark.parametrize(
    ("name", "comment"),
    [
        pytest.param("shop", None, id="the live one"),
        pytest.param("shop_scratch_20261121t020005z", None, id="a name that somebody chose"),
        pytest.param("shop_scratch_20261121t020005z_0badc0de", None, id="with another mark"),
        pytest.param(scratch_name("shop", AT).replace("shop", "shoq"), None, id="of another database"),
        pytest.param(scratch_name("shop", AT), "do not drop, asks Ann", id="one that somebody made his own"),
        pytest.param(scratch_name("shop", AT) + "2", None, id="a copy of it"),
    ],
)
def test_what_is_not_ours_is_never_taken_for_it(name: str, comment: str | None) -> None:
    assert not is_scratch(name, comment)


def test_a_scratch_database_is_made_like_the_saved_one() -> None:
    sql = create('a"b', CONTENT, owner="app", comment="it's a test")
    assert sql == (
        'CREATE DATABASE "a""b" TEMPLATE template0 OWNER "app" ENCODING \'UTF8\' LC_COLLATE \'C.UTF-8\' '
        "LC_CTYPE 'C.UTF-8';\nCOMMENT ON DATABASE \"a\"\"b\" IS 'it''s a test';\n"
    )


@pytest.mark.parametrize(
    ("content", "clause"),
    [
        ({"provider": "i", "locale": "de-DE"}, "LOCALE_PROVIDER icu ICU_LOCALE 'de-DE'"),
        ({"provider": "b", "locale": "C.UTF-8"}, "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'"),
        ({"provider": "i", "locale": None}, "LC_CTYPE 'C.UTF-8';"),
    ],
)
def test_its_locale_comes_from_the_same_provider(content: dict[str, str | None], clause: str) -> None:
    assert clause in create("x", {**CONTENT, **content}, owner=None, comment="")


def test_it_is_filled_fast_and_canaries_find_their_tables_in_it() -> None:
    content = {
        "settings": [
            {"role": None, "name": "search_path", "value": '"Big", public'},
            {"role": "app", "name": "search_path", "value": "other"},
            {"role": None, "name": "app.key", "value": None},
        ]
    }
    sql = settings("x", content, version_num=150000)
    assert "ALTER DATABASE \"x\" SET synchronous_commit = 'off';" in sql
    assert "ALTER DATABASE \"x\" SET client_connection_check_interval = '1s';" in sql
    assert 'ALTER DATABASE "x" SET search_path = "Big", public;' in sql
    assert "other" not in sql
    assert "app.key" not in sql
    assert "client_connection" not in settings("x", content, version_num=130000)


@pytest.mark.parametrize(
    ("tables", "jobs", "even"),
    [
        pytest.param({"a": 10, "b": 10, "c": 10}, 2, True, id="enough for all"),
        pytest.param({"a": 10, "b": 10}, 2, True, id="one each"),
        pytest.param({"a": 30, "b": 10, "c": 5}, 2, False, id="one holds more than its share"),
        pytest.param({"a": 10, "b": 10, "c": 10}, 4, False, id="more sessions than tables"),
        pytest.param({"a": 10, "b": 10}, 1, False, id="one session"),
        pytest.param({"a": 0}, 2, False, id="nothing in it"),
        pytest.param({}, 2, False, id="no table"),
    ],
)
def test_indexes_get_parallel_workers_only_where_sessions_would_be_idle(
    tables: dict[str, int], jobs: int, even: bool
) -> None:
    assert is_even({"tables": tables}, jobs) == even
    sql = settings("x", {"tables": tables}, version_num=150000, jobs=jobs)
    assert ("SET max_parallel_maintenance_workers = '0'" in sql) == even
    assert "parallel" not in settings("x", {"tables": tables}, version_num=100000, jobs=jobs)


def test_it_is_dropped_whoever_is_connected_to_it() -> None:
    assert drop("x", version_num=130000) == 'DROP DATABASE IF EXISTS "x" WITH (FORCE);\n'
    assert "pg_terminate_backend" in drop("x", version_num=120000)
