# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in an archive of mongodump, and that no damage of one passes."""

from __future__ import annotations

import json
import random
import struct

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._bson import encode
from ansible_collections.runbook.ops.plugins.module_utils._crc64 import ECMA, crc64
from ansible_collections.runbook.ops.plugins.module_utils._mongo_archive import (
    END,
    MAGIC,
    START,
    ArchiveError,
    compare,
    read_archive,
)

INDEXES = [{"v": {"$numberInt": "2"}, "key": {"_id": {"$numberInt": "1"}}, "name": "_id_", "ns": "shop.a"}]
HEADER = {"concurrent_collections": 4, "version": "0.1", "server_version": "7.0.5", "tool_version": "100.9.4"}


def block(name, documents, *, database="shop"):
    return encode({"db": database, "collection": name, "EOF": False, "CRC": 0}) + b"".join(documents) + END


def ending(name, documents, *, database="shop"):
    (crc,) = struct.unpack("<q", struct.pack("<Q", crc64(b"".join(documents), START, ECMA) ^ START))
    return encode({"db": database, "collection": name, "EOF": True, "CRC": crc}) + END


def archive(contents, *, database="shop", indexes=INDEXES, kind="collection"):
    """Return an archive whose collections are written in turn, as several readers do."""
    metadata = json.dumps({"indexes": indexes, "uuid": "12", "options": {"uuid": "12"}})
    told = [
        encode({"db": database, "collection": name, "metadata": metadata, "size": 0, "type": kind}) for name in contents
    ]
    body = b"".join(block(name, documents[:2], database=database) for name, documents in contents.items() if documents)
    body += b"".join(block(name, documents[2:], database=database) for name, documents in contents.items())
    body += b"".join(ending(name, documents, database=database) for name, documents in contents.items())
    return struct.pack("<I", MAGIC) + encode(HEADER) + b"".join(told) + END + body


def pieces(data, size=7):
    return (data[start : start + size] for start in range(0, len(data), size))


A, B = [encode({"_id": number, "n": "x" * number}) for number in range(5)], [encode({"_id": 1})]
WHOLE = archive({"a": A, "b": B, "empty": []})


def test_what_it_holds_is_told_collection_by_collection():
    content = read_archive(pieces(WHOLE))
    assert {name: one["documents"] for name, one in content["collections"].items()} == {"a": 5, "b": 1, "empty": 0}
    assert (content["documents"], content["data_bytes"]) == (6, sum(map(len, A + B)))
    assert (content["server_version"], content["tool_version"]) == ("7.0.5", "100.9.4")
    # Where an index was and how it was built does not tell two apart.
    assert content["collections"]["a"]["indexes"]["_id_"] == {"key": {"_id": {"$numberInt": "1"}}, "name": "_id_"}
    assert content["collections"]["a"]["options"] == {}


def test_the_order_of_documents_and_the_name_of_the_database_make_no_difference():
    other = archive({"a": A[::-1], "b": B, "empty": []}, database="drill")
    assert compare(read_archive(pieces(WHOLE)), read_archive(pieces(other, 1000))) == []


@pytest.mark.parametrize("length", range(len(WHOLE)))
def test_one_that_was_cut_off_anywhere_is_refused(length):
    with pytest.raises(ArchiveError):
        read_archive(pieces(WHOLE[:length], 4096))


@pytest.mark.parametrize("seed", range(60))
def test_a_document_that_was_changed_is_refused(seed):
    chance = random.Random(seed)  # data of a test
    start = WHOLE.index(A[3])
    place = chance.randrange(start + 4, start + len(A[3]))
    spoiled = WHOLE[:place] + bytes([WHOLE[place] ^ chance.randrange(1, 256)]) + WHOLE[place + 1 :]
    with pytest.raises(ArchiveError, match=r"checksum of shop\.a is wrong"):
        read_archive(pieces(spoiled, 4096))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(b"PGDMP" + WHOLE, "no archive of mongodump", id="something else"),
        pytest.param(
            archive({"a": A})[:-4] + encode({"_id": 9}) + END, "goes on after its end", id="more after its end"
        ),
        pytest.param(WHOLE + block("c", B), "it does not describe shop.c", id="a collection from nowhere"),
        pytest.param(WHOLE + struct.pack("<i", 1 << 30), "a document of", id="a document that is too long"),
        pytest.param(
            WHOLE.replace(encode(HEADER), encode(HEADER) + archive({"a": A}, database="other")[4 + len(encode(HEADER)) :].partition(END)[0]),
            "it should hold one database",
            id="two databases",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line(data, words):
    with pytest.raises(ArchiveError, match=words) as raised:
        read_archive(pieces(data, 4096))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        pytest.param({"a": A}, ["b is missing"], id="a collection is missing"),
        pytest.param({"a": A, "b": B, "c": []}, ["c was not saved"], id="one more"),
        pytest.param({"a": A[:4], "b": B}, ["a has 4 documents instead of 5"], id="a document is missing"),
        pytest.param({"a": [*A[:4], A[3]], "b": B}, ["a has other documents than were saved"], id="one twice"),
    ],
)
def test_how_what_was_restored_differs_is_told(found, words):
    assert compare(read_archive(pieces(archive({"a": A, "b": B}))), read_archive(pieces(archive(found)))) == words


def test_an_index_that_was_lost_is_told_by_its_name():
    saved = read_archive(
        pieces(archive({"a": A}, indexes=[*INDEXES, {"name": "n_1", "key": {"n": 1}, "unique": True}]))
    )
    assert compare(saved, read_archive(pieces(archive({"a": A})))) == ["a has other indexes than were saved: n_1"]


def test_a_view_has_no_documents_and_a_time_series_has_them_under_another_name():
    view = encode({"db": "shop", "collection": "v", "metadata": "{}", "size": 0, "type": "view"})
    series = encode({"db": "shop", "collection": "t", "metadata": "{}", "size": 0, "type": "timeseries"})
    head = struct.pack("<I", MAGIC) + encode(HEADER) + view + series + END
    name = "system.buckets.t"
    found = read_archive(pieces(head + block(name, B) + ending(name, B)))["collections"]
    assert {key: (one["type"], one["documents"]) for key, one in found.items()} == {
        "v": ("view", 0),
        "t": ("timeseries", 1),
    }


TTL = [*INDEXES, {"name": "at_1", "key": {"at": 1}, "expireAfterSeconds": {"$numberInt": "3600"}}]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        pytest.param(A[:2], [], id="some have expired"),
        pytest.param([], [], id="all have expired"),
        pytest.param([*A, A[0]], ["a has 6 documents instead of 5"], id="more than were saved"),
        pytest.param([*A[:4], A[3]], ["a has other documents than were saved"], id="as many, and others"),
    ],
)
def test_of_what_expires_fewer_documents_are_whole_for_the_server_deletes_them_where_it_is_restored_too(found, words):
    saved = read_archive(pieces(archive({"a": A}, indexes=TTL)))
    assert compare(saved, read_archive(pieces(archive({"a": found}, indexes=TTL)))) == words
