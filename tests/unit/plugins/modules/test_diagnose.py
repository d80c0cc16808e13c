# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module checks first and collects then; a wrong question costs no evidence, and no secret comes out."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.modules import diagnose

GIVEN = {
    "probes": [], "evidence": [{"topic": "memory", "title": "Memory", "collector": "memory"}], "secrets": {}, "known_secrets": [],
    "since_seconds": 3600, "changes_seconds": 86400, "secret_directories": [], "probes_timeout_seconds": 5, "timeout_seconds": 5,
    "topic_bytes": 10_000,
}  # fmt: skip


def test_checks_and_evidence_come_together():
    found = diagnose.run({**GIVEN, "probes": [{"probe": "memory"}]}, 1_000_000.0)
    assert [check["id"] for check in found["checks"]] == ["memory"]
    assert [topic["status"] for topic in found["topics"]] == ["collected"]
    assert found["msg"].endswith("; 1 topics collected")
    assert found["changed"] is False


def test_a_probe_that_was_asked_wrongly_costs_no_evidence():
    found = diagnose.run({**GIVEN, "probes": [{"probe": "memry"}]}, 1_000_000.0)
    assert found["checks"][0]["status"] == "unknown"
    assert "did you mean 'memory'?" in found["checks"][0]["detail"]
    assert found["topics"][0]["status"] == "collected"


def test_what_is_known_to_be_secret_is_taken_out():
    found = diagnose.run({**GIVEN, "known_secrets": ["MemTotal"]}, 1_000_000.0)
    assert "MemTotal" not in str(found)
    assert "***:" in found["topics"][0]["text"]


def test_a_collector_gets_its_period_and_its_secret():
    spec = {"topic": "p", "title": "P", "collector": "postgresql", "options": {"password": "database:shop"}}
    told = diagnose.specs_of({**GIVEN, "evidence": [spec], "secrets": {"database:shop": "hunter-2"}}, 1_000_000.0)
    assert told[0]["options"] == {"password": "hunter-2", "since": 996_400.0, "changes_since": 913_600.0}
    with pytest.raises(ValueError, match="not among the secrets"):
        diagnose.specs_of({**GIVEN, "evidence": [spec]}, 1_000_000.0)


def test_where_secrets_take_long_to_take_out_less_is_kept(monkeypatch):
    monkeypatch.setattr(diagnose, "REDACTION_SECONDS", -1)
    monkeypatch.setattr(diagnose, "HURRIED_BYTES", 100)
    topic = diagnose.run(GIVEN, 1_000_000.0)["topics"][0]
    assert topic["cut"]
    assert len(topic["text"]) <= 100
