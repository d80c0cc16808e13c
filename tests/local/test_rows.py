# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows on their way from one real database to another, and back into the one they were lost in. The runbook's lines beside it."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmark"))
from ansible_collections.runbook.ops.plugins.module_utils import _pg_export, _pg_import
from ansible_collections.runbook.ops.plugins.module_utils._backup_draft import HashingFile
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import SetError, read_backup
from ansible_collections.runbook.ops.plugins.module_utils._drill_postgresql_rows import drill
from ansible_collections.runbook.ops.plugins.module_utils._rows_catalog import RowsError
from ansible_collections.runbook.ops.plugins.module_utils._rows_result import RefusedError
from pg_cluster import Cluster
from restore_module import make_backup

ROOT = Path(__file__).resolve().parents[2]
SCHEMA, ROWS, TRIGGERS = re.split(
    r"^-- (?:rows|triggers)$", (Path(__file__).parent / "rows.sql").read_text(), flags=re.MULTILINE
)
TENANT = [{"table": "tenants", "column": "id", "value": "7"}]
TABLES = ("plans", "tenants", "users", '"Comments"', "log", "events", "messages", "audit")
PRINT = " UNION ALL ".join(
    f"SELECT '{name} ' || count(*) || ' ' || coalesce(sum(hashtextextended(t::text, 0)), 0) FROM {name} t"  # noqa: S608  # names of this file
    for name in TABLES
)
# Each row of tenant 7, by hand.
OURS = {
    "tenants": "id = 7",
    "users": "tenant_id = 7",
    '"Comments"': "user_id IN (SELECT id FROM users WHERE tenant_id = 7)",
    "log": "tenant_id = 7",
    "events": "user_id IN (SELECT id FROM users WHERE tenant_id = 7)",
    "messages": "sender IN (SELECT id FROM users WHERE tenant_id = 7)",
}
DEFINED = """
SELECT string_agg(conname || pg_get_constraintdef(oid), ' ' ORDER BY conname, oid) FROM pg_constraint WHERE contype = 'f';
SELECT string_agg(tgname || tgenabled::text, ' ' ORDER BY tgname, tgrelid) FROM pg_trigger;
"""

# What may have happened to a tenant's rows since they were exported.
CHANGED = """
ALTER TABLE users DISABLE TRIGGER USER;
UPDATE users SET note = 'x' WHERE id % 2 = 0;
ALTER TABLE users ENABLE TRIGGER USER;
ALTER TABLE users ENABLE ALWAYS TRIGGER loud;
DELETE FROM log;
INSERT INTO log VALUES (7, 'new');
"""


class Field:
    """Two databases of one server, ``here`` with all tenants and ``there`` with none but its plans, and a second server."""

    def __init__(self, cluster: Cluster, other: Cluster) -> None:
        self.cluster, self.other = cluster, other
        for one in (cluster, other):
            for name in ("here", "there"):
                one.sql(f"CREATE DATABASE {name}_template")
            one.sql(SCHEMA + ROWS + TRIGGERS, "here_template")
            one.sql(SCHEMA + TRIGGERS, "there_template")
        self.renew(other)
        self.place = cluster.directory / "exports"

    def renew(self, cluster: Cluster | None = None) -> None:
        for name in ("here", "there"):
            (cluster or self.cluster).sql(f"DROP DATABASE IF EXISTS {name}")
            (cluster or self.cluster).sql(f"CREATE DATABASE {name} TEMPLATE {name}_template")
        if cluster is None:
            for place in (self.place, self.cluster.directory / "back"):
                shutil.rmtree(place, ignore_errors=True)

    def reach(self, **options: Any) -> dict[str, Any]:
        return {"login_unix_socket": str(self.cluster.directory), "login_port": self.cluster.port, **options}

    def export(self, *, database: str = "here", check: bool = False, **options: Any) -> dict[str, Any]:
        given = {"directory": str(self.place), **({} if "tables" in options else {"rows": TENANT}), **options}
        return _pg_export.run(self.reach(database=database, **given), check_mode=check)

    def options(self, backup: str, **options: Any) -> dict[str, Any]:
        given = {
            "database": "there",
            "from_database": "here",
            "way_back_directory": str(self.cluster.directory / "back"),
        }
        return self.reach(**{**given, "backup": backup, "lock_timeout_seconds": 1, **options})

    def take(self, backup: str, *, check: bool = False, **options: Any) -> dict[str, Any]:
        return _pg_import.run(self.options(backup, **options), check_mode=check)

    def is_now(self, database: str, cluster: Cluster | None = None) -> str:
        """Return a print of all rows, and how keys and triggers are defined."""
        return (cluster or self.cluster).sql(f"{PRINT};{DEFINED}", database)

    def ours(self, database: str) -> list[str]:
        """Return each row of the tenant as text."""
        sql = " UNION ALL ".join(
            f"SELECT '{name} ' || t::text FROM {name} t WHERE {where}"  # noqa: S608  # names of this file
            for name, where in OURS.items()
        )
        return sorted(self.cluster.sql(sql, database).split("\n"))


