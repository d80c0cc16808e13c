# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores on private clusters of this machine: what is damaged never gets in, and what gets in is whole. The runbook's line beside it."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmark"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "campaign"))
from pg_cluster import Cluster
from restore_kills import LIVE, Field
from restore_module import make_backup, run

CAMPAIGN = Path(__file__).resolve().parents[1] / "campaign" / "restore_kills.py"
ACCEPTED = {"accept_unproven": "a test"}


@pytest.fixture(scope="module")
def field() -> Iterator[Field]:
    with Cluster(settings={"max_prepared_transactions": "2"}) as cluster, Cluster() as other:
        made = Field(cluster, other, rows=2000)
        yield made
        made.units.end()


@pytest.fixture
def shop(field: Field) -> Iterator[Field]:
    """The live database as it is now. After each test there is nothing but it, and the other server is as it was."""
    field.renew()
    yield field
    assert field.other_is() == field.untouched
    assert [name for name in field.databases() if "_restored_" in name] == []


def as_the_runbook_does(shop: Field, dump: Path) -> tuple[int, str]:
    """Return the exit code of ``psql <``, or ``gunzip | psql``, into an empty database, and what is in it then."""
    shop.cluster.sql("DROP DATABASE IF EXISTS by_hand")
    shop.cluster.sql("CREATE DATABASE by_hand")
    unpack = "gunzip -c" if dump.suffix == ".gz" else "cat"
    psql = " ".join([*shop.cluster.as_user(str(shop.cluster.binaries / "psql")), *shop.cluster.target("by_hand")])
    done = subprocess.run(f"{unpack} {dump} 2>/dev/null | {psql} -q >/dev/null 2>&1", shell=True, check=False)  # noqa: S602  # that is what it is about
    try:
        rows = shop.cluster.sql(
            'SELECT (SELECT count(*) FROM users) || $$ $$ || (SELECT count(*) FROM "Task List")', "by_hand"
        )
    except RuntimeError:
        rows = "no tables"
    shop.cluster.sql("DROP DATABASE by_hand")
    return done.returncode, rows


