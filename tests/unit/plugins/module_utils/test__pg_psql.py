# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""psql in a container answers and fails as psql on this host does."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _pg_psql
from ansible_collections.runbook.ops.plugins.module_utils._command import CommandError
from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError
from ansible_collections.runbook.ops.plugins.module_utils._pg_psql import PsqlWithin
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import LONGEST_SECONDS, PgTarget
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import PipelineError


@pytest.fixture
def within(monkeypatch):
    monkeypatch.setattr(PgTarget, "container", "shop-db-1")
    return PsqlWithin(PgTarget.from_params({"container": "db", "login_password": "s3cr3t"}))


def test_it_is_fed_on_standard_input_and_has_a_limit(monkeypatch, within):
    seen = []

    def run(stages, **options):
        seen.append((stages[0], options))
        return SimpleNamespace(text="1\n")

    monkeypatch.setattr(_pg_psql, "run_pipeline", run)
    assert within("-d", "shop", stdin="SELECT 1;", accept=(0, 3)) == "1\n"
    ((stage, options),) = seen
    assert (options["source"], options["timeout_seconds"]) == (b"SELECT 1;", LONGEST_SECONDS)
    assert stage.accept == (0, 3)
    assert list(stage.argv[-3:]) == ["psql", "-d", "shop"]
    assert not any("s3cr3t" in word for word in stage.argv)


def test_what_psql_said_is_kept_for_who_explains_it(monkeypatch, within):
    def run(_stages, **_options):
        raise PipelineError("psql failed", code=2, stderr="ERROR:  57P03: starting up")

    monkeypatch.setattr(_pg_psql, "run_pipeline", run)
    with pytest.raises(CommandError, match="psql failed") as caught:
        within(stdin="SELECT 1;")
    assert caught.value.details["stderr"] == "ERROR:  57P03: starting up"


def test_a_container_that_does_not_run_is_told_in_one_line(monkeypatch):
    def gone(_self):
        raise PgError("PostgreSQL's container cannot be found: see docker ps --all")

    monkeypatch.setattr(PgTarget, "container", property(gone))
    with pytest.raises(CommandError, match="see docker ps --all"):
        PsqlWithin(PgTarget.from_params({"container": "db"}))(stdin="SELECT 1;")
