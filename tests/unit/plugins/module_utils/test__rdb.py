# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of a Redis dump, and what is refused."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._crc64 import crc64
from ansible_collections.runbook.ops.plugins.module_utils._rdb import compare, read_rdb
from ansible_collections.runbook.ops.plugins.module_utils._rdb_reader import RdbError, unpack


def text(value):
    return bytes([len(value)]) + value


def dump(*parts, version=b"0010", checksum=True):
    body = b"REDIS" + version + b"".join(parts) + b"\xff"
    return body + (crc64(body) if checksum else 0).to_bytes(8, "little")


AUX = b"\xfa" + text(b"redis-ver") + text(b"7.0.15")
SELECT_0, SELECT_3 = b"\xfe\x00\xfb\x03\x01", b"\xfe\x03\xfb\x01\x00"
KEY = b"\x00" + text(b"name") + text(b"value")
EXPIRING = b"\xfc" + bytes(8) + b"\x00" + text(b"soon") + text(b"v")
VALUES = [
    pytest.param(b"\x00" + text(b"k") + b"\xc0\x05", id="a small number"),
    pytest.param(b"\x00" + text(b"k") + b"\xc2\x05\x00\x00\x00", id="a large number"),
    pytest.param(b"\x00" + text(b"k") + b"\xc3\x03\x05\x01ab", id="a compressed string"),
    pytest.param(b"\x00" + text(b"k") + b"\x40\x41" + b"x" * 65, id="a length of two bytes"),
    pytest.param(b"\x00" + text(b"k") + b"\x80\x00\x00\x00\x02ab", id="a length of four bytes"),
    pytest.param(b"\x02" + text(b"k") + b"\x02" + text(b"a") + text(b"b"), id="a set"),
    pytest.param(
        b"\x03" + text(b"k") + b"\x02" + text(b"a") + text(b"1.5") + text(b"b") + b"\xfe", id="old sorted set"
    ),
    pytest.param(b"\x05" + text(b"k") + b"\x01" + text(b"a") + bytes(8), id="a sorted set"),
    pytest.param(b"\x04" + text(b"k") + b"\x01" + text(b"a") + text(b"b"), id="a hash"),
    pytest.param(b"\x10" + text(b"k") + text(b"packed"), id="a packed hash"),
    pytest.param(b"\x12" + text(b"k") + b"\x02\x01" + text(b"a") + b"\x02" + text(b"b"), id="a list"),
    pytest.param(
        b"\x07" + text(b"k") + b"\x09\x05" + text(b"m") + b"\x02\x07\x04" + bytes(8) + b"\x00", id="of a module"
    ),
    pytest.param(
        b"\x15"
        + text(b"k")
        + b"\x01"
        + text(b"i" * 16)
        + text(b"lp")
        + b"\x01" * 8
        + b"\x01"
        + text(b"group")
        + b"\x01" * 3
        + b"\x01"
        + bytes(24)
        + b"\x01"
        + b"\x01"
        + text(b"one")
        + bytes(16)
        + b"\x01"
        + bytes(16),
        id="a stream with a group",
    ),
]


def test_keys_are_counted_by_database_and_those_that_expire_apart():
    told = read_rdb([dump(AUX, b"\xf5" + text(b"#!lua"), SELECT_0, KEY, EXPIRING, SELECT_3, KEY)])
    assert told["server_version"] == "7.0.15" and told["functions"] == 1 and told["rdb_version"] == 10
    assert {number: (one["keys"], one["expiring"]) for number, one in told["databases"].items()} == {
        "0": (2, 1),
        "3": (1, 0),
    }
    assert told["databases"]["0"]["names"] != told["databases"]["3"]["names"]


@pytest.mark.parametrize("value", VALUES)
def test_every_type_is_gone_over_to_its_end(value):
    assert read_rdb([dump(SELECT_0, value, KEY)])["databases"]["0"]["keys"] == 2


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_pieces_of_any_size_tell_the_same(size):
    data = dump(AUX, SELECT_0, KEY, *(param.values[0] for param in VALUES), EXPIRING)
    assert read_rdb(data[at : at + size] for at in range(0, len(data), size)) == read_rdb([data])


def test_the_order_of_keys_does_not_matter():
    other = b"\x00" + text(b"other") + text(b"v")
    assert read_rdb([dump(SELECT_0, KEY, other)])["databases"] == read_rdb([dump(SELECT_0, other, KEY)])["databases"]


def test_a_hash_whose_fields_expire_may_vanish():
    value = b"\x18" + text(b"k") + bytes(8) + b"\x01\x01" + text(b"a") + text(b"b")
    assert read_rdb([dump(SELECT_0, value)])["databases"]["0"]["expiring"] == 1


def test_no_flipped_bit_goes_unnoticed():
    data = dump(AUX, SELECT_0, KEY, EXPIRING)
    for place in range(len(data)):
        for bit in range(8):
            spoilt = bytearray(data)
            spoilt[place] ^= 1 << bit
            with pytest.raises(RdbError):
                read_rdb([bytes(spoilt)])


@pytest.mark.parametrize("left", range(1, 12))
def test_a_dump_that_was_cut_off_is_refused(left):
    with pytest.raises(RdbError, match="cut off"):
        read_rdb([dump(AUX, SELECT_0, KEY)[:-left]])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(b"-ERR no such thing", "no dump of Redis", id="an error"),
        pytest.param(dump(SELECT_0) + b"x", "something follows", id="more than a dump"),
        pytest.param(dump(SELECT_0, b"\x63" + text(b"k")), "newer than this collection", id="a type of the future"),
        pytest.param(dump(b"\xf3\x00"), "newer than this collection", id="an entry of the future"),
    ],
)
def test_what_is_not_known_is_refused_in_one_line(data, words):
    with pytest.raises(RdbError, match=words):
        read_rdb([data])


def test_a_dump_without_a_checksum_says_so():
    assert read_rdb([dump(SELECT_0, KEY, checksum=False)])["checksum"] is None


@pytest.mark.parametrize(
    ("packed", "size"),
    [(b"\x00a\x20\x00", 9), (b"\x20\x05", 3), (b"\x05ab", 6), (b"\xe0", 9)],
    ids=["another size", "before the beginning", "too short", "cut off"],
)
def test_a_damaged_compressed_string_is_refused(packed, size):
    with pytest.raises(RdbError, match="compressed string is damaged"):
        unpack(packed, size)


def content(keys=5, expiring=2, names="a", functions=1):
    return {"databases": {"0": {"keys": keys, "expiring": expiring, "names": names}}, "functions": functions}


@pytest.mark.parametrize(
    ("found", "words"),
    [
        pytest.param(content(), [], id="the same"),
        pytest.param(content(keys=3, expiring=0), [], id="those that expire have gone"),
        pytest.param(content(keys=4), ["database 0 has 2 keys that do not expire instead of 3"], id="one has gone"),
        pytest.param(content(names="b"), ["others than were saved"], id="another name"),
        pytest.param(content(keys=6, expiring=3), ["only 2 were saved"], id="more that expire"),
        pytest.param(content(functions=0), ["0 libraries of functions instead of 1"], id="no function"),
        pytest.param({"databases": {}, "functions": 1}, ["database 0 has 0 keys"], id="no database"),
    ],
)
def test_what_differs_is_said_in_words(found, words):
    differences = compare(content(), found)
    assert len(differences) == len(words)
    assert all(part in said for part, said in zip(words, differences))
