# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tags by which storage knows content. Copies themselves are tried in tests/local/test_bucket_sync.py."""

from __future__ import annotations

import hashlib
import os

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._bucket_copy import TagOf, carried

DATA = os.urandom(1000)


def md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


@pytest.mark.parametrize("block", [1, 7, 300, 1000])
@pytest.mark.parametrize(
    ("part", "tag"),
    [
        pytest.param(None, md5(DATA).hex(), id="sent as a whole"),
        pytest.param(
            300, f"{md5(b''.join(md5(DATA[at : at + 300]) for at in range(0, 1000, 300))).hex()}-4", id="in parts"
        ),
        pytest.param(500, f"{md5(md5(DATA[:500]) + md5(DATA[500:])).hex()}-2", id="in parts that end with it"),
        pytest.param(1000, f"{md5(md5(DATA)).hex()}-1", id="in one part"),
    ],
)
def test_a_tag_is_that_of_the_parts_however_it_is_read(part, tag, block):
    found = TagOf(part)
    for at in range(0, len(DATA), block):
        found.update(DATA[at : at + block])
    assert found.text() == tag


def test_what_is_kept_with_an_object_goes_along_but_not_our_own_notes():
    said = {
        "content-type": "image/png",
        "etag": "x",
        "x-amz-meta-owner": "7",
        "x-amz-meta-source-etag": "y",
        "date": "z",
    }
    assert carried({**said, "x-amz-meta-sha256": "s"}) == {"content-type": "image/png", "x-amz-meta-owner": "7"}
