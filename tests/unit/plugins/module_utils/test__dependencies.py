# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What npm and pnpm answer, and what follows from it."""

from __future__ import annotations

import json

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._dependencies import (
    DependenciesError,
    commands,
    judge,
    locked_versions,
    parse_audit,
    parse_outdated,
)

NPM_OUTDATED = {
    "ms": {"wanted": "2.0.0", "latest": "2.1.3", "dependent": "x"},
    "express": {"current": "4.18.2", "wanted": "4.22.1", "latest": "5.2.1", "dependent": "x", "location": "/srv"},
    "pinned": {"current": "1.0.0", "wanted": "1.0.0", "latest": "1.0.0"},
    "twice": [{"current": "1.0.0", "wanted": "1.0.1", "latest": "1.0.1"}, {"current": "1.0.0"}],
}
NPM_AUDIT = {
    "auditReportVersion": 2,
    "vulnerabilities": {
        "qs": {"name": "qs", "severity": "moderate", "isDirect": False, "via": ["body-parser"], "fixAvailable": True},
        "minimist": {
            "name": "minimist",
            "severity": "critical",
            "isDirect": True,
            "via": [{"title": "Prototype Pollution"}],
            "fixAvailable": {"name": "minimist", "version": "1.2.8", "isSemVerMajor": False},
        },
        "stuck": {"name": "stuck", "severity": "high", "isDirect": True, "via": [], "fixAvailable": False},
    },
    "metadata": {},
}
PNPM_AUDIT = {
    "actions": [],
    "advisories": {
        "1": {
            "module_name": "minimist",
            "severity": "critical",
            "title": "Prototype Pollution",
            "patched_versions": ">=1.2.6",
            "findings": [{"version": "1.2.0", "paths": [".>minimist"]}],
        },
        "2": {
            "module_name": "deep",
            "severity": "low",
            "patched_versions": "<0.0.0",
            "findings": [{"paths": [".>a>deep"]}],
        },
    },
}
LIMITS = {"outdated": {}, "vulnerable": {"warning": 1}}


def test_npm_tells_newer_versions_and_the_lock_file_the_present_one():
    found = parse_outdated(json.dumps(NPM_OUTDATED), {"ms": "1.9.0"})
    assert [(one["name"], one["current"], one["latest"], one["major"]) for one in found] == [
        ("express", "4.18.2", "5.2.1", True),
        ("ms", "1.9.0", "2.1.3", True),
        ("twice", "1.0.0", "1.0.1", False),
    ]


def test_nothing_outdated_is_an_empty_answer_and_silence_is_none():
    assert parse_outdated("{}", {}) == []
    with pytest.raises(DependenciesError, match="said nothing"):
        parse_outdated("", {})


@pytest.mark.parametrize("read", [lambda text: parse_outdated(text, {}), parse_audit], ids=["outdated", "vulnerable"])
@pytest.mark.parametrize("text", ["[]", "null", "3", '"no registry"'])
def test_an_answer_that_is_no_object_is_none(read, text):
    with pytest.raises(DependenciesError, match="no answer: it is"):
        read(text)


@pytest.mark.parametrize("more", [[], [None], None, "1.0.0", ["1.0.0"]])
def test_a_package_that_is_no_object_is_no_answer(more):
    with pytest.raises(DependenciesError, match="no answer: left-pad is"):
        parse_outdated(json.dumps({"left-pad": more}), {})


@pytest.mark.parametrize("key", ["vulnerabilities", "advisories"])
def test_a_vulnerability_that_is_no_object_is_no_answer(key):
    with pytest.raises(DependenciesError, match="no answer: qs is"):
        parse_audit(json.dumps({key: {"qs": "high"}}))


def test_vulnerabilities_of_npm_come_the_worst_first_with_their_fix():
    found = parse_audit(json.dumps(NPM_AUDIT))
    assert [(one["name"], one["severity"], one["direct"], one["fix"]) for one in found] == [
        ("minimist", "critical", True, "minimist 1.2.8"),
        ("stuck", "high", True, None),
        ("qs", "moderate", False, "within its range"),
    ]


def test_vulnerabilities_of_pnpm_say_the_same():
    found = parse_audit(json.dumps(PNPM_AUDIT))
    assert [(one["name"], one["severity"], one["direct"], one["fix"]) for one in found] == [
        ("minimist", "critical", True, ">=1.2.6"),
        ("deep", "low", False, None),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param('{"message": "405 Method Not Allowed", "error": {"summary": ""}}', "405", id="no audits there"),
        pytest.param(
            '{"error": {"code": "ECONNREFUSED", "summary": "request failed"}}', "ECONNREFUSED", id="no registry"
        ),
        pytest.param("ERR_PNPM_AUDIT_BAD_RESPONSE  the audit endpoint\nmore", "ERR_PNPM", id="prose"),
        pytest.param('{"error": "a word"}', "a word", id="an error in words"),
        pytest.param('{"message": " "}', "no answer", id="a blank"),
        pytest.param("", "said nothing", id="nothing"),
    ],
)
def test_an_answer_that_is_none_is_not_taken_for_a_clean_bill(text, says):
    with pytest.raises(DependenciesError, match=says):
        parse_audit(text)


def test_only_what_is_severe_enough_counts():
    found = parse_audit(json.dumps(NPM_AUDIT))
    outdated, vulnerable = judge("api", outdated=[], vulnerable=found, level="high", limits=LIMITS)
    assert (outdated["id"], outdated["status"], outdated["value"]) == ("dependencies:api:outdated", "ok", 0)
    assert (vulnerable["status"], vulnerable["value"], vulnerable["unit"]) == ("warning", 2, "packages")
    assert vulnerable["detail"] == "minimist (critical), stuck (high, no fix yet)"


def test_what_is_not_known_is_neither_good_nor_bad():
    checks = judge("api", outdated="no lock file", vulnerable="405", level="high", limits=LIMITS)
    assert [check["status"] for check in checks] == ["unknown", "unknown"]
    assert [check["value"] for check in checks] == [None, None]


def test_a_lock_file_of_any_version_is_read_and_a_broken_one_is_empty():
    assert locked_versions('{"packages": {"": {"version": "9"}, "node_modules/ms": {"version": "2"}}}') == {"ms": "2"}
    assert locked_versions('{"dependencies": {"ms": {"version": "2"}}}') == {"ms": "2"}
    assert locked_versions("lockfileVersion: 9") == {}


@pytest.mark.parametrize("manager", ["npm", "pnpm"])
def test_a_package_manager_is_asked_only_what_reads(manager):
    asked = commands(manager, "/copy")
    assert set(asked) == {"outdated", "audit"}
    for words in asked.values():
        assert not {"install", "update", "fix", "--fix"} & set(words)
        assert "/copy" in words
