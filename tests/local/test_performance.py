# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a performance review asks a real server about its tables: sizes of all kinds, and nobody is waited for."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmark"))
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import read_options
from ansible_collections.runbook.ops.plugins.module_utils.probes import pg_performance
from pg_cluster import Cluster

SCHEMA = """
CREATE TABLE events (at date, word text) PARTITION BY RANGE (at);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2026-02-01') TO ('2026-03-01') PARTITION BY HASH (word);
CREATE TABLE events_2_0 PARTITION OF events_2 FOR VALUES WITH (MODULUS 1, REMAINDER 0);
CREATE TABLE empty (at date) PARTITION BY RANGE (at);
INSERT INTO events SELECT date '2026-01-31' + n % 2, repeat('x', 100) FROM generate_series(1, 1000) AS n;
"""
PARTS = "SELECT pg_total_relation_size('events_1') + pg_total_relation_size('events_2_0')"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as found:
        found.sql(SCHEMA)
        yield found


def look(cluster: Cluster, *tables: str) -> dict[str, Any]:
    spec = {"probe": "pg_performance", "database": "postgres", "host": str(cluster.directory), "tables": list(tables)}
    options = {**read_options(spec, pg_performance.OPTIONS, where="x"), "section": "Performance", "name": "shop"}
    options["superuser"] = cluster.user
    return {check["id"]: check for check in pg_performance.judge(pg_performance.measure(options), options)}


def test_a_partitioned_table_is_as_large_as_its_partitions(cluster: Cluster) -> None:
    checks = look(cluster, "events", "events_2_0", "empty")
    assert checks["size:shop:events"]["value"] == int(cluster.sql(PARTS)) > 0
    assert checks["size:shop:events"]["value"] > checks["size:shop:events_2_0"]["value"] > 0
    assert checks["size:shop:empty"]["value"] == 0
    assert "largest: events_" in checks["size:shop"]["detail"]  # which are no larger together than they are


def test_a_partition_that_somebody_has_locked_is_not_waited_for(cluster: Cluster) -> None:
    psql = cluster.as_user(str(cluster.binaries / "psql"), *cluster.target("postgres"), "-Xq")
    with subprocess.Popen(psql, stdin=subprocess.PIPE, text=True, cwd="/") as other:
        assert other.stdin
        other.stdin.write("BEGIN; LOCK TABLE events_1 IN ACCESS EXCLUSIVE MODE;\n")
        other.stdin.flush()
        locked = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND relation = 'events_1'::regclass"
        while cluster.sql(locked) == "0":
            time.sleep(0.05)
        checks = look(cluster, "events", "events_2_0")
    assert checks["size:shop:events"]["status"] == "unknown"
    assert "locked it completely" in checks["size:shop:events"]["detail"]
    assert checks["size:shop:events_2_0"]["value"] > 0