def damaged(shop: Field, kind: str) -> Path:
    """Return a dump that is damaged as ambition has seen it, and as nobody who makes it is told."""
    cluster = shop.cluster
    whole = cluster.run("pg_dump", *cluster.target(LIVE))
    path = cluster.directory / "backup.sql"
    if kind == "a bad line in COPY":
        path.write_text(whole.replace("\n5\t", "\nfive\t", 1))
    elif kind == "cut off within a table":
        path.write_text(whole[: whole.index("\n500\t")] + "\n")
    elif kind == "cut off between tables":
        path.write_text(whole[: whole.index("ALTER TABLE ONLY")])
    elif kind == "of a database that is not there":
        path = path.with_suffix(".sql.gz")
        path.write_bytes(gzip.compress(b""))
    elif kind == "the disk was full":
        path = path.with_suffix(".sql.gz")
        packed = gzip.compress(whole.encode())
        path.write_bytes(packed[: len(packed) // 2])
    else:  # a failed dump onto the last good one leaves an empty file
        path.write_bytes(b"")
    path.chmod(0o644)
    return path


KINDS = {
    "a bad line in COPY": "invalid input syntax",
    "cut off within a table": "it is cut off within the rows of",
    "cut off between tables": "the line with which pg_dump ends is missing",
    "of a database that is not there": "it is empty",
    "the disk was full": "is damaged",
    "onto the last good one": "it is empty",
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_dump_ends_as_a_failure_and_the_live_database_is_untouched(shop: Field, kind: str) -> None:
    dump = damaged(shop, kind)
    code, rows = as_the_runbook_does(shop, dump)
    assert (code, rows) != (0, "2001 1334"), "the runbook's line loses nothing here: no damage was done"
    assert code == 0, "the runbook's line is believed to report success on it"
    result = run(shop.cluster, LIVE, "prepared", backup=str(dump), **ACCEPTED)
    assert result["failed"]
    assert KINDS[kind] in result["msg"]
    assert "\n" not in result["msg"]
    assert shop.is_whole((shop.now,)) == ""
    assert shop.databases() == [LIVE]


@pytest.mark.parametrize("packed", ["sql", "sql.gz", "sql.zst", "dump"])
def test_a_whole_dump_of_the_runbooks_is_restored(shop: Field, packed: str) -> None:
    cluster = shop.cluster
    path = cluster.directory / f"whole.{packed}"
    cluster.run("pg_dump", *cluster.target(LIVE), "-f", str(path), *(["-Fc"] if packed == "dump" else []))
    if packed == "sql.gz":
        path.write_bytes(gzip.compress(path.read_bytes()))
    elif packed == "sql.zst":
        path.write_bytes(
            subprocess.run(["zstd", "-c"], input=path.read_bytes(), capture_output=True, check=True).stdout
        )
    cluster.sql("TRUNCATE users CASCADE", LIVE)
    for state in ("prepared", "swapped", "pruned"):
        options: dict[str, Any] = {"backup": str(path), **ACCEPTED} if state == "prepared" else {}
        result = run(cluster, LIVE, state, keep_days=0, **options)
        assert not result.get("failed"), result["msg"]
    assert shop.is_whole((shop.now,)) == ""
    assert shop.databases() == [LIVE]


def test_a_dump_without_owners_belongs_to_the_owner_of_the_live_database(shop: Field) -> None:
    cluster = shop.cluster
    with suppress(RuntimeError):
        cluster.sql("CREATE ROLE app LOGIN")
    cluster.sql(f"ALTER DATABASE {LIVE} OWNER TO app")
    dump = cluster.directory / "bare.sql"
    cluster.run("pg_dump", *cluster.target(LIVE), "--no-owner", "-f", str(dump))
    assert not run(cluster, LIVE, "prepared", backup=str(dump), **ACCEPTED).get("failed")
    assert not run(cluster, LIVE, "swapped").get("failed")
    assert cluster.sql("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'", LIVE) == "app"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("\\connect postgres", "which could leave the database"),
        ("\\! touch /tmp/owned", "which could leave the database"),
        ("DROP DATABASE shop;", "about the whole server"),
        ("alter role postgres password 'x';", "about the whole server"),
    ],
)
def test_a_dump_that_would_leave_its_database_is_not_even_begun(shop: Field, line: str, said: str) -> None:
    dump = shop.cluster.directory / "evil.sql"
    dump.write_text(f"CREATE TABLE x (id int);\n{line}\n")
    result = run(shop.cluster, LIVE, "prepared", backup=str(dump), **ACCEPTED)
    assert result["failed"]
    assert said in result["msg"]
    assert shop.is_whole((shop.now,)) == ""


def test_one_flipped_bit_in_a_proven_backup_is_found_before_anything_is_made(shop: Field) -> None:
    backup = make_backup(shop.cluster, LIVE, shop.cluster.directory / "flipped")
    victim = max((backup.path / "dump").iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    for check in (True, False):
        result = run(shop.cluster, LIVE, "prepared", check=check, backup=str(backup.path))
        assert result["failed"]
        assert "is damaged, take another" in result["msg"]
    assert shop.databases() == [LIVE]


def test_a_backup_that_is_not_proven_or_of_another_database_is_refused(shop: Field) -> None:
    backup = make_backup(shop.cluster, LIVE, shop.cluster.directory / "unproven", proven=False)
    shop.cluster.sql("CREATE DATABASE second")
    result = run(shop.cluster, "second", "prepared", backup=str(backup.path))
    assert "is a backup of the database shop, not of second" in result["msg"]
    assert "has not passed a test restore" in result["msg"]
    result = run(shop.cluster, "second", "prepared", backup=str(backup.path), from_database=LIVE, **ACCEPTED)
    assert not result.get("failed"), result["msg"]
    assert run(shop.cluster, "second", "reverted")["changed"]


def test_the_prediction_changes_nothing_and_says_what_a_run_then_does(shop: Field) -> None:
    wanted = shop.options("prepared")
    before = shop.cluster.sql("SELECT sum(xmin::text::bigint), count(*) FROM pg_database")
    predicted = run(shop.cluster, LIVE, "prepared", check=True, **wanted)
    assert predicted["changed"]
    assert shop.cluster.sql("SELECT sum(xmin::text::bigint), count(*) FROM pg_database") == before
    made = run(shop.cluster, LIVE, "prepared", **wanted)
    assert made["diff"] == predicted["diff"]
    assert made["actions"] == predicted["actions"]
    assert not run(shop.cluster, LIVE, "prepared", **wanted)["changed"]
    planned = run(shop.cluster, LIVE, "reverted", plan_only=True)
    assert not planned["changed"]
    assert planned["changes"] == []
    assert run(shop.cluster, LIVE, "reverted")["changed"]


def test_a_pool_that_comes_back_at_once_does_not_keep_the_names_from_being_exchanged(shop: Field) -> None:
    cluster, stop, seen = shop.cluster, threading.Event(), set()

    def knock() -> None:
        while not stop.is_set():
            with suppress(RuntimeError):
                seen.add(cluster.sql("SELECT count(*) FROM users; SELECT pg_sleep(0.3)", LIVE).split()[0])

    assert not run(cluster, LIVE, "prepared", **shop.options("prepared")).get("failed")
    clients = [threading.Thread(target=knock) for _number in range(6)]
    for client in clients:
        client.start()
    result = run(cluster, LIVE, "swapped")
    again = run(cluster, LIVE, "reverted")
    stop.set()
    for client in clients:
        client.join()
    assert not result.get("failed"), result["msg"]
    assert result["seconds"]["closed"] < 20
    assert not again.get("failed"), again["msg"]
    assert seen <= {"2000", "2001"}
    assert shop.is_whole((shop.now,)) == ""


@pytest.fixture
def small_disk(shop: Field) -> Iterator[Path]:
    """A disk of 40 MB that holds the live database and has no room for another."""
    place = shop.cluster.directory / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m,mode=0777", "tmpfs", str(place)], check=False)
    if mounted.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        (place / "space").mkdir()
        subprocess.run(["chown", shop.cluster.user, str(place / "space")], check=True)
        shop.cluster.sql(f"CREATE TABLESPACE small LOCATION '{place / 'space'}'")
        yield place
        shop.cluster.sql("DROP DATABASE tight WITH (FORCE)")
        shop.cluster.sql("DROP TABLESPACE small")
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
        place.rmdir()


def test_a_disk_that_fills_while_it_is_restored_leaves_the_live_database_as_it_is(
    shop: Field, small_disk: Path
) -> None:
    assert small_disk.exists()
    cluster = shop.cluster
    cluster.sql("CREATE DATABASE tight TABLESPACE small")
    cluster.sql(
        "CREATE TABLE filler AS SELECT g, repeat(md5(g::text), 10) AS text FROM generate_series(1, 60000) g", "tight"
    )
    told = "SELECT count(*) || ' ' || sum(hashtextextended(f::text, 0)) FROM filler f"
    before = cluster.sql(told, "tight")
    backup = make_backup(cluster, "tight", cluster.directory / "tight")
    result = run(cluster, "tight", "prepared", backup=str(backup.path))
    assert result["failed"]
    assert "No space left on device" in result["msg"]
    assert cluster.sql(told, "tight") == before
    assert sorted(shop.databases()) == [LIVE, "tight"]


def test_what_keeps_a_database_from_being_renamed_is_said_before_it_is_tried(shop: Field) -> None:
    cluster = shop.cluster
    cluster.sql("BEGIN; INSERT INTO users VALUES (-1, 'x'); PREPARE TRANSACTION 'two'", LIVE)
    result = run(cluster, LIVE, "prepared", **shop.options("prepared"))
    cluster.sql("ROLLBACK PREPARED 'two'", LIVE)
    assert result["failed"]
    assert "the prepared transactions two are open in shop" in result["msg"]


def test_settings_limits_grants_and_comment_go_over_to_the_restored_one(shop: Field) -> None:
    cluster = shop.cluster
    with suppress(RuntimeError):
        cluster.sql("CREATE ROLE reader")
    cluster.sql(
        f"ALTER DATABASE {LIVE} SET search_path = \"$user\", public, ''; ALTER ROLE reader IN DATABASE {LIVE} SET work_mem = '8MB';"
        f"ALTER DATABASE {LIVE} CONNECTION LIMIT 33; REVOKE ALL ON DATABASE {LIVE} FROM PUBLIC;"
        f"GRANT CONNECT ON DATABASE {LIVE} TO reader WITH GRANT OPTION; COMMENT ON DATABASE {LIVE} IS $$it's live$$"
    )
    told = f"""SELECT datconnlimit, shobj_description(d.oid, 'pg_database'),
      (SELECT string_agg(a::text, ',' ORDER BY a::text) FROM unnest(datacl) a),
      (SELECT string_agg(setrole::regrole::text || setconfig::text, ',' ORDER BY setrole) FROM pg_db_role_setting WHERE setdatabase = d.oid)
      FROM pg_database d WHERE datname = '{LIVE}'"""  # noqa: S608  # a name of this test
    before = cluster.sql(told)
    for state in ("prepared", "swapped"):
        assert not shop.do(state).get("failed")
    assert cluster.sql(told) == before
    assert shop.is_whole((shop.then,)) == ""


def test_a_restore_killed_at_any_moment_leaves_one_whole_database() -> None:
    argv = [
        sys.executable,
        str(CAMPAIGN),
        "--kills",
        "15",
        "--seed",
        "1",
        "--rows",
        "2000",
    ]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
    summary = done.stdout.strip().splitlines()[-1] if done.stdout else ""
    assert re.match(r"kills: 15 \(.*\); violations: 0; seed: 1$", summary), done.stdout + done.stderr
    assert done.returncode == 0
