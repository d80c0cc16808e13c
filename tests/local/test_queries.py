# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A system's own questions on a real server: whatever they try, they change nothing, end nothing, write no file, and end in time."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmark"))
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError, read_options
from ansible_collections.runbook.ops.plugins.module_utils.probes import query
from pg_cluster import Cluster

SCHEMA = """
CREATE ROLE shop LOGIN;
CREATE TABLE orders (id serial PRIMARY KEY, at timestamptz DEFAULT now() - interval '1 day', customer text);
INSERT INTO orders (customer) SELECT 'customer ' || n FROM generate_series(1, 300) n;
CREATE TABLE hidden (id int); INSERT INTO hidden VALUES (1); ALTER TABLE hidden ENABLE ROW LEVEL SECURITY;
CREATE FUNCTION wipe() RETURNS int LANGUAGE sql AS 'DELETE FROM orders RETURNING 1';
CREATE FUNCTION sly() RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN DELETE FROM orders; RETURN 1; END';
CREATE FUNCTION slyer(int) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN PERFORM wipe(); RETURN 1; END';
CREATE FUNCTION dump() RETURNS int LANGUAGE plpgsql STABLE AS $$BEGIN EXECUTE 'COPY orders TO ''/tmp/runbook-ops-copied'''; RETURN 1; END$$;
CREATE FUNCTION dumped() RETURNS int LANGUAGE plpgsql AS $$BEGIN EXECUTE 'COPY orders TO ''/tmp/runbook-ops-copied'''; RETURN 1; END$$;
CREATE FUNCTION freed() RETURNS int LANGUAGE plpgsql AS $$BEGIN SET transaction_read_only = off; DELETE FROM orders; RETURN 1; END$$;
CREATE VIEW trap AS SELECT wipe();
CREATE VIEW copied AS SELECT dumped();
CREATE VIEW released AS SELECT freed();
CREATE VIEW counted AS SELECT nextval('orders_id_seq') AS n;
CREATE OPERATOR ### (RIGHTARG = int, PROCEDURE = slyer);
CREATE PROCEDURE procedure(INOUT n int) LANGUAGE plpgsql AS 'BEGIN DELETE FROM orders; COMMIT; END';
ALTER TABLE orders OWNER TO shop;
"""
TRIES = {
    "a writing function": "SELECT wipe()",
    "one in capitals, quoted and with its schema": 'SELECT public . "wipe" /* x */ ()',
    "one that calls itself stable": "SELECT sly()",
    "one behind an operator": "SELECT ### 1",
    "one behind a view": "SELECT * FROM trap",
    "one that turns the transaction round": "SELECT * FROM released",
    "a file from a function": "SELECT dump()",
    "a file from behind a view": "SELECT * FROM copied",
    "a procedure": "CALL procedure(1)",
    "nextval": "SELECT nextval('orders_id_seq')",
    "nextval behind a view": "SELECT * FROM counted",
    "setval": "SELECT setval('orders_id_seq', 9)",
    "a plain deletion": "DELETE FROM orders RETURNING id",
    "a deletion in WITH": "WITH gone AS (DELETE FROM orders RETURNING id) SELECT count(*) FROM gone",
    "a deletion that is explained": "EXPLAIN ANALYZE DELETE FROM orders",
    "a table": "CREATE TABLE more (id int)",
    "a table from rows": "SELECT * INTO more FROM orders",
    "row locks": "SELECT * FROM orders FOR UPDATE",
    "a program": "COPY orders TO PROGRAM 'touch /tmp/runbook-ops-copied'",
    "a file": "COPY orders TO '/tmp/runbook-ops-copied'",
    "sessions that end": "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()",
    "settings of the server": "SELECT pg_reload_conf()",
    "a block": "DO $$ BEGIN DELETE FROM orders; END $$",
    "two statements": "SELECT 1; DELETE FROM orders",
    "two statements, the first of which ends": "SELECT 1; COMMIT; DELETE FROM orders",
    "a way out of brackets": "SELECT 1) AS q) AS rows; COMMIT; DELETE FROM orders; --",
    "a way out of a block": "SELECT 1, $runbook_ops$ $runbook_ops$; COMMIT; DELETE FROM orders; --",
    "a way out of a text": "SELECT ''''); COMMIT; DELETE FROM orders; --",
    "writing again": "SET transaction_read_only = off",
    "writing again by a function": "SELECT set_config('transaction_read_only', 'off', true)",
    "being a superuser again": "SELECT set_config('role', 'none', true)",
    "a command of psql": "\\! touch /tmp/runbook-ops-copied",
    "another of psql": "SELECT 'DELETE FROM orders' \\gexec",
    "a file of the server": "SELECT pg_read_file('/etc/passwd')",
    "a lock of the application": "SELECT pg_advisory_lock(1)",
    "rows that are kept from who reads": "SELECT * FROM hidden",
}
STATE = "SELECT count(*), (SELECT last_value FROM orders_id_seq), to_regclass('more') IS NULL FROM orders"
COPIED = Path("/tmp/runbook-ops-copied")  # where a query that was not stopped would write


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as found:
        found.sql("CREATE DATABASE shop")
        found.sql(SCHEMA, "shop")
        yield found


