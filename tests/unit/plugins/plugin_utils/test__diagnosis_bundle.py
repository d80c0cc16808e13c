# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bundle is whole or not there, private, and shows what hosts say without obeying it."""

from __future__ import annotations

import hashlib
import json
import tarfile

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.plugin_utils import _diagnosis_bundle as bundle

EVIL = "<script>alert(1)</script>"
TOPIC = {"topic": "load", "title": f"Load {EVIL}", "status": "collected", "error": None, "note": EVIL, "seconds": 1.0, "cut": True,
         "events": [{"at": 100, "what": "boot", "text": EVIL}], "text": "evidence"}  # fmt: skip
CHECK = make_check("db", name=EVIL, section="S", status="critical", detail=EVIL, remedy=EVIL)
HOST = {
    "checks": [CHECK, {**CHECK, "id": "api", "because": "db"}],
    "topics": [TOPIC],
    "status": "critical",
    "summary": {},
    "seconds": 2.0,
}


def made(hosts):
    return bundle.files_of(hosts, title="Diagnosis of shop", system="shop", run="r1", at=200.0)


def test_what_hosts_gave_is_put_aside_in_private_and_read_again(tmp_path):
    aside = tmp_path / "deep" / "aside"
    bundle.put_aside(aside, "web-1", HOST)
    assert aside.stat().st_mode & 0o777 == 0o700
    assert (aside / "web-1.json").stat().st_mode & 0o777 == 0o600
    first, second = bundle.read_aside(aside, ["web-1", "web-2"])
    assert first == {**HOST, "host": "web-1"}
    assert second["error"].startswith("nothing came from it")


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..", "a b", "web-1.example.com"])
def test_no_name_of_a_host_leads_elsewhere(name):
    assert "/" not in bundle.safe(name)
    assert not bundle.safe(name).startswith(".")


def test_the_manifest_has_the_digest_of_every_file():
    files = made([{**HOST, "host": "web-1"}])
    manifest = json.loads(files.pop("manifest.json"))
    assert set(files) == {"summary.txt", "summary.html", "web-1/checks.json", "web-1/load.txt"}
    assert {name: one["sha256"] for name, one in manifest["files"].items()} == {
        name: hashlib.sha256(data).hexdigest() for name, data in files.items()
    }


def test_the_page_shows_what_hosts_say_and_runs_nothing():
    text = made([{**HOST, "host": "web-1"}])["summary.html"].decode()
    assert "<script" not in text
    assert text.count("&lt;script&gt;") >= 6
    assert "default-src 'none'" in text
    assert "<details><summary>1 more follow from it" in text
    assert 'href="web-1/load.txt"' in text
    assert "http://" not in text
    assert "https://" not in text


def test_a_topic_says_in_its_file_that_it_failed_or_was_cut():
    failed = {**TOPIC, "error": "no docker", "text": ""}
    text = made([{**HOST, "host": "web-1", "topics": [failed]}])["web-1/load.txt"].decode()
    assert "FAILED: no docker" in text
    assert "what is missing is older" in text


def test_an_archive_is_whole_private_and_the_same_for_the_same(tmp_path):
    files = made([{**HOST, "host": "web-1"}])
    digests = set()
    for number in range(2):
        aside = tmp_path / f"aside-{number}"
        aside.mkdir()
        digests.add(bundle.write_bundle(tmp_path / "shop.tar.gz", files, aside=aside, at=200.0))
        assert not aside.exists()
    assert len(digests) == 1
    assert (tmp_path / "shop.tar.gz").stat().st_mode & 0o777 == 0o600
    with tarfile.open(tmp_path / "shop.tar.gz") as archive:
        assert {member.name for member in archive} == {f"shop/{name}" for name in files}
        assert all(member.mode == 0o600 for member in archive)


def test_an_archive_that_cannot_be_written_leaves_the_older_one_and_the_evidence(tmp_path):
    path = tmp_path / "shop.tar.gz"
    path.write_text("older")
    with pytest.raises(OSError, match="No such file"):
        bundle.write_bundle(path, {"a": b"x"}, aside=tmp_path / "none", at=1.0)
    assert path.read_text() == "older"
