# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Migrations on a private PostgreSQL: applied once and whole, or not at all. Prisma is a stub of its documented command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmark"))
from pg_cluster import Cluster
from restore_module import make_backup

ROOT = Path(__file__).resolve().parents[2]
MODULE = "ansible_collections.runbook.ops.plugins.modules.database_migration"
STUB = ROOT / "tests" / "stubs" / "prisma" / "prisma"
FIRST = "CREATE TABLE users (id serial PRIMARY KEY, name text); INSERT INTO users (name) VALUES ('ada'), ('bob');"
SECOND = "BEGIN;\nALTER TABLE users ADD COLUMN mail text;\nUPDATE users SET mail = name || '@x' WHERE mail IS NULL;\nCOMMIT;\n"
TABLES = "SELECT string_agg(tablename || ':' || tableowner, ' ' ORDER BY tablename) FROM pg_tables WHERE schemaname = 'public'"


class Shop:
    """A database of an application's role, its migrations, and a proven backup."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        self.scripts, self.backups = folder / "release" / "sql", folder / "backups"
        self.scripts.mkdir(parents=True)
        make_backup(cluster, "shop", self.backups)

    def write(self, **scripts: str) -> None:
        for name, text in scripts.items():
            (self.scripts / f"{name}.sql").write_text(text)

    def start(self, *, kill_at: str = "", check: bool = False, **options: Any) -> subprocess.Popen[str]:
        given = {
            "database": "shop",
            "kind": "sql",
            "directory": str(self.scripts),
            "login_unix_socket": str(self.cluster.directory),
            "login_port": self.cluster.port,
            "backup_directory": str(self.backups),
            "backup_set": "shop",
            "lock_timeout_seconds": 0.2,
            "_ansible_check_mode": check,
            "_ansible_remote_tmp": str(self.folder),
            **options,
        }
        arguments = {"ANSIBLE_MODULE_ARGS": {key: value for key, value in given.items() if value is not None}}
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "collections"), "RUNBOOK_OPS_KILL_AT": kill_at}
        process = subprocess.Popen(
            [sys.executable, "-m", MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=environment,
        )
        assert process.stdin
        process.stdin.write(json.dumps(arguments))
        process.stdin.close()
        process.stdin = None
        return process

    def run(self, **options: Any) -> dict[str, Any]:
        process = self.start(**options)
        out, err = process.communicate(timeout=60)
        assert out, err
        told: dict[str, Any] = json.loads(out)
        return told

    def sql(self, sql: str) -> str:
        return self.cluster.sql(sql, "shop")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as made:
        made.sql("CREATE ROLE app LOGIN")
        yield made


@pytest.fixture
def shop(cluster: Cluster, tmp_path: Path) -> Iterator[Shop]:
    cluster.sql("DROP DATABASE IF EXISTS shop WITH (FORCE)")
    cluster.sql("CREATE DATABASE shop OWNER app")
    cluster.sql("GRANT ALL ON SCHEMA public TO app", "shop")
    yield Shop(cluster, tmp_path)


def test_each_file_is_applied_once_as_the_owner(shop: Shop) -> None:
    shop.write(a1=FIRST, a2=SECOND)
    (shop.scripts / "a2.down.sql").write_text("DROP TABLE users")
    predicted = shop.run(check=True)
    assert (predicted["changed"], predicted["pending"], shop.sql(TABLES)) == (True, ["a1.sql", "a2.sql"], "")
    done = shop.run()
    assert done["changes"][0]["thing"] == predicted["changes"][0]["thing"]
    assert (done["applied"], done["backup"][:5]) == (["a1.sql", "a2.sql"], "shop_")
    assert shop.sql(TABLES) == "runbook_ops_migrations:app users:app"
    assert shop.sql("SELECT string_agg(mail, ' ' ORDER BY id) FROM users") == "ada@x bob@x"
    again = shop.run()
    assert (again["changed"], again["pending"], again["changes"]) == (False, [], [])


def test_a_failed_one_leaves_nothing_and_the_ones_before_stay(shop: Shop) -> None:
    shop.write(a1=FIRST, a2="CREATE TABLE half (id int); SELECT 1 / 0;", a3="CREATE TABLE never (id int)")
    told = shop.run()
    assert told["msg"] == "a2.sql failed, and it is taken back as a whole: division by zero"
    assert (told["outcome"], [change["thing"] for change in told["changes"]]) == (
        "not_rolled_back",
        ["migration a1.sql"],
    )
    again = shop.run()
    assert (again["outcome"], again["changed"], again["changes"]) == ("refused", False, [])
    assert shop.sql(TABLES) == "runbook_ops_migrations:app users:app"
    shop.write(a2="CREATE TABLE whole (id int)")
    assert shop.run()["pending"] == ["a2.sql", "a3.sql"]


def test_who_waits_for_a_lock_gives_up_and_leaves_nothing(shop: Shop) -> None:
    shop.write(a1=FIRST)
    shop.run()
    shop.write(a2="CREATE TABLE other (id int); ALTER TABLE users ADD COLUMN age int")
    psql = shop.cluster.as_user(str(shop.cluster.binaries / "psql"), *shop.cluster.target("shop"), "-qAtX")
    with subprocess.Popen(psql, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/") as reader:
        assert reader.stdin
        assert reader.stdout
        reader.stdin.write("BEGIN; SELECT count(*) FROM users;\n")
        reader.stdin.flush()
        assert reader.stdout.readline() == "2\n"
        told = shop.run()
        reader.communicate("COMMIT;\n", timeout=10)
    assert "another session holds a lock on it" in told["msg"]
    assert "other" not in shop.sql(TABLES)
    assert shop.run()["changed"]


def test_two_at_once_apply_it_once(shop: Shop) -> None:
    shop.write(a1=FIRST)
    shop.run()
    shop.write(a2="INSERT INTO users (name) SELECT 'eve' FROM pg_sleep(0.5)")
    both = [shop.start(lock_timeout_seconds=10) for _ in range(2)]
    told = [json.loads(process.communicate(timeout=60)[0]) for process in both]
    assert sum(bool(one.get("failed")) for one in told) <= 1
    assert shop.sql("SELECT count(*) FROM users WHERE name = 'eve'") == "1"


@pytest.mark.parametrize("moment", ["database_migration:applied", "database_migration:started"])
def test_killed_between_two_files_the_next_run_goes_on(shop: Shop, moment: str) -> None:
    shop.write(a1=FIRST, a2="CREATE INDEX CONCURRENTLY by_name ON users (name)", a3="CREATE TABLE last (id int)")
    process = shop.start(kill_at=moment)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    told = shop.run()
    if moment.endswith("started"):
        assert told["msg"].startswith("a2.sql was begun at ")
        told = shop.run(retry="a2.sql")
    assert told["applied"] == ["a1.sql", "a2.sql", "a3.sql"]
    assert shop.sql("SELECT count(*) FROM pg_index WHERE indexrelid = 'by_name'::regclass AND indisvalid") == "1"


def test_what_destroys_data_needs_a_reason(shop: Shop) -> None:
    shop.write(a1=FIRST)
    shop.run()
    shop.write(a2="CREATE TABLE x (id int);\nALTER TABLE users DROP COLUMN name;")
    told = shop.run()
    assert told["msg"].startswith("a2.sql:2 drops a column (ALTER TABLE users DROP COLUMN name): nothing was applied")
    assert shop.sql("SELECT count(name) FROM users") == "2"
    done = shop.run(accept_destructive="nobody reads it since 1.4")
    assert done["checks"][0]["status"] == "warning"
    assert shop.sql("SELECT note FROM runbook_ops_migrations WHERE name = 'a2.sql'") == "nobody reads it since 1.4"


def test_without_a_proven_backup_nothing_is_applied(shop: Shop, tmp_path: Path) -> None:
    shop.write(a1=FIRST)
    refused = shop.run(backup_set="other")
    assert "there is none: nothing was applied" in refused["msg"]
    assert refused["outcome"] == "refused"
    unproven = tmp_path / "unproven"
    make_backup(shop.cluster, "shop", unproven, proven=False)
    assert "none of them has been restored as a test" in shop.run(backup_directory=str(unproven))["msg"]
    old = tmp_path / "old"
    make_backup(shop.cluster, "shop", old, at=datetime.now(timezone.utc) - timedelta(hours=30))
    assert "30.0 h old, and 24 h are allowed" in shop.run(backup_directory=str(old))["msg"]
    assert shop.sql(TABLES) == ""
    assert shop.run(backup_directory=str(old), accept_no_backup="an empty database")["changed"]


def test_a_database_that_was_migrated_by_hand_needs_a_baseline(shop: Shop) -> None:
    shop.sql("SET ROLE app;" + FIRST)
    shop.write(a1=FIRST, a2=SECOND)
    assert "say baseline with the last one that is applied" in shop.run()["msg"]
    assert "has no such migration" in shop.run(baseline="a9.sql")["msg"]
    assert shop.run(baseline="a1.sql", check=True)["pending"] == ["a2.sql"]
    assert shop.run(baseline="a1.sql")["pending"] == ["a2.sql"]
    assert not shop.run(baseline="a1.sql")["changed"]


def test_a_baseline_is_said_once_also_where_nothing_is_pending(shop: Shop) -> None:
    shop.sql("SET ROLE app;" + FIRST)
    shop.write(a1=FIRST)
    predicted = shop.run(baseline="all", check=True)
    assert predicted["changed"]
    assert shop.sql("SELECT to_regclass('runbook_ops_migrations') IS NULL") == "t"
    noted = shop.run(baseline="all")
    assert noted["changed"]
    assert [(one["thing"], one["action"]) for one in noted["changes"]] == [("migration a1.sql", "noted")]
    assert noted["changes"] == predicted["changes"]
    again = shop.run()
    assert (again["changed"], again["applied"]) == (False, ["a1.sql"])


def test_the_first_migration_of_a_database_that_has_tables_needs_a_word_and_none_needs_no_word(shop: Shop) -> None:
    shop.sql("SET ROLE app;" + FIRST)
    assert not shop.run()["changed"]
    shop.write(a1=SECOND)
    assert "(or all, or none)" in shop.run()["msg"]
    assert shop.run(baseline="none")["pending"] == ["a1.sql"]
    assert not shop.run()["changed"]


def test_a_file_that_was_changed_after_it_was_applied_is_refused(shop: Shop) -> None:
    shop.write(a1=FIRST)
    shop.run()
    shop.write(a1=FIRST + " ")
    assert "a1.sql has been changed since it was applied" in shop.run()["msg"]


def test_an_older_release_is_told_what_it_does_not_know(shop: Shop) -> None:
    shop.write(a1=FIRST, a2=SECOND)
    shop.run()
    (shop.scripts / "a2.sql").unlink()
    told = shop.run()
    assert (told["changed"], told["unknown"], told["checks"][0]["status"]) == (False, ["a2.sql"], "warning")


def prisma(shop: Shop, **options: Any) -> dict[str, Any]:
    app = shop.folder / "release"
    (app / ".env").write_text(
        f"DATABASE_URL='postgresql:///shop?host={shop.cluster.directory}&port={shop.cluster.port}&user=app'\n"
    )
    given = {
        "kind": "prisma",
        "directory": str(app / "prisma" / "migrations"),
        "chdir": str(app),
        "command": [str(STUB)],
    }
    return shop.run(**given, environment_file=str(app / ".env"), **options)


def add(shop: Shop, name: str, sql: str) -> None:
    folder = shop.folder / "release" / "prisma" / "migrations" / name
    folder.mkdir(parents=True)
    (folder / "migration.sql").write_text(sql)


def test_prisma_applies_what_is_pending_and_waits_no_longer_than_told(shop: Shop) -> None:
    add(shop, "1_init", FIRST + "CREATE TABLE waited AS SELECT current_setting('lock_timeout') AS time")
    assert prisma(shop, check=True)["pending"] == ["1_init"]
    assert prisma(shop)["applied"] == ["1_init"]
    assert shop.sql("SELECT time FROM waited") == "200ms"
    assert not prisma(shop)["changed"]
    add(shop, "2_drop", "DROP TABLE users")
    assert prisma(shop)["msg"].startswith("2_drop:1 drops what may hold data")


def test_a_migration_of_prisma_that_failed_stops_the_next_run_too(shop: Shop) -> None:
    add(shop, "1_init", "SELECT 1 / 0")
    assert "a migration failed to apply: 1_init" in prisma(shop)["msg"]
    assert prisma(shop)["msg"].startswith("the migration 1_init has failed before")


def test_a_schema_that_is_not_well_formed_is_refused_before_anything_is_applied(shop: Shop) -> None:
    add(shop, "1_init", FIRST)
    (shop.folder / "release" / "prisma" / "schema.prisma").write_text("model User {")
    told = prisma(shop)
    assert told["msg"].startswith("the release's schema does not pass prisma validate: ")
    assert "the schema is not valid; nothing was applied" in told["msg"]
    assert not prisma(shop, check=True).get("changes")
    assert shop.sql("SELECT to_regclass('users') IS NULL") == "t"


def test_a_release_without_the_directory_of_its_migrations_is_refused(shop: Shop) -> None:
    assert "the release has no migrations of Prisma in" in prisma(shop)["msg"]


def compared(told: dict[str, Any]) -> tuple[str, str]:
    """Return status and words of the check of the schema."""
    (found,) = [one for one in told["checks"] if one["id"] == "schema:shop"]
    return found["status"], found["detail"]


def test_the_schema_is_compared_with_what_the_release_expects(shop: Shop) -> None:
    add(shop, "1_init", FIRST)
    assert not [one for one in prisma(shop, check=True)["checks"] if one["id"] == "schema:shop"], (
        "of what is pending it cannot be true yet"
    )
    assert compared(prisma(shop)) == ("ok", "it is what the release expects")
    difference = shop.folder / "release" / "prisma" / "difference.sql"
    difference.write_text('-- DropIndex\nDROP INDEX "mine";\n')
    assert compared(prisma(shop)) == ("warning", 'it is other than the release expects: DROP INDEX "mine"')
    difference.write_text('-- AlterTable\nALTER TABLE "users" DROP COLUMN "name",\nADD COLUMN     "mail" TEXT;\n')
    told = prisma(shop, check=True)
    assert told["msg"].startswith(
        "the schema of shop lacks what the release expects, by prisma migrate diff: ALTER TABLE"
    ), told
    assert (told["outcome"], told["changed"]) == ("refused", False)
    assert compared(prisma(shop, accept_drift="it is made by a job"))[0] == "critical"
    add(shop, "2_more", "CREATE TABLE more (id int);")
    told = prisma(shop)
    assert (told["outcome"], [one["thing"] for one in told["changes"]]) == ("not_rolled_back", ["migration 2_more"])
    difference.write_text("DROP INDEX 'no end")
    status, detail = compared(prisma(shop))
    assert (status, detail.partition(":")[0]) == ("unknown", "it was not compared")


def test_prisma_that_works_on_another_database_is_found_out(shop: Shop) -> None:
    shop.cluster.sql("DROP DATABASE IF EXISTS elsewhere")
    shop.cluster.sql("CREATE DATABASE elsewhere OWNER app")
    add(shop, "1_init", FIRST)
    where = f"postgresql:///elsewhere?host={shop.cluster.directory}&port={shop.cluster.port}&user=postgres"
    told = prisma(shop, environment={"DATABASE_URL": where})
    assert "it works on another database; compare DATABASE_URL" in told["msg"]


def test_a_program_of_the_application_is_asked_before_and_after(shop: Shop) -> None:
    todo = shop.folder / "todo"
    todo.write_text("0001_init\n0002_drop\n")
    shop.write(**{"0002_drop": "DROP TABLE users"})
    how = {"kind": "command", "pending": ["cat", str(todo)], "apply": ["truncate", "--size=0", str(todo)]}
    assert shop.run(**how)["msg"].startswith("0002_drop:1 drops what may hold data")
    done = shop.run(**how, accept_destructive="a test")
    assert [check["status"] for check in done["checks"]] == ["unknown", "warning"]
    assert not shop.run(**how)["changed"]


def test_a_program_that_fails_tells_no_secret(shop: Shop) -> None:
    says = ["sh", "-c", "echo no luck with $DB_PASSWORD >&2; exit 3"]
    how = {
        "kind": "command",
        "pending": ["echo", "0003"],
        "apply": says,
        "environment": {"DB_PASSWORD": "hunter2-hunter2"},
    }
    message = shop.run(**how)["msg"]
    assert (
        message
        == "sh failed (3): no luck with ***; nothing tells how far it came: look at the database before it is run again"
    )
