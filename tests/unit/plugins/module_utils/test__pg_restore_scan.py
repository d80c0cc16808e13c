# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is seen in a plain dump, however it is cut into pieces."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_scan import DumpError, Scan, scan, table_name

HEAD = b"--\n-- PostgreSQL database dump\n--\n\n\\restrict abc\nSET x = 1;\n"
USERS = b"COPY public.users (id, name) FROM stdin;\n1\ta\n2\tCOPY x FROM stdin;\n3\t\\\\.\n\\.\n\n"
EMPTY = b'COPY public."Task.List" (id) FROM stdin;\n\\.\n\n'
OWNER = b"ALTER TABLE public.users OWNER TO app;\n"
TAIL = b"--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict abc\n"
WHOLE = HEAD + OWNER + USERS + EMPTY + TAIL


@pytest.mark.parametrize("size", [1, 2, 7, 64, 10_000])
def test_rows_are_counted_in_whatever_pieces_a_dump_comes(size: int) -> None:
    found = scan(WHOLE[at : at + size] for at in range(0, len(WHOLE), size))
    assert {table_name(name): rows for name, rows in found.rows.items()} == {"public.users": 3, 'public."Task.List"': 0}
    assert found.owners
    assert found.complete


@pytest.mark.parametrize(
    ("dump", "said"),
    [
        pytest.param(b"", "it is empty", id="an empty file"),
        pytest.param(HEAD + USERS[:60], "cut off within the rows of public.users, after 2", id="cut within rows"),
        pytest.param(HEAD + USERS, "the line with which pg_dump ends is missing", id="cut after a table"),
        pytest.param(HEAD + TAIL[:20], "the line with which pg_dump ends is missing", id="cut in its last line"),
        pytest.param(b"\\connect other\n", r"'\\\\connect other' of psql", id="goes to another database"),
        pytest.param(b"  \\connect other\n", "could leave the database", id="goes there, indented"),
        pytest.param(b"SELECT 1;\n\\i other.sql\n", "could leave the database", id="reads another file"),
        pytest.param(b"CREATE DATABASE shop;\n", "about the whole server", id="makes a database"),
        pytest.param(b"drop  role app;", "about the whole server", id="drops a role in its last line"),
        pytest.param(b"ALTER SYSTEM SET fsync = off;\n", "about the whole server", id="changes the server"),
    ],
)
def test_a_dump_that_must_not_be_loaded_is_refused(dump: bytes, said: str) -> None:
    with pytest.raises(DumpError, match=said) as refused:
        scan([dump])
    assert "\n" not in str(refused.value)


def test_a_refusal_does_not_repeat_a_password() -> None:
    with pytest.raises(DumpError, match="ALTER USER app") as refused:
        scan([b"ALTER USER app PASSWORD 's3cret';\n"])
    assert "s3cret" not in str(refused.value)


def test_what_pg_dump_writes_for_foreign_servers_is_taken() -> None:
    assert scan([HEAD + b"CREATE USER MAPPING FOR app SERVER elsewhere;\n" + TAIL]).rows == {}


def test_what_stands_in_rows_is_no_command() -> None:
    found = scan([b"COPY t (a) FROM stdin;\nDROP DATABASE shop;\n\\\\connect x\n\\.\nSELECT 1;\n"])
    assert found.rows == {"t": 2}
    assert not found.by_pg_dump


@pytest.mark.parametrize("end", range(1, len(WHOLE) - len(TAIL) + 40, 13))
def test_a_dump_cut_off_anywhere_is_never_whole(end: int) -> None:
    seen = Scan()
    seen.feed(WHOLE[:end])
    if b"database dump\n" in WHOLE[:end] and b"complete" not in WHOLE[:end]:
        with pytest.raises(DumpError):
            seen.finish()


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("public.users", "public.users"),
        ('public."user"', "public.user"),
        ('"Old"."T.""x"', '"Old"."T.""x"'),
        ("bare", "bare"),
    ],
)
def test_names_are_written_as_a_manifest_writes_them(written: str, name: str) -> None:
    assert table_name(written) == name
