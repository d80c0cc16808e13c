# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and values never become SQL of their own."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _pg_restore_sql as sql

LIKE = {"owner": 'the "app"', "encoding": "UTF8", "collate": "C", "ctype": "C", "connection_limit": 5, "comment": None}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("work_mem", "8MB", "\"work_mem\" TO '8MB'"),
        ("search_path", '"$user", public, "a,""b"', "\"search_path\" TO '$user', 'public', 'a,\"b'"),
        ("search_path", '""', "\"search_path\" TO ''"),
        ("app.key", "x'y", "\"app\".\"key\" TO 'x''y'"),
    ],
)
def test_a_setting_is_carried_over_as_it_is(name: str, value: str, expected: str) -> None:
    said = sql.carry_over("shop", {**LIKE, "settings": [{"role": None, "name": name, "value": value}]})
    assert f'ALTER DATABASE "shop" SET {expected};' in said


def test_a_setting_that_a_manifest_does_not_tell_is_left_out() -> None:
    said = sql.carry_over("shop", {**LIKE, "settings": [{"role": None, "name": "app.key", "value": None}]})
    assert said == 'ALTER DATABASE "shop" RESET ALL;\n'


def test_grants_replace_those_that_every_database_begins_with() -> None:
    grants = [
        {"role": None, "privilege": "CONNECT", "grantable": False},
        {"role": "re'ader", "privilege": "CREATE", "grantable": True},
    ]
    said = sql.carry_over("shop", {**LIKE, "granted": True, "grants": grants})
    assert 'REVOKE ALL ON DATABASE "shop" FROM PUBLIC, "the ""app""";' in said
    assert 'GRANT CONNECT ON DATABASE "shop" TO PUBLIC;' in said
    assert 'GRANT CREATE ON DATABASE "shop" TO "re\'ader" WITH GRANT OPTION;' in said


def test_a_name_cannot_end_the_block_that_checks_it() -> None:
    said = sql.drop("12", "x'; DROP DATABASE live; $$ --")
    assert "datname = ''x''''; DROP DATABASE live; $$ --''" in said
    assert 'DROP DATABASE "x\'; DROP DATABASE live; $$ --";' in said


def test_the_exchange_is_one_transaction_that_first_looks_whom_it_has_before_it() -> None:
    said = sql.exchange(
        "shop", out=("1", "shop_before_x"), into=("2", "shop_restored_x"), like=LIKE, comment="c", carry=True
    )
    words = [
        said.index(one)
        for one in ("BEGIN;", "DO ", "RESET ALL", "pg_terminate_backend", '"shop" RENAME', 'TO "shop";', "COMMIT;")
    ]
    assert words == sorted(words)


def test_the_name_of_a_session_is_what_the_server_keeps_of_it() -> None:
    assert len(sql.application("ü" * 80)) == 63


def test_no_two_restores_call_their_sessions_alike() -> None:
    names = ["shop", "x" * 60, f"{'x' * 60}y", "sh\u00f6p", "sh\u00e4p", "sh?p"]
    assert len({sql.application(name) for name in names}) == len(names)
    assert all(len(sql.application(name)) <= 63 and sql.application(name).isascii() for name in names)