@pytest.fixture(scope="module")
def both() -> Iterator[Field]:
    with Cluster() as cluster, Cluster() as other:
        yield Field(cluster, other)


@pytest.fixture
def field(both: Field) -> Iterator[Field]:
    """As it was before each test; after it the other server is, and no database is left."""
    both.renew()
    untouched = [both.is_now(name, both.other) for name in ("here", "there")]
    yield both
    assert [both.is_now(name, both.other) for name in ("here", "there")] == untouched
    assert "scratch" not in both.cluster.sql("SELECT string_agg(datname, ' ') FROM pg_database")


def test_a_tenant_arrives_with_all_that_is_theirs_and_nothing_that_is_not(field: Field) -> None:
    made = field.export()
    assert {one["table"]: one["rows"] for one in made["tables"]} == {
        "public.tenants": 1,
        "public.users": 10,
        'public."Comments"': 20,
        "public.log": 5,
        "public.events": 20,
        "public.messages": 4,
    }
    assert field.take(made["export"]["path"])["changed"]
    assert field.ours("there") == field.ours("here")
    assert field.cluster.sql("SELECT count(*) FROM tenants", "there") == "1"


def test_what_should_be_known_is_said(field: Field) -> None:
    notes = "\n".join(field.export(check=True)["notes"])
    assert "public.plans is referred to and not taken" in notes
    assert "public.audit.tenant_id is not taken" in notes


def test_triggers_and_keys_are_as_before_and_no_trigger_fires(field: Field) -> None:
    before = field.cluster.sql(DEFINED, "there")
    field.take(field.export()["export"]["path"])
    assert field.cluster.sql(DEFINED, "there") == before
    assert field.cluster.sql("SELECT count(*) FROM audit", "there") == "0"


def test_check_mode_tells_what_comes_and_changes_nothing(field: Field) -> None:
    before = field.is_now("there")
    path = field.export()["export"]["path"]
    told = field.take(path, check=True)
    assert field.is_now("there") == before
    assert "public.tenants and public.users refer to each other: who reads public.tenants waits too" in "".join(
        told["notes"]
    )
    done = field.take(path)
    assert (told["actions"], told["diff"], told["tables"]) == (done["actions"], done["diff"], done["tables"])
    again = field.take(path)
    assert not again["changed"]
    assert again["way_back"] is None


def test_new_rows_get_numbers_that_nobody_has(field: Field) -> None:
    field.take(field.export()["export"]["path"])
    tenant = int(field.cluster.sql("INSERT INTO tenants (name) VALUES ('new') RETURNING id", "there"))
    user = int(field.cluster.sql(f"INSERT INTO users (tenant_id) VALUES ({tenant}) RETURNING id", "there"))  # noqa: S608
    assert (tenant, user) == (8, 1 + int(field.cluster.sql(f"SELECT max(id) FROM users WHERE id <> {user}", "there")))  # noqa: S608


@pytest.mark.parametrize("last", ["NULL", "max"], ids=["never used", "set to the highest number, which is not taken"])
def test_a_sequence_that_stands_on_a_number_moves_behind_it(field: Field, last: str) -> None:
    field.cluster.sql(
        "CREATE TABLE one (id serial PRIMARY KEY, ref text DEFAULT 'R' || nextval('one_id_seq')); INSERT INTO one DEFAULT VALUES",
        "here",
    )
    path = field.export(tables=["one"])["export"]["path"]
    top = field.cluster.sql("SELECT max(id) FROM one", "here")
    field.cluster.sql(
        "CREATE TABLE one (id serial PRIMARY KEY, ref text DEFAULT 'R' || nextval('one_id_seq'))", "there"
    )
    if last == "max":
        field.cluster.sql(f"SELECT setval('one_id_seq', {top}, false)", "there")
    field.take(path)
    assert int(field.cluster.sql("SELECT nextval('one_id_seq')", "there")) == int(top) + 1


