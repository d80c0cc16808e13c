# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a directory has to hold to be a backup, and what is said where it does not."""

from __future__ import annotations

import hashlib

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _payload

SUM = hashlib.sha256(b"data").hexdigest()


@pytest.mark.parametrize(
    ("manifest", "files"),
    [
        pytest.param({"checksums": {"a/b": SUM}}, {"a/b": None}, id="text"),
        pytest.param({"checksums": {"./a": SUM}}, {"a": None}, id="as find writes names"),
        pytest.param({"checksums": {"a": {"sha256": SUM, "size": 4}}}, {"a": 4}, id="with sizes"),
        pytest.param({"checksums": {"a": _payload.EMPTY_SHA256}}, {"a": 0}, id="of an empty file"),
        pytest.param({"checksums": {}}, None, id="of nothing"),
        pytest.param({"checksums": [SUM]}, None, id="a list"),
        pytest.param({"checksums": {"../etc/passwd": SUM}}, None, id="a file elsewhere"),
        pytest.param({"checksums": {"/etc/passwd": SUM}}, None, id="an absolute name"),
        pytest.param({"checksums": {"a": SUM, "./a": SUM}}, None, id="a file twice"),
        pytest.param({"files": []}, None, id="another manifest"),
        pytest.param([], None, id="no mapping"),
    ],
)
def test_a_manifest_of_checksums_names_the_files(manifest, files):
    assert _payload.parse_copy(manifest) == files


@pytest.mark.parametrize(
    ("content", "size", "said"),
    [
        pytest.param(b"data", 4, None, id="as it should be"),
        pytest.param(b"data", None, None, id="a size that nobody told"),
        pytest.param(b"dat", 4, "f has 3 bytes instead of 4", id="cut off"),
        pytest.param(b"", None, "f has 0 bytes", id="empty"),
        pytest.param(b"", 0, None, id="meant to be empty"),
        pytest.param(None, 4, "f is missing", id="not there"),
    ],
)
def test_a_file_that_is_not_there_in_its_size_is_named(tmp_path, content, size, said):
    if content is not None:
        (tmp_path / "f").write_bytes(content)
    assert _payload.fault(tmp_path, {"f": size}) == said


def test_a_link_in_place_of_a_file_is_a_fault(tmp_path):
    (tmp_path / "real").write_bytes(b"data")
    (tmp_path / "f").symlink_to("real")
    assert _payload.fault(tmp_path, {"f": 4}) == "f is no file"


def test_a_directory_may_come_with_the_sums_of_sha256sum(tmp_path):
    (tmp_path / "SHA256SUMS").write_text(f"{SUM}  dump/1.dat\n{SUM}  dump/toc.dat\n")
    assert _payload.read_copy(tmp_path) == {"dump/1.dat": None, "dump/toc.dat": None}
    (tmp_path / "manifest.json").write_text("{")
    assert _payload.read_copy(tmp_path) is None, "a manifest that cannot be read says nothing"


def test_what_belongs_to_nobody_is_found(tmp_path):
    (tmp_path / "dump").mkdir()
    for name in ("manifest.json", "SHA256SUMS", "verified.json", "dump/1.dat"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    assert _payload.stranger(tmp_path, {"dump/1.dat": 1}) is None
    (tmp_path / "dump" / "link").symlink_to("/")
    assert _payload.stranger(tmp_path, {"dump/1.dat": 1}) == "dump/link"
