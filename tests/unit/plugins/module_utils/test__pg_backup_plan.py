# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a dump is made follows from where it is made; a disk that is too small is refused before the work."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._pg_backup_plan import (
    MOST_LINES,
    BackupError,
    Recipe,
    choose_recipe,
    differences,
    expected_bytes,
    refuse_too_small,
    summary,
)

HERE = {"encrypted": False, "inside": False, "pg_dump": 15, "jobs": 3, "has_zstd": True}
GB = 10**9


@pytest.mark.parametrize(
    ("compression", "place", "recipe"),
    [
        pytest.param("auto", {}, ("directory", "gzip", "none", 3), id="PostgreSQL 15 on the host"),
        pytest.param("auto", {"pg_dump": 16}, ("directory", "zstd", "none", 3), id="PostgreSQL 16 on the host"),
        pytest.param("none", {}, ("directory", "none", "none", 3), id="no compression"),
        pytest.param("zstd", {}, ("custom", "none", "zstd", 1), id="zstd, which pg_dump 15 has not"),
        pytest.param("auto", {"encrypted": True}, ("custom", "none", "zstd", 1), id="encrypted, zstd by all cores"),
        pytest.param(
            "auto", {"encrypted": True, "has_zstd": False}, ("custom", "gzip", "none", 1), id="encrypted without zstd"
        ),
        pytest.param("gzip", {"encrypted": True}, ("custom", "gzip", "none", 1), id="encrypted, gzip"),
        pytest.param("none", {"encrypted": True}, ("custom", "none", "none", 1), id="encrypted only"),
        pytest.param("auto", {"inside": True}, ("custom", "none", "zstd", 1), id="in a container, zstd by all cores"),
        pytest.param(
            "auto",
            {"inside": True, "has_zstd": False},
            ("custom", "gzip", "none", 1),
            id="in a container, without zstd",
        ),
        pytest.param(
            "auto", {"inside": True, "pg_dump": 17}, ("custom", "zstd", "none", 1), id="in a container of PostgreSQL 17"
        ),
        pytest.param("zstd", {"inside": True}, ("custom", "none", "zstd", 1), id="in a container, zstd after it"),
    ],
)
def test_how_it_is_dumped_follows_from_where(compression, place, recipe):
    chosen = choose_recipe(compression, **{**HERE, **place})
    assert chosen == Recipe(*recipe)


@pytest.mark.parametrize("compression", ["zstd", "gzip", "none"])
@pytest.mark.parametrize("encrypted", [True, False])
@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("pg_dump", [12, 15, 16, 18])
def test_what_is_asked_for_is_what_is_done(compression, encrypted, inside, pg_dump):
    chosen = choose_recipe(compression, encrypted=encrypted, inside=inside, pg_dump=pg_dump, jobs=2, has_zstd=True)
    assert chosen.compression == compression
    assert not (encrypted and chosen.format == "directory"), "what one stream encrypts is one stream"
    assert not (chosen.inner == "zstd" and pg_dump < 16), "pg_dump 15 has no zstd"


def test_pg_dump_is_told_so():
    assert Recipe("directory", "gzip", "none", 3).options() == ["--format=directory", "--compress=1", "--jobs=3"]
    assert Recipe("custom", "none", "zstd", 1).options() == ["--format=custom", "--compress=0"]
    assert Recipe("custom", "zstd", "none", 1).options() == ["--format=custom", "--compress=zstd:1"]


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        pytest.param(None, 5 * GB, id="the first: half of the database"),
        pytest.param(
            {"size": 1 * GB, "content": {"size_bytes": 8 * GB}}, 1_562_500_000, id="as the last one, and a quarter more"
        ),
        pytest.param({"size": 1 * GB, "content": {}}, 5 * GB, id="the last one does not tell"),
    ],
)
def test_the_room_is_reckoned_from_the_last_backup(last, expected):
    assert expected_bytes(10 * GB, last) == expected


def test_a_disk_with_room_is_taken():
    refuse_too_small("/backups", needed=5 * GB, free=11 * GB, total=100 * GB, min_free_percent=5)


@pytest.mark.parametrize("free", [0, 5 * GB, 10 * GB - 1])
def test_a_disk_without_room_is_refused_with_the_figures(free):
    with pytest.raises(BackupError, match=r"the backup may take 5 GB, and /backups has .* free, of which 5 GB \(5 %\)"):
        refuse_too_small("/backups", needed=5 * GB, free=free, total=100 * GB, min_free_percent=5)


def test_the_diff_shows_the_tables_that_changed():
    before = {"tables": {"public.a": 1, "public.b": 2, "public.gone": 3}}
    after = {"tables": {"public.a": 1, "public.b": 5, "public.new": 0}}
    assert differences(before, after) == (
        ["public.b: 2 rows", "public.gone: 3 rows"],
        ["public.b: 5 rows", "public.new: 0 rows"],
    )
    assert differences(None, after)[0] == []
    assert differences(after, after) == ([], [])


def test_the_diff_has_few_lines():
    tables = {f"public.t{number:03d}": number for number in range(100)}
    lines = differences(None, {"tables": tables})[1]
    assert len(lines) == MOST_LINES
    assert lines[-1] == "and 81 more tables"


def test_a_backup_is_told_in_few_words():
    assert summary({"tables": {"a": 1, "b": 2}}) == "2 tables, 3 rows"