def test_one_of_a_domain_moves_too(field: Field) -> None:
    for name in ("here", "there"):
        field.cluster.sql(
            "CREATE DOMAIN number AS bigint; CREATE SEQUENCE numbers; "
            "CREATE TABLE one (id number DEFAULT nextval('numbers') PRIMARY KEY)",
            name,
        )
    field.cluster.sql("INSERT INTO one VALUES (41)", "here")
    field.take(field.export(tables=["one"])["export"]["path"])
    assert field.cluster.sql("SELECT nextval('numbers')", "there") == "42"


def test_the_way_back_leads_back(field: Field) -> None:
    path = field.export()["export"]["path"]
    for database in ("there", "here"):
        if database == "here":
            field.cluster.sql(CHANGED, "here")
        before = field.is_now(database)
        there = {"database": database, "different": "replace", "extra": "delete"}
        done = field.take(path, **there)
        assert field.is_now(database) != before
        undone = field.take(done["way_back"], **there, from_database=database)
        assert undone["changed"]
        assert field.is_now(database) == before


def test_deleted_rows_come_back_and_those_of_others_stay_as_they_are(field: Field) -> None:
    whole = field.is_now("here")
    path = field.export(tables=["log", "messages", "events"])["export"]["path"]
    field.cluster.sql(
        "DELETE FROM messages WHERE id < 20; DELETE FROM log WHERE tenant_id = 3; DELETE FROM events WHERE user_id = 5",
        "here",
    )
    done = field.take(path, database="here")
    assert {one["table"]: one["new"] for one in done["tables"]} == {
        "public.log": 5,
        "public.messages": 19,
        "public.events": 2,
    }
    assert field.is_now("here") == whole


def test_changed_rows_are_listed_and_refused_then_left_or_replaced(field: Field) -> None:
    whole = field.is_now("here")
    path = field.export(tables=["plans"])["export"]["path"]
    field.cluster.sql(
        "UPDATE plans SET name = 'other' WHERE id = 2; INSERT INTO plans VALUES (4, 'new'); DELETE FROM plans WHERE id = 99",
        "here",
    )
    changed = field.is_now("here")
    with pytest.raises(RefusedError, match=r"with other values \(1 of public.plans\)") as refused:
        field.take(path, database="here")
    assert refused.value.found[0].listed == [{"key": {"id": "2"}, "columns": ["name"]}]
    planned = field.take(path, database="here", plan_only=True)
    assert "other values" in planned["refused"]
    assert "other values public.plans id 2: name" in planned["lines"]
    assert not field.take(path, database="here", different="leave")["changed"]
    assert field.is_now("here") == changed
    field.take(path, database="here", different="replace")
    assert (
        field.cluster.sql("SELECT string_agg(name, ' ' ORDER BY id) FROM plans", "here") == "plan 1 plan 2 plan 3 new"
    )
    field.take(path, database="here", extra="delete")
    assert field.is_now("here") == whole


def test_somebody_elses_rows_are_never_taken_for_ours(field: Field) -> None:
    field.cluster.sql(
        "INSERT INTO tenants (name) VALUES ('another'); INSERT INTO users (tenant_id, email) SELECT 1, n || '@there' FROM generate_series(1, 20) n",
        "there",
    )
    before = field.is_now("there")
    path = field.export()["export"]["path"]
    with pytest.raises(RefusedError, match=r"rows of somebody else .* of public.users"):
        field.take(path, different="replace", extra="delete")
    assert field.is_now("there") == before


