# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of contents of an archive is read as pg_dump of every version writes it; one that is damaged is refused."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._pg_archive import (
    ArchiveError,
    Entry,
    full_name,
    missing,
    read_archive,
)

CUSTOM, TAR = 1, 3
VERSIONS = [(1, 12), (1, 13), (1, 14), (1, 15), (1, 16)]


def integer(value):
    return bytes([value < 0]) + abs(value).to_bytes(4, "little")


def text(value, encoding="utf-8"):
    raw = None if value is None else value.encode(encoding)
    return integer(-1) if raw is None else integer(len(raw)) + raw


def entry(kind, name, definition="", *, schema="public", version=(1, 14), form=CUSTOM, encoding="utf-8"):
    """Return one entry as WriteToc of pg_backup_archiver.c writes it."""
    parts = [integer(7), integer(1), text("1259"), text("16384"), text(name, encoding), text(kind), integer(2)]
    parts += [text(definition, encoding), text(""), text(None), text(schema, encoding), text("")]
    parts += [text("heap")] if version >= (1, 14) else []
    parts += [integer(114)] if version >= (1, 16) else []
    parts += [text("shop"), text("false"), text("12"), text("13"), text(None)]
    parts += [b"\x02" + bytes(8)] if form == CUSTOM else [text("3344.dat.gz")]
    return b"".join(parts)


def archive(*entries, version=(1, 14), form=CUSTOM):
    head = b"PGDMP" + bytes([*version, 0, 4, 8, form])
    head += b"\x01" if version >= (1, 15) else integer(1)
    head += b"".join(integer(number) for number in (4, 3, 2, 21, 10, 126, 0))
    head += text("shop") + text("15.18 (Debian)") + text("15.18 (Debian 15.18-0+deb12u1)")
    return head + integer(len(entries)) + b"".join(entries)


def contents(version, form):
    one = {"version": version, "form": form}
    return archive(
        entry("TABLE DATA", "orders", **one),
        entry("TABLE DATA", 'Sick "One"; -- \n', schema="Big.Schema", **one),
        entry("SEQUENCE SET", "orders_id_seq", "SELECT pg_catalog.setval('public.orders_id_seq', 42, true);\n", **one),
        entry("SEQUENCE SET", "It's", "SELECT pg_catalog.setval('public.\"It''s\"', -1, false);\n", **one),
        entry("TABLE", "orders", "CREATE TABLE …", **one),
        version=version,
        form=form,
    )


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("form", [CUSTOM, TAR])
def test_tables_and_sequences_are_told_by_their_whole_names(version, form):
    found = read_archive(contents(version, form))
    assert found.dumped_by == "15.18"
    assert found.tables() == {"public.orders", '"Big.Schema"."Sick ""One""; -- \n"'}
    assert found.sequences() == {"public.orders_id_seq": [42, True], 'public."It\'s"': [-1, False]}
    assert Entry("TABLE", "public", "orders", "CREATE TABLE …") in found.entries


def test_what_follows_the_table_of_contents_is_not_looked_at():
    assert read_archive(contents((1, 14), CUSTOM) + b"rows").tables()


@pytest.mark.parametrize("share", [0, 0.05, 0.5, 0.9, 0.999])
def test_one_that_is_cut_off_is_refused(share):
    whole = contents((1, 14), CUSTOM)
    with pytest.raises(ArchiveError):
        read_archive(whole[: int(len(whole) * share)])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"-- PostgreSQL database dump", "it is no archive of pg_dump"),
        (archive(version=(1, 17)), "the archive has version 1.17"),
        (archive(version=(1, 9)), "the archive has version 1.9"),
    ],
)
def test_another_format_is_named(data, message):
    with pytest.raises(ArchiveError) as raised:
        read_archive(data)
    assert str(raised.value) == message


@pytest.mark.parametrize("encoding", ["LATIN1", "UTF8", "WIN1252"])
def test_names_are_read_in_the_encoding_of_the_dump(encoding):
    python = {"LATIN1": "latin-1", "UTF8": "utf-8", "WIN1252": "cp1252"}[encoding]
    said = entry("ENCODING", "ENCODING", f"SET client_encoding = '{encoding}';\n", schema="")
    assert read_archive(archive(said, entry("TABLE DATA", "Müller", encoding=python))).tables() == {'public."Müller"'}


@pytest.mark.parametrize(
    ("schema", "name", "full"),
    [
        ("public", "orders", "public.orders"),
        ("public", "order", "public.order"),
        ("Big", "a.b", '"Big"."a.b"'),
        ("public", 'x"y', 'public."x""y"'),
        ("public", "1st", 'public."1st"'),
    ],
)
def test_names_are_quoted_only_where_they_are_more_than_words(schema, name, full):
    assert full_name(schema, name) == full


def test_what_is_missing_is_told_in_few_words():
    assert missing(["a", "b"], ["b", "a", "c"]) == ""
    assert missing("abcdefgh", "a") == "b, c, d, e, f and 2 more"
