# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in the way of a restore, and what its plan says."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_describe import describe
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_entry import Source
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_plan import RestoreError, Step
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_terms import different_rows, estimate, refuse
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_words import changes, lines, stays

CONTENT = {
    "server_version_num": 150014,
    "server_version": "15.14",
    "roles": ["app"],
    "extensions": {"citext": "1.6"},
    "size_bytes": 100_000_000,
    "tables": {"public.users": 10, "public.tasks": 5},
    "owner": "app",
}
SERVER = {
    "standby": False,
    "version": "15.14",
    "version_num": 150014,
    "roles": ["app", "postgres"],
    "extensions": ["citext"],
    "system_identifier": "7",
    "names": {},
}
LIVE: dict[str, Any] = {"name": "shop", "oid": "1", "owner": "app", "size_bytes": 1000, "sessions": [], "prepared": []}
SOURCE = Source(
    "set",
    "shop_1",
    "/b/shop_1",
    "a",
    5000,
    "2026-02-05T02:00:00Z",
    "shop",
    CONTENT,
    {"at": "2026-02-05T02:10:00Z", "seconds": 12},
    True,
)


def refusal(source: Source = SOURCE, live: dict[str, Any] | None = LIVE, **options: Any) -> str:
    given = {
        "database": "shop",
        "from_database": None,
        "reason": "",
        "room": (None, None, 5),
        "server": SERVER,
        **options,
    }
    server = given.pop("server")
    try:
        refuse(source, server, live, **given)
    except RestoreError as exc:
        return str(exc)
    return ""


def test_a_proven_backup_of_this_database_is_restored() -> None:
    assert refusal() == ""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param({"source": SOURCE._replace(drill=None)}, "has not passed a test restore", id="unproven"),
        pytest.param(
            {"source": SOURCE._replace(undamaged=False)}, "has not passed a test restore", id="proof without checksums"
        ),
        pytest.param(
            {"source": SOURCE._replace(kind="plain", drill=None)}, "has no manifest: set accept_unproven", id="a dump"
        ),
        pytest.param(
            {"source": SOURCE._replace(drill=None), "reason": " "}, "has not passed", id="a blank is no reason"
        ),
        pytest.param({"database": "other"}, "of the database shop, not of other", id="another database"),
        pytest.param({"from_database": "third"}, "not of third", id="another than was said"),
        pytest.param({"server": {**SERVER, "standby": True}}, "is a standby", id="a standby"),
        pytest.param(
            {"server": {**SERVER, "version": "14.2", "version_num": 140002}},
            "was made on PostgreSQL 15.14, this is 14.2",
            id="an older server",
        ),
        pytest.param({"server": {**SERVER, "roles": []}}, "lacks the roles app: create them", id="a role is missing"),
        pytest.param(
            {"server": {**SERVER, "extensions": None}}, "lacks the extensions citext", id="an extension is missing"
        ),
        pytest.param({"room": (100_000_000, 1_000_000_000, 5)}, "make room first", id="no room"),
        pytest.param({"live": {**LIVE, "prepared": ["x"]}}, "prepared transactions x", id="a prepared transaction"),
        pytest.param(
            {
                "live": {
                    **LIVE,
                    "sessions": [{"pid": 9, "application": "pg_dump", "user": "a", "type": "client backend"}],
                }
            },
            "pg_dump works on shop (session 9)",
            id="a backup is being made",
        ),
        pytest.param(
            {"live": None, "source": SOURCE._replace(content={})}, "there is no database shop", id="nothing to be like"
        ),
    ],
)
def test_what_must_not_be_restored_is_refused_in_one_line(options: dict[str, Any], said: str) -> None:
    told = refusal(**options)
    assert said in told
    assert "\n" not in told


@pytest.mark.parametrize(
    "options",
    [
        {"source": SOURCE._replace(drill=None), "reason": "the only one there is"},
        {"database": "other", "from_database": "shop"},
        {"live": None},
        {"room": (200_000_000, 1_000_000_000, 5)},
    ],
    ids=["accepted with a reason", "said to be of another database", "no live database", "room enough"],
)
def test_what_may_be_restored_is_not_refused(options: dict[str, Any]) -> None:
    assert refusal(**options) == ""


def test_the_time_is_taken_from_the_test_restore() -> None:
    assert estimate(SOURCE) == (12.0, "as in its test restore")
    assert estimate(SOURCE._replace(drill=None)) == (6.0, "guessed from its size")
    assert estimate(SOURCE._replace(drill=None, content=None))[0] is None


def test_the_tables_that_differ_most_come_first() -> None:
    found = different_rows({"a": 1, "b": 10, "c": 5}, {"a": 2, "b": 100, "d": 7}, limit=3)
    assert [one["table"] for one in found] == ["b", "d", "c"]


def test_the_plan_says_all_that_one_must_know_before_saying_yes() -> None:
    plan = describe(
        SOURCE,
        server=SERVER,
        live={**LIVE, "sessions": [{"pid": 1, "user": "app", "application": "api", "type": "client backend"}]},
        entry=None,
        rows_now={"public.users": 3, "public.tasks": 5},
        database="shop",
        where="the local socket",
        reason="",
        now=datetime(2026, 2, 5, 14, 0, tzinfo=timezone.utc),
    )
    said = "\n".join(lines(plan, [Step("restore", "", "", "from shop_1")]))
    for words in (
        "shop on the local socket, PostgreSQL 15.14, system 7",
        "1 session: app (api)",
        "taken at 2026-02-05T02:00:00Z, 12h old",
        "proven by a test restore at 2026-02-05T02:10:00Z",
        "public.users: 10 in the backup, about 3 now",
        "12s beside the live database",
        "what was written after 2026-02-05T02:00:00Z (12h)",
        "state reverted puts the kept one back",
    ):
        assert words in said
    assert "public.tasks" not in said


def test_why_an_unproven_backup_was_accepted_stands_in_the_record() -> None:
    (change,) = changes([Step("restore", "", "", "from x.sql")], "shop", {"restore": 1.0}, accepted="the only one")
    assert change["reason"] == "from x.sql, not proven, accepted because: the only one"
    assert change["thing"] == "shop"


@pytest.mark.parametrize(
    ("proof_needed", "until"),
    [
        (True, "2026-02-08T03:00:00Z and a backup taken since has passed a test restore"),
        (False, "2026-02-08T03:00:00Z, by age alone"),
    ],
)
def test_a_proof_is_promised_only_where_it_is_asked_for(proof_needed: bool, until: str) -> None:
    kept = {"oid": "1", "name": "shop_before_1", "why": "live until the restore", "since": "2026-02-01T03:00:00Z"}
    failed = {**kept, "oid": "2", "name": "shop_failed_1", "why": "restored, and reverted"}
    said = stays(
        {"kept": [kept, failed]},
        "shop",
        keep_days=7,
        proof_needed=proof_needed,
        now=datetime(2026, 2, 1, 3, tzinfo=timezone.utc),
        steps=[Step("swap", "shop_restored_2", "3", "")],
    )
    assert said[0].endswith(f"until {until}") and said[2].endswith(f"until {until}")
    assert said[1].endswith("until 2026-02-08T03:00:00Z")
