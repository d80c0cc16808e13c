# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding backups by the date in their names."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._dated_names import DateFormatError, read_dates


@pytest.mark.parametrize(
    ("name", "stamp"),
    [
        pytest.param("backup_20261120_020000.sql.gz", "20261120020000", id="the runbook's form"),
        pytest.param("backup_2026-11-20.sql", "20261120000000", id="a day alone is its midnight"),
        pytest.param("db-2026-11-20T02:03:04Z.dump", "20261120020304", id="ISO 8601, extended"),
        pytest.param("db.20261120T020304.dump", "20261120020304", id="ISO 8601, basic"),
        pytest.param("db-2026-11-20_02-03.tar", "20261120020300", id="hours and minutes"),
        pytest.param("20261120020304", "20261120020304", id="digits alone"),
        pytest.param("db12_20261120.sql", "20261120000000", id="other digits before"),
        pytest.param("backup_20261120_1.sql", "20261120000000", id="a running number is no time"),
        pytest.param("backup_20240229.sql", "20240229000000", id="a leap day"),
    ],
)
def test_a_date_is_found_in_the_usual_forms(name, stamp):
    assert read_dates([name]).backups == [f"{stamp}/{name}"]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("backup.sql", id="none at all"),
        pytest.param("backup_20261345.sql", id="no such month"),
        pytest.param("backup_20260229.sql", id="no such day"),
        pytest.param("backup_20261120_250000.sql", id="no such hour"),
        pytest.param("backup_20261120_026100.sql", id="no such minute"),
        pytest.param("backup_1700000000.sql", id="seconds since 1970"),
        pytest.param("backup_2026-1120.sql", id="mixed forms"),
    ],
)
def test_a_name_without_a_real_date_is_counted_and_never_a_backup(name):
    found = read_dates([name])
    assert (found.backups, found.undated) == ([], 1)


def test_one_name_without_a_real_date_does_not_spoil_the_others_of_its_shape():
    found = read_dates(["b_20269999.sql", "b_20261120.sql", "b_00000000.sql"])
    assert (found.backups, found.undated) == (["20261120000000/b_20261120.sql"], 2)


def test_what_does_not_match_the_pattern_does_not_exist():
    found = read_dates(["notes_20261120.txt", "backup_20261120.sql", "x"], pattern="backup_*.sql*")
    assert (found.backups, found.undated) == (["20261120000000/backup_20261120.sql"], 0)


def test_a_pattern_with_digits_is_asked_for_each_name():
    names = ["b_20251120.sql", "b_20261120.sql", "b_20261121.sql"]
    assert [key[15:] for key in read_dates(names, pattern="b_2026*").backups] == names[1:]
    assert [key[15:] for key in read_dates(names, pattern="b_????112[0].sql").backups] == names[:2]


def test_sidecars_and_unfinished_files_are_no_backups():
    names = ["b_20261120.sql", "b_20261120.sql.sha256", "b_20261121.sql.partial", "b_20261120.sql.manifest.json"]
    found = read_dates(names)
    assert found.backups == ["20261120000000/b_20261120.sql"]
    assert found.sidecars == {"b_20261120.sql.sha256", "b_20261120.sql.manifest.json"}
    assert found.unfinished == 1


def test_backups_of_several_forms_sort_by_time():
    names = ["b_2026-11-20.sql", "b_20261119_230000.sql.gz", "b_20261120_010000.sql"]
    assert [key[15:] for key in read_dates(names).backups] == [names[1], names[0], names[2]]


def test_a_date_format_reads_what_is_written_another_way():
    found = read_dates(["db-20.11.2026-0203.gz", "db-2026-11-20.gz"], date_format="%d.%m.%Y-%H%M")
    assert (found.backups, found.undated) == (["20261120020300/db-20.11.2026-0203.gz"], 1)


@pytest.mark.parametrize("date_format", ["%Y-%m", "%d.%m.%y", "%Y%m%d%%", "%Y%Y%m%d", "", "%Y-%m-%d %p"])
def test_a_date_format_that_is_no_whole_date_is_refused(date_format):
    with pytest.raises(DateFormatError, match="must hold %Y, %m and %d"):
        read_dates([], date_format=date_format)


def test_more_names_than_one_chunk_are_all_found():
    names = [f"b_{2000 + n // 336}-{n // 28 % 12 + 1:02d}-{n % 28 + 1:02d}.sql" for n in range(10_000)]
    assert [key[15:] for key in read_dates(names).backups] == names


def test_a_name_may_hold_any_character():
    name = "b\n_20261120\udcff.sql"
    assert read_dates([name]).backups == [f"20261120000000/{name}"]


def test_names_of_a_set_are_told_apart_whatever_the_pattern_says():
    names = ["db1_20261120T020000Z", "db2_20261120T020000Z", "db1_20261120T020000Z.partial", "db1_20261119.sql"]
    found = read_dates(names, pattern="db*", set_name="db1")
    assert found.sets == names[:1]
    assert [key[15:] for key in found.backups] == [names[3], names[1]]
    alone = read_dates(names, pattern=None, set_name="db1")
    assert (alone.sets, alone.backups) == (names[:1], [])


def test_what_a_killed_run_was_deleting_is_known_by_its_name():
    names = ["db_20261120T020000Z.removed", "other_20261120T020000Z.removed", "20261120_020000.removed", "x.removed"]
    assert read_dates(names, pattern="20??????_??????", set_name="db").removed == [names[0], names[2]]
    assert read_dates(names, pattern=None, set_name="db").removed == names[:1]
    assert read_dates(names, pattern="x*").removed == [], "there is no date in it"
    assert read_dates(names).backups == []
