# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of a database with one of everything, on a private cluster: a restored one is the same, a changed one is not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._pg_content import compare, read_content
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import PgTarget

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmark"))
from pg_cluster import Cluster

ZOO = Path(__file__).with_name("zoo.sql").read_text(encoding="utf-8")
ROLES = 'CREATE ROLE app; CREATE ROLE "Read Only"; CREATE ROLE tenant;'


class Zoo:
    """The database ``zoo``, what is in it, and ``again``, made from its dump."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.target = PgTarget({"login_unix_socket": str(cluster.directory), "run_as": cluster.user})
        cluster.sql(ROLES)
        cluster.sql("CREATE DATABASE zoo OWNER app")
        cluster.sql("ALTER DATABASE zoo SET work_mem = '8MB'; ALTER DATABASE zoo SET app.key = 'hidden'")
        cluster.sql(ZOO, "zoo")
        self.content = read_content(self.target, "zoo")
        self.dump = str(cluster.directory / "zoo.dump")
        cluster.run("pg_dump", *cluster.target("zoo"), "-Fc", "-f", self.dump)

    def again(self) -> dict[str, Any]:
        """Restore the dump, and return what is in the new database."""
        self.cluster.sql("DROP DATABASE IF EXISTS again")
        self.cluster.sql("CREATE DATABASE again TEMPLATE template0")
        options = ["--exit-on-error", "--no-subscriptions"]
        self.cluster.run("pg_restore", *self.cluster.target("again"), *options, self.dump)
        return read_content(self.target, "again")


@pytest.fixture(scope="module")
def zoo() -> Iterator[Zoo]:
    with Cluster() as cluster:
        yield Zoo(cluster)


@pytest.fixture(scope="module")
def restored(zoo: Zoo) -> dict[str, Any]:
    return zoo.again()


def test_a_restored_database_has_the_same_content(zoo: Zoo, restored: dict[str, Any]) -> None:
    assert compare(zoo.content, restored) == []
    same = ("tables", "sequences", "objects", "schema_sha256", "large_objects", "roles", "extensions")
    assert {key: zoo.content[key] for key in same} == {key: restored[key] for key in same}


def test_the_content_of_awkward_names_is_there(zoo: Zoo) -> None:
    tables = zoo.content["tables"]
    assert tables['public."Sick ""One""; -- \'x\'"'] == 7
    assert tables['"Big.Schema"."Tab.le"'] == 1
    assert tables["public.fleeting"] == 5
    assert tables["public.events_2026_a"] == 20
    assert "public.events" not in tables  # its partitions hold the rows
    assert zoo.content["sequences"]['public."Odd Seq"'] == [8, True]
    assert zoo.content["sequences"]["public.never_called"] == [1, False]
    assert zoo.content["large_objects"] == 2


def test_roles_and_settings_are_told_and_an_application_s_own_setting_is_only_named(zoo: Zoo) -> None:
    assert zoo.content["roles"] == ["Read Only", "app", zoo.cluster.user, "tenant"]
    assert {"role": None, "name": "work_mem", "value": "8MB"} in zoo.content["settings"]
    assert {"role": None, "name": "app.key", "value": None} in zoo.content["settings"]
    assert "hidden" not in str(zoo.content)


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("DELETE FROM users WHERE id = 1", "table public.users has 989 rows instead of 990"),
        ('DROP TABLE "Big.Schema"."Tab.le"', 'table "Big.Schema"."Tab.le" is missing, with 1 rows'),
        ("DROP TABLE empty_one", "table public.empty_one is missing, with 0 rows"),
        ("CREATE TABLE more ()", "table public.more is not in the backup's manifest"),
        ("SELECT nextval('users_id_seq')", "sequence public.users_id_seq stands at 1001 instead of 1000"),
        ("DROP INDEX users_email_idx", "16 indexes instead of 17"),
        ("DROP TRIGGER t1 ON parent", "0 triggers instead of 1"),
        ("DROP FUNCTION f_add(text)", "6 functions instead of 7"),
        ("DROP POLICY pol ON users", "0 policies instead of 1"),
        ("REFRESH MATERIALIZED VIEW mv2", "2 filled materialized views instead of 1"),
        ("SELECT lo_unlink(oid) FROM pg_largeobject_metadata LIMIT 1", "1 large objects instead of 2"),
        ("DROP EXTENSION hstore", "extension hstore is missing"),
        ("ALTER TABLE users DROP CONSTRAINT users_price_check", "9 constraints instead of 10"),
        ("ALTER TABLE dropme ALTER c SET DEFAULT 4", "the schema is not the same"),
        ("ALTER TABLE parent OWNER TO tenant", "the schema is not the same"),
        ('REVOKE SELECT ON users FROM "Read Only"', "the schema is not the same"),
        ("ALTER TABLE users DISABLE ROW LEVEL SECURITY", "the schema is not the same"),
    ],
)
def test_what_a_restore_lost_is_told(zoo: Zoo, damage: str, told: str) -> None:
    zoo.cluster.sql("DROP DATABASE IF EXISTS damaged")
    zoo.cluster.sql("CREATE DATABASE damaged TEMPLATE again")
    zoo.cluster.sql(damage, "damaged")
    found = compare(zoo.content, read_content(zoo.target, "damaged"))
    assert any(one.startswith(told) for one in found), found
