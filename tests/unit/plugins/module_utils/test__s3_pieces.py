# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files are cut into parts that any storage takes, and a file that is another is found while it is read."""

from __future__ import annotations

import base64
import hashlib

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._s3_pieces import (
    MIB,
    blocks,
    checksum,
    measure,
    measure_all,
    refuse_other,
    split,
)
from ansible_collections.runbook.ops.plugins.module_utils._s3_storage import S3Error


@pytest.mark.parametrize(
    ("size", "part", "expected"),
    [
        pytest.param(0, 5, [(0, 0)], id="an empty file is one part"),
        pytest.param(5, 5, [(0, 5)], id="exactly one"),
        pytest.param(11, 5, [(0, 5), (5, 5), (10, 1)], id="a rest"),
    ],
)
def test_a_file_is_cut_without_a_gap(size, part, expected):
    pieces = split(size * MIB, part * MIB)
    assert [(offset // MIB, length // MIB) for offset, length in pieces] == expected


def test_a_file_of_five_terabytes_has_no_more_parts_than_s3_takes():
    pieces = split(5 * 10**12, 64 * MIB)
    assert len(pieces) <= 10_000
    assert sum(size for _offset, size in pieces) == 5 * 10**12


def test_the_checksum_of_parts_is_that_of_their_checksums(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"a" * 10 + b"b")
    parts = [measure(path, 0, 10), measure(path, 10, 1)]
    both = hashlib.sha256(b"a" * 10).digest() + hashlib.sha256(b"b").digest()
    assert checksum(parts) == base64.b64encode(hashlib.sha256(both).digest()).decode()
    assert checksum(parts[1:]) == base64.b64encode(hashlib.sha256(b"b").digest()).decode()


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"good")
    right = hashlib.sha256(b"good").hexdigest()
    assert measure_all(path, 4, right, 5 * MIB) == base64.b64encode(bytes.fromhex(right)).decode()
    with pytest.raises(S3Error, match="is damaged"):
        measure_all(path, 4, "0" * 64, 5 * MIB)
    with pytest.raises(S3Error, match="copy another backup"):
        refuse_other(path, "0", "1")


def test_a_file_that_becomes_shorter_or_goes_is_noticed(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"1234")
    with pytest.raises(S3Error, match="become shorter"):
        list(blocks(path, 2, 3))
    with pytest.raises(S3Error, match="is it being removed"):
        list(blocks(tmp_path / "gone", 0, 1))


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(S3Error, match="cannot read"):
        list(blocks(tmp_path / "link", 0, 1))
