# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _pg_content
from ansible_collections.runbook.ops.plugins.module_utils._pg_content import (
    MOST_DIFFERENCES,
    compare,
    normalised,
    read_content,
)

CONTENT: dict[str, Any] = {
    "server_version_num": 150018,
    "encoding": "UTF8",
    "collate": "C.UTF-8",
    "ctype": "C.UTF-8",
    "extensions": {"plpgsql": "1.0", "citext": "1.6"},
    "large_objects": 2,
    "objects": {"indexes": 17, "views": 3},
    "tables": {"public.users": 990, 'public."Sick One"': 0},
    "sequences": {"public.users_id_seq": [1000, True], "public.never": [1, False]},
    "schema_sha256": "a" * 64,
    "schema_by": [15, 15],
}


def test_the_same_content_has_no_differences() -> None:
    assert compare(CONTENT, dict(CONTENT)) == []


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        pytest.param({"encoding": "LATIN1"}, "encoding is LATIN1 instead of UTF8", id="encoding"),
        pytest.param({"extensions": {"plpgsql": "1.0"}}, "extension citext is missing", id="a missing extension"),
        pytest.param(
            {"tables": {"public.users": 989, 'public."Sick One"': 0}},
            "table public.users has 989 rows instead of 990",
            id="a lost row",
        ),
        pytest.param(
            {"tables": {"public.users": 990}},
            'table public."Sick One" is missing, with 0 rows',
            id="a missing table, though it was empty",
        ),
        pytest.param(
            {"tables": {**CONTENT["tables"], "public.more": 1}},
            "table public.more is not in the backup's manifest",
            id="a table too many",
        ),
        pytest.param(
            {"sequences": {"public.users_id_seq": [999, True], "public.never": [1, False]}},
            "sequence public.users_id_seq stands at 999 instead of 1000",
            id="a sequence that would give a number again",
        ),
        pytest.param(
            {"sequences": {"public.users_id_seq": [1000, True], "public.never": [1, True]}},
            "sequence public.never stands at 1 instead of 1 (not used yet)",
            id="a sequence that would leave its first number out",
        ),
        pytest.param(
            {"sequences": {"public.users_id_seq": [1000, True]}},
            "sequence public.never is missing",
            id="a sequence gone",
        ),
        pytest.param({"objects": {"indexes": 16, "views": 3}}, "16 indexes instead of 17", id="a missing index"),
        pytest.param({"large_objects": 1}, "1 large objects instead of 2", id="a lost large object"),
        pytest.param(
            {"schema_sha256": "b" * 64},
            "the schema is not the same: compare what pg_dump --schema-only prints",
            id="another schema",
        ),
    ],
)
def test_each_difference_is_told_in_words(changed: dict[str, Any], difference: str) -> None:
    assert compare(CONTENT, {**CONTENT, **changed}) == [difference]


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"schema_sha256": "b" * 64, "schema_by": [15, 17]}, id="a schema in the words of another pg_dump"),
        pytest.param({"extensions": {"plpgsql": "1.1", "citext": "1.7"}}, id="newer extensions"),
        pytest.param({"lsn": "0/1", "database": "other", "size_bytes": 1}, id="what is another one's by nature"),
    ],
)
def test_what_is_no_loss_is_no_difference(changed: dict[str, Any]) -> None:
    assert compare(CONTENT, {**CONTENT, **changed}) == []


def test_what_a_manifest_does_not_tell_is_not_compared() -> None:
    assert compare({}, CONTENT) == []
    assert compare({"tables": {"public.users": 990, 'public."Sick One"': 0}}, CONTENT) == []


def test_not_more_differences_are_told_than_somebody_reads() -> None:
    found = {**CONTENT, "tables": {f"public.t{number:03}": 1 for number in range(100)}}
    differences = compare(CONTENT, found)
    assert len(differences) == MOST_DIFFERENCES
    assert differences[-1] == "and 83 more differences"


SCHEMA = """\
--
-- PostgreSQL database dump
--

\\restrict nhOvstTid0S4hyaJCKgkSAhlMrGiXvEGElGbsEoKHn8A3ab4ChnrAqpssRkrGii

SET statement_timeout = 0;
CREATE TABLE public.users (
    status character varying(20) DEFAULT 'new'::character varying,
    CONSTRAINT users_status_check CHECK (((status)::text = ANY ({})))
);

\\unrestrict nhOvstTid0S4hyaJCKgkSAhlMrGiXvEGElGbsEoKHn8A3ab4ChnrAqpssRkrGii
"""
ORIGINAL = SCHEMA.format("(ARRAY['new'::character varying, 'gone'::character varying])::text[]")


@pytest.mark.parametrize(
    "array",
    [
        pytest.param("ARRAY[('new'::character varying)::text, ('gone'::character varying)::text]", id="as restored"),
        pytest.param("ARRAY['new'::\"Big.Schema\".citext, 'gone'::public.mood[]]", id="types of a schema"),
        pytest.param("ARRAY['new'::character varying(20), 'gone'::timestamp(3) without time zone]", id="with lengths"),
        pytest.param("ARRAY['new'::numeric(10,2), 'gone'::bit varying(3)[]]", id="with two numbers"),
    ],
)
def test_casts_that_move_while_an_expression_is_read_again_do_not_count(array: str) -> None:
    assert list(normalised(SCHEMA.format(array))) == list(normalised(ORIGINAL))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("users_status_check", "users_check"),
        ("'gone'", "'went'"),
        ("ANY", "ALL"),
        ("varying(20)", "varying(21)"),
        (" = ANY", " <> ANY"),
        ("public.users (\n", "public.users (\n    id bigint,\n"),
    ],
)
def test_names_constants_operators_and_columns_count(old: str, new: str) -> None:
    assert old in ORIGINAL
    assert list(normalised(ORIGINAL.replace(old, new))) != list(normalised(ORIGINAL))


def test_comments_settings_and_tokens_of_the_dump_do_not_count() -> None:
    other = (
        ORIGINAL.replace("nhOvst", "Oa7Bla")
        .replace("dump\n", "dump of Tuesday\n")
        .replace("timeout = 0", "timeout = 1")
    )
    assert list(normalised(other)) == list(normalised(ORIGINAL))
    assert next(iter(normalised(ORIGINAL))) == "CREATETABLEpublic.users"


class Asked:
    """Stands for the server: keeps what it was asked."""

    def __init__(self) -> None:
        self.asked = ""

    def sql(self, _database: str, sql: str, **_limits: float) -> list[str]:
        self.asked = sql
        return ["{}"]


@pytest.mark.parametrize("snapshot", ["0003-1", None], ids=["beside a dump", "alone"])
def test_rows_are_counted_by_one_process_only_where_a_dump_wants_the_others(
    monkeypatch: pytest.MonkeyPatch, snapshot: str | None
) -> None:
    server: Any = Asked()
    monkeypatch.setattr(_pg_content, "schema_hash", lambda *_args, **_options: {})
    read_content(server, "shop", snapshot=snapshot)
    assert ("max_parallel_workers_per_gather = 0" in server.asked) == (snapshot is not None)
    assert server.asked.count("SET TRANSACTION SNAPSHOT") == (snapshot is not None)