@pytest.fixture
def unchanged(cluster: Cluster) -> Iterator[None]:
    before = cluster.sql(STATE, "shop")
    arguments = ["-h", str(cluster.directory), "-p", str(cluster.port), "-d", "shop", "-c", "SELECT pg_sleep(120)"]
    other = subprocess.Popen(
        cluster.as_user("psql", *arguments), cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    sleeps = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(120)%'"
    while cluster.sql(sleeps, "shop").strip() != "1":
        time.sleep(0.05)
    yield
    assert cluster.sql(sleeps, "shop").strip() == "1"  # nobody ended it
    cluster.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(120)%'", "shop"
    )
    other.wait()
    while cluster.sql(sleeps, "shop").strip() != "0":
        time.sleep(0.05)
    assert cluster.sql(STATE, "shop") == before
    assert not COPIED.exists()


def asked(cluster: Cluster, statement: str, user: str | None = None, **other: Any) -> dict[str, Any]:
    spec = {
        "probe": "query",
        "name": "q",
        "database": "shop",
        "host": str(cluster.directory),
        "statement": statement,
        **other,
    }
    options = {**read_options(spec, query.OPTIONS, where="x"), "section": "Databases"}
    options["superuser"], options["user"] = cluster.user, user
    return query.judge(query.measure(options), options)[0]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("user", [None, "shop"], ids=["superuser", "owner"])
def test_whatever_it_tries_it_is_refused_and_nothing_has_changed(cluster: Cluster, user: str | None) -> None:
    passed = []
    for words, statement in TRIES.items():
        if words == "rows that are kept from who reads" and user:
            continue  # its own privileges keep it away
        try:
            asked(cluster, statement, user)
        except ProbeError as exc:
            assert "\n" not in str(exc)
        else:
            passed.append(words)
    assert passed == []


@pytest.mark.parametrize(
    ("statement", "parameters", "value"),
    [
        ("SELECT count(*) FROM orders WHERE at < now()", {}, 300),
        (
            "SELECT count(*) FROM orders WHERE at >= :since - interval '9 days' AND customer <> :name",
            {"name": "'; --"},
            300,
        ),
        ("SELECT count(*) FROM orders WHERE customer = :name", {"name": "customer 7"}, 1),
        ("SELECT count(*) FROM orders WHERE id <= :most AND :wanted", {"most": 5, "wanted": True}, 5),
        ("SELECT (:share * 100)::int", {"share": 0.25}, 25),
        ("SELECT pg_database_size(current_database()) > 1000 AS n, 1 AS m", {}, 1),
        ("VALUES (42)", {}, 42),
    ],
)
def test_what_reads_is_answered_with_its_values_bound(
    cluster: Cluster, statement: str, parameters: dict[str, Any], value: int
) -> None:
    assert asked(cluster, statement, parameters=parameters)["value"] == value


def test_a_query_is_stopped_at_its_time(cluster: Cluster) -> None:
    began = time.monotonic()
    with pytest.raises(ProbeError, match="statement timeout"):
        asked(
            cluster,
            "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b",
            timeout_seconds=1.0,
        )
    assert time.monotonic() - began < 20
    left = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'runbook.ops query'"
    while cluster.sql(left) != "0" and time.monotonic() - began < 60:  # a session ends a moment after its client
        time.sleep(0.05)
    assert cluster.sql(left) == "0"


def test_a_warning_of_the_server_does_not_stand_for_why_it_failed(cluster: Cluster) -> None:
    cluster.sql("CREATE DATABASE warned")
    cluster.sql(
        "UPDATE pg_database SET datcollversion = '1' WHERE datname = 'warned'"
    )  # another libc than at its creation
    with pytest.raises(ProbeError, match='relation "lost" does not exist'):
        asked(cluster, "SELECT count(*) FROM lost", database="warned")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT id, customer FROM orders",
        "SELECT 1 AS n, repeat('x', 3000000) AS t",
        "SELECT a.id, b.id FROM orders a, orders b, orders c, orders d",
    ],
)
def test_what_is_too_much_is_cut_and_said(cluster: Cluster, statement: str) -> None:
    assert "the rest was not fetched" in asked(cluster, statement, timeout_seconds=60.0)["detail"]
