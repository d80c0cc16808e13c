# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checksums of dumps, by lanes and byte by byte."""

from __future__ import annotations

import random

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _crc64
from ansible_collections.runbook.ops.plugins.module_utils._crc64 import BLOCK, ECMA, FEWEST, JONES, STEPS, crc64


def test_it_is_the_checksum_that_redis_documents():
    assert crc64(b"123456789") == 0xE9C6D914C4B8D9CA


def test_it_is_the_checksum_that_archives_of_mongodump_have():
    assert ~crc64(b"123456789", (1 << 64) - 1, ECMA) & (1 << 64) - 1 == 0x995DC9BBDF1939FA


@pytest.mark.parametrize("polynomial", [JONES, ECMA])
@pytest.mark.parametrize("size", [0, 1, FEWEST * STEPS - 1, FEWEST * STEPS, 100_000, BLOCK + 700])
def test_lanes_give_what_single_bytes_give(size, polynomial):
    data = random.Random(size).randbytes(size)  # data of a test
    assert crc64(data, 7, polynomial) == _crc64._bytewise(data, 7, polynomial)
    assert crc64(data[size // 3 :], crc64(data[: size // 3], 0, polynomial), polynomial) == crc64(data, 0, polynomial)