REFUSED = {
    "a row that they refer to is missing": ("DELETE FROM plans", {}, "violates foreign key constraint"),
    "a unique value is taken": (
        "INSERT INTO tenants (name) VALUES ('t'); INSERT INTO users (id, tenant_id, email) VALUES (1000, 1, 'user6@example.com')",
        {},
        "duplicate key value violates unique constraint",
    ),
    "a column is missing": ("ALTER TABLE users DROP COLUMN note", {}, "column note is missing here"),
    "a column is of another type": (
        "ALTER TABLE users ALTER note TYPE varchar(5)",
        {},
        "note is character varying\\(5\\) here and text there",
    ),
    "a column must have a value": ("ALTER TABLE log ADD must int NOT NULL", {}, "column must must have a value here"),
    "a table is missing": ("DROP TABLE messages", {}, "there is no table public.messages here"),
    "a row is not allowed": ("ALTER TABLE users ADD CHECK (id < 5)", {}, "violates check constraint"),
    "it is of another database": (
        "SELECT 1",
        {"from_database": None},
        "is of the database here: if that is meant, set from_database",
    ),
    "the table is not in it": ("SELECT 1", {"tables": ["audit"]}, "has no table public.audit"),
    "the database is not there": ("SELECT 1", {"database": "nowhere"}, "does not exist"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_all_or_nothing(field: Field, case: str) -> None:
    change, options, words = REFUSED[case]
    path = field.export()["export"]["path"]
    field.cluster.sql(change, "there")
    before = field.cluster.sql(
        "SELECT (SELECT count(*) FROM tenants), (SELECT count(*) FROM users), (SELECT count(*) FROM log)", "there"
    )
    with pytest.raises(RowsError, match=words) as refused:
        field.take(path, **options)
    assert "\n" not in str(refused.value)
    assert "user6@" not in str(refused.value)  # no value of a row is told
    assert "Failing row" not in str(refused.value)
    assert before == field.cluster.sql(
        "SELECT (SELECT count(*) FROM tenants), (SELECT count(*) FROM users), (SELECT count(*) FROM log)", "there"
    )


def test_rows_that_others_share_are_refused_unless_they_are_meant(field: Field) -> None:
    field.cluster.sql("UPDATE messages SET receiver = 1 WHERE sender = 6", "here")  # of another tenant
    with pytest.raises(RowsError, match=r"1 of the rows of public.messages refer, by receiver"):
        field.export()
    assert field.export(exclude=["messages"])["changed"]
    assert "refer to rows of public.users that are not taken" in "".join(field.export(accept_shared=True)["notes"])


def test_deleting_does_not_reach_rows_that_are_not_in_the_export(field: Field) -> None:
    path = field.export(tables=["plans"])["export"]["path"]
    field.cluster.sql(
        "INSERT INTO plans VALUES (4, 'new'); CREATE TABLE perks (plan int REFERENCES plans ON DELETE CASCADE); INSERT INTO perks VALUES (4)",
        "here",
    )
    before = field.is_now("here")
    with pytest.raises(RefusedError, match=r"1 rows of public.perks would be changed or deleted"):
        field.take(path, database="here", extra="delete")
    assert field.is_now("here") == before


@pytest.mark.parametrize("action", ["CASCADE", "SET NULL", "SET DEFAULT"])
@pytest.mark.parametrize("tables", [[], ["users", "Comments"]], ids=["all tables", "some"])
def test_deleting_does_not_reach_rows_of_others_in_the_same_tables(
    field: Field, action: str, tables: list[str]
) -> None:
    path = field.export()["export"]["path"]
    field.cluster.sql(
        f"""ALTER TABLE tenants DROP CONSTRAINT tenants_owner_id_fkey, ADD FOREIGN KEY (owner_id) REFERENCES users ON DELETE {action};
        INSERT INTO users (tenant_id) VALUES (7);
        INSERT INTO tenants (name, owner_id) SELECT 'of another', max(id) FROM users""",  # noqa: S608  # a word of this file
        "here",
    )
    before = field.is_now("here")
    with pytest.raises(RefusedError, match=r"1 rows of public.tenants would be changed or deleted"):
        field.take(path, database="here", extra="delete", different="replace", tables=tables)
    assert field.is_now("here") == before


CASCADING = """
CREATE TABLE boxes (id int PRIMARY KEY);
CREATE TABLE items (id int PRIMARY KEY, box int REFERENCES boxes ON DELETE CASCADE);
INSERT INTO boxes VALUES (1);
INSERT INTO items VALUES (1, 1);
"""
MOVED = "INSERT INTO boxes VALUES (2); UPDATE items SET box = 2;"


@pytest.mark.parametrize(
    ("more", "different"),
    [
        pytest.param("CREATE TABLE likes (item int REFERENCES items ON DELETE CASCADE)", "replace", id="likes go too"),
        pytest.param("CREATE TABLE likes (item int REFERENCES items ON DELETE SET NULL)", "replace", id="likes change"),
        pytest.param("CREATE TABLE likes (item int)", "leave", id="what is left goes"),
        pytest.param(
            """CREATE TABLE parts (item int PRIMARY KEY REFERENCES items ON DELETE CASCADE); INSERT INTO parts VALUES (1);
            CREATE TABLE likes (item int REFERENCES parts ON DELETE CASCADE)""",
            "replace",
            id="likes go two steps later",
        ),
    ],
)
def test_deleting_does_not_go_on_through_a_row_that_is_put_back(field: Field, more: str, different: str) -> None:
    field.cluster.sql(f"{CASCADING}{more}; INSERT INTO likes VALUES (1)", "here")  # noqa: S608  # words of this file
    tables = [name for name in ("boxes", "items", "parts") if f"TABLE {name} " in CASCADING + more]
    path = field.export(tables=tables)["export"]["path"]
    field.cluster.sql(MOVED, "here")
    with pytest.raises(RefusedError, match=r"1 rows of public.items would be changed or deleted"):
        field.take(path, database="here", extra="delete", different=different)
    assert field.cluster.sql("SELECT item, box FROM likes JOIN items ON items.id = item", "here") == "1|2"


@pytest.mark.parametrize(
    "wanted", [{"tables": ["boxes", "items", "likes"]}, {"rows": [{"table": "shelves", "column": "id", "value": "1"}]}]
)
def test_a_row_that_goes_with_another_is_put_back_with_all_that_hangs_on_it(
    field: Field, wanted: dict[str, Any]
) -> None:
    field.cluster.sql(
        f"""{CASCADING} CREATE TABLE likes (item int REFERENCES items ON DELETE CASCADE); INSERT INTO likes VALUES (1);
        CREATE TABLE shelves (id int PRIMARY KEY); INSERT INTO shelves VALUES (1);
        ALTER TABLE boxes ADD shelf int DEFAULT 1 REFERENCES shelves ON DELETE CASCADE""",  # noqa: S608  # words of this file
        "here",
    )
    path = field.export(**wanted)["export"]["path"]
    field.cluster.sql(MOVED, "here")
    field.take(path, database="here", extra="delete", different="replace")
    assert field.cluster.sql("SELECT items.id, box, item FROM items, likes", "here") == "1|1|1"


def test_deleting_reaches_rows_that_are_meant(field: Field) -> None:
    field.cluster.sql(
        """ALTER TABLE tenants DROP CONSTRAINT tenants_owner_id_fkey, ADD FOREIGN KEY (owner_id) REFERENCES users ON DELETE SET NULL;
        ALTER TABLE log DROP CONSTRAINT log_tenant_id_fkey, ADD FOREIGN KEY (tenant_id) REFERENCES tenants ON DELETE CASCADE""",
        "here",
    )
    whole = field.is_now("here")
    path = field.export()["export"]["path"]
    field.cluster.sql(
        """ALTER TABLE users DISABLE TRIGGER USER; INSERT INTO users (id, tenant_id) VALUES (1000, 7);
        ALTER TABLE users ENABLE TRIGGER USER; ALTER TABLE users ENABLE ALWAYS TRIGGER loud;
        UPDATE tenants SET owner_id = 1000 WHERE id = 7""",
        "here",
    )
    assert field.take(path, database="here", extra="delete", different="replace")["changed"]
    assert field.is_now("here") == whole


def test_who_writes_is_waited_for_but_not_for_ever(field: Field) -> None:
    path = field.export()["export"]["path"]
    argv = field.cluster.as_user(str(field.cluster.binaries / "psql"), *field.cluster.target("there"), "-qAtX")
    writer = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/")
    assert writer.stdin and writer.stdout
    writer.stdin.write("BEGIN; INSERT INTO log VALUES (NULL, 'x'); SELECT 'written';\n")
    writer.stdin.flush()
    assert writer.stdout.readline() == "written\n"
    try:
        with pytest.raises(RowsError, match="raise lock_timeout_seconds"):
            field.take(path)
    finally:
        writer.communicate("COMMIT;\n", timeout=60)
    assert field.take(path)["changed"]


def test_who_reads_goes_on_meanwhile(field: Field) -> None:
    field.cluster.sql("ALTER TABLE tenants DROP CONSTRAINT tenants_owner_id_fkey", "there")
    path = field.export()["export"]["path"]
    argv = field.cluster.as_user(str(field.cluster.binaries / "psql"), *field.cluster.target("there"), "-qAtX")
    reader = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/")
    assert reader.stdin
    assert reader.stdout
    reader.stdin.write("BEGIN; SELECT count(*) FROM tenants, users, log, messages, events, plans;\n")
    reader.stdin.flush()
    assert reader.stdout.readline() == "0\n"
    try:
        told = field.take(path)
    finally:
        reader.communicate("COMMIT;\n", timeout=60)
    assert told["changed"]
    assert "refer to each other" not in "".join(told["notes"])


def test_one_table_of_an_export_is_enough(field: Field) -> None:
    path = field.export(tables=["tenants", "users", "Comments", "log"])["export"]["path"]
    field.cluster.sql('DELETE FROM "Comments"; DELETE FROM log', "here")
    assert [one["table"] for one in field.take(path, database="here", tables=["Comments"])["tables"]] == [
        'public."Comments"'
    ]
    assert field.cluster.sql('SELECT (SELECT count(*) FROM "Comments"), (SELECT count(*) FROM log)', "here") == "180|0"


def test_what_was_not_imported_does_not_go_back(field: Field) -> None:
    path = field.export(tables=["tenants", "users", "Comments", "log"])["export"]["path"]
    field.cluster.sql('DELETE FROM "Comments"', "here")
    there = {"database": "here", "different": "replace", "extra": "delete"}
    done = field.take(path, tables=["Comments"], **there)
    field.cluster.sql("INSERT INTO log VALUES (7, 'written since')", "here")
    undone = field.take(
        done["way_back"], tables=[one["table"] for one in done["tables"]], from_database="here", **there
    )
    assert undone["changed"]
    assert (
        field.cluster.sql("""SELECT (SELECT count(*) FROM "Comments"), (SELECT count(*) FROM log)""", "here") == "0|46"
    )


def test_a_damaged_export_is_refused(field: Field) -> None:
    path = Path(field.export(compression="none")["export"]["path"])
    file = next((path / "rows").glob("*users*"))
    file.write_bytes(file.read_bytes().replace(b"user6@", b"user7@"))
    with pytest.raises(RowsError, match="is damaged, take another"):
        field.take(str(path))


def test_a_test_reads_every_row(field: Field) -> None:
    backup = read_backup(Path(field.export()["export"]["path"]))
    assert drill(backup, {})["passed"]
    backup.manifest["content"]["parts"][0]["rows"] += 1
    assert drill(backup, {})["differences"] == ["table public.tenants has 1 rows instead of 2"]


@pytest.mark.skipif(not shutil.which("age"), reason="age is not installed here")
def test_an_encrypted_one_needs_its_key(field: Field) -> None:
    key = subprocess.run(["age-keygen"], capture_output=True, text=True, check=True).stdout
    public = re.search(r"age1\w+", key)
    assert public
    encryption = {"method": "age", "recipients": [public[0]]}
    path = Path(field.export(encryption=encryption)["export"]["path"])
    assert all(b"example.com" not in file.read_bytes() for file in path.rglob("*") if file.is_file())
    with pytest.raises(RowsError, match="is encrypted with age: give the private key"):
        field.take(str(path))
    done = field.take(str(path), identity=key, way_back_encryption=encryption)
    assert field.ours("there") == field.ours("here")
    assert json.loads(Path(done["way_back"], "manifest.json").read_text())["encryption"] == encryption


def test_only_the_owner_can_read_it(field: Field) -> None:
    path = Path(field.export()["export"]["path"])
    assert {oct(file.stat().st_mode & 0o777) for file in [path, *path.rglob("*")]} == {"0o700", "0o600"}


@pytest.mark.parametrize("value", ["7' OR '1'='1", "7; DROP TABLE tenants", "\\"])
def test_a_value_is_only_ever_a_value(field: Field, value: str) -> None:
    with pytest.raises(RowsError, match="invalid input syntax"):
        field.export(rows=[{**TENANT[0], "value": value}])
    rows = field.export(rows=[{"table": "tenants", "column": "name", "value": value}])["tables"]
    assert sum(one["rows"] for one in rows) == 0


@pytest.mark.parametrize("wanted", [{"tables": ["log", "messages"]}, {"rows": TENANT}], ids=["tables", "a tenant"])
def test_rows_come_back_out_of_a_whole_backup(field: Field, wanted: dict[str, Any]) -> None:
    whole = field.is_now("here")
    backup = make_backup(field.cluster, "here", field.cluster.directory / "backups")
    field.cluster.sql("DELETE FROM messages WHERE sender = 6; DELETE FROM log WHERE tenant_id = 7", "here")
    damaged = field.is_now("here")
    there = {"database": "here", "directory": str(backup.path.parent), "set": "here", **wanted}
    assert field.take("latest", check=True, **there)["changed"]
    assert field.is_now("here") == damaged
    assert field.take("latest", **there)["changed"]
    assert field.is_now("here") == whole
    assert not field.take(str(backup.path), **there)["changed"]
    shutil.rmtree(backup.path)


def test_an_unproven_backup_needs_a_reason_and_is_compared_all_the_same(field: Field) -> None:
    backup = make_backup(field.cluster, "here", field.cluster.directory / "backups", proven=False)
    there = {"database": "here", "tables": ["log"]}
    with pytest.raises(RowsError, match="has not passed a test restore"):
        field.take(str(backup.path), **there)
    with pytest.raises(RowsError, match="none of the 1 backups here"):
        field.take("latest", **there, directory=str(backup.path.parent), set="here")
    field.cluster.sql("DELETE FROM log WHERE tenant_id = 7", "here")
    done = field.take(str(backup.path), **there, accept_unproven="a test")
    assert "not proven, accepted because: a test" in done["changes"][0]["reason"]
    with pytest.raises(RowsError, match="say what of it in tables or rows"):
        field.take(str(backup.path), database="here")
    shutil.rmtree(backup.path)


POINTS = ("staged", "locked", "kept", "merged", "proven", "committed")


def killed(module: str, options: dict[str, Any], point: str) -> None:
    """Run the module as Ansible would, and have it killed at ``point``."""
    done = subprocess.run(
        [sys.executable, "-m", f"ansible_collections.runbook.ops.plugins.modules.{module}"],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": {**options, "_ansible_remote_tmp": "/tmp"}}),
        env={**os.environ, "PYTHONPATH": str(ROOT / "collections"), "RUNBOOK_OPS_KILL_AT": point},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -9, f"the moment {point} never came: {done.stdout}"


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_any_moment_all_rows_are_in_or_none_and_the_next_run_finishes(field: Field, point: str) -> None:
    before = field.is_now("there")
    path = field.export()["export"]["path"]
    killed("pg_import", field.options(path), f"pg_import:{point}")
    options = {"lock_timeout_seconds": 5}
    if point == "committed":
        assert field.ours("there") == field.ours("here")
    else:
        assert field.is_now("there") == before
    assert field.take(path, **options)["changed"] == (point != "committed")
    assert field.ours("there") == field.ours("here")


def test_killed_within_a_restore_out_of_a_backup_the_next_run_drops_what_is_left(field: Field) -> None:
    backup = make_backup(field.cluster, "here", field.cluster.directory / "backups")
    field.cluster.sql("DELETE FROM log", "here")
    options = {"database": "here", "tables": ["log"]}
    killed("pg_import", field.options(str(backup.path), **options), "pg_import:restored")
    assert "scratch" in field.cluster.sql("SELECT string_agg(datname, ' ') FROM pg_database")
    assert field.take(str(backup.path), **options)["changed"]
    shutil.rmtree(backup.path)


@pytest.mark.parametrize("point", ["begun", "written"])
def test_a_killed_export_is_none_and_the_next_run_takes_it_away(field: Field, point: str) -> None:
    options = field.reach(database="here", directory=str(field.place), rows=TENANT)
    killed("pg_export", options, f"pg_export:{point}")
    assert [path.suffix for path in field.place.glob("here-export_*")] == [".partial"]
    field.export()
    assert [path.suffix for path in field.place.glob("here-export_*")] == [""]


def test_the_runbooks_lines_bring_nothing_and_report_success(field: Field) -> None:
    cluster = field.cluster
    psql, dump = (" ".join(cluster.as_user(str(cluster.binaries / name))) for name in ("psql", "pg_dump"))
    here, there = (" ".join(cluster.target(name)) for name in ("here", "there"))
    file = cluster.directory / "tenants_export.sql"
    subprocess.run(f"cd / && {dump} {here} -t tenants > {file}", shell=True, check=True)  # noqa: S602  # that is what it is about
    done = subprocess.run(f"cd / && {psql} {there} < {file}", shell=True, check=False, capture_output=True)  # noqa: S602  # the same
    assert done.returncode == 0
    # All tenants are in the file, though one was meant, and none of what belongs to it; and nothing arrives.
    assert file.read_text().count("\ttenant ") == 9
    assert "user1@example.com" not in file.read_text()
    assert cluster.sql("SELECT count(*) FROM tenants", "there") == "0"


def dated(path: Path, stamp: str, **changes: Any) -> Path:
    """Have an export be of another moment, with other things in its manifest."""
    moved = path.rename(path.with_name(f"{path.name.rpartition('_')[0]}_{stamp}"))
    manifest = moved / "manifest.json"
    told = json.loads(manifest.read_text().replace(path.name, moved.name))
    manifest.write_text(json.dumps({**told, **changes}))
    sums = (moved / "SHA256SUMS").read_text()
    digest = hashlib.sha256(manifest.read_bytes()).hexdigest()
    (moved / "SHA256SUMS").write_text(re.sub(r"\w{64}(?=  manifest)", digest, sums))
    assert read_backup(moved).name == moved.name
    return moved


def test_what_is_too_old_goes_once_there_is_a_new_one(field: Field) -> None:
    other = dated(Path(field.export()["export"]["path"]), "20260101T000000Z", kind="postgresql")
    old = dated(Path(field.export()["export"]["path"]), "20260102T000000Z")
    assert field.export(keep_days=30, check=True)["actions"][1:] == [f"delete {old.name}"]
    assert old.exists()
    done = field.export(keep_days=30)
    assert done["actions"][1:] == [f"delete {old.name}"]
    assert sorted(path.name for path in field.place.glob("here-export_*")) == [other.name, done["export"]["name"]]


def test_what_was_just_made_is_never_too_old(field: Field) -> None:
    first = field.export(keep_days=0)
    assert Path(first["export"]["path"]).exists()
    assert field.export(keep_days=0, check=True)["actions"][1:] == [f"delete {first['export']['name']}"]
    second = field.export(keep_days=0)
    assert second["actions"][1:] == [f"delete {first['export']['name']}"]
    done = field.take(second["export"]["path"], way_back_keep_days=0)
    assert Path(done["way_back"]).exists()


def test_one_that_is_young_enough_is_enough(field: Field) -> None:
    first = field.export(unless_younger_than="1h")
    again = field.export(unless_younger_than="1h")
    assert not again["changed"]
    assert again["export"] == first["export"]
    assert again["tables"] == first["tables"]


ANOTHER: dict[str, dict[str, Any]] = {
    "of another tenant": {"rows": [{**TENANT[0], "value": "6"}]},
    "of other tables": {"exclude": ["messages"]},
    "of another database": {"database": "there"},
}


@pytest.mark.parametrize("case", ANOTHER)
def test_a_young_one_is_not_taken_for_another(field: Field, case: str) -> None:
    first = field.export(set="shared")
    done = field.export(set="shared", unless_younger_than="1h", **ANOTHER[case])
    assert done["changed"]
    assert done["export"]["name"] != first["export"]["name"]


FOREIGN: dict[str, tuple[str, dict[str, Any]]] = {
    "from the future": ("20990101T000000Z", {}),
    "a whole backup": ("20261121T000000Z", {"kind": "postgresql", "content": {"tables": {}}}),
    "one that others can read": ("20261121T000000Z", {"encryption": {"method": "age", "recipients": ["age1"]}}),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_a_young_one_that_is_not_what_would_be_made_is_not_enough(field: Field, case: str) -> None:
    stamp, changes = FOREIGN[case]
    dated(Path(field.export()["export"]["path"]), stamp, **changes)
    assert field.export(unless_younger_than="9999d")["changed"]


def test_what_cannot_be_deleted_afterwards_does_not_hide_what_was_done(
    field: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = field.export()["export"]["path"]

    def held(*_given: Any, **_more: Any) -> list[str]:
        raise SetError("process 1 works on the backups")

    monkeypatch.setattr(_pg_import, "forget", held)
    done = field.take(path)
    assert done["changed"]
    assert Path(done["way_back"]).exists()
    assert "process 1 works on the backups" in done["notes"][-1]
    assert field.ours("there") == field.ours("here")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_takes_nothing_ends_in_one_line_and_nothing_has_changed(
    field: Field, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    path = field.export()["export"]["path"]
    before = field.is_now("there")

    def full(_self: HashingFile, _data: bytes) -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(HashingFile, "write", full)
        with pytest.raises(RowsError, match=r"make room there|cannot be used \(Read-only file system\)"):
            field.take(path)
        with pytest.raises(RowsError):
            field.export()
    assert field.is_now("there") == before
    assert list((field.cluster.directory / "back").glob("there-before-import_*")) == []
    assert len(list(field.place.glob("here-export_*"))) == 1
