# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in a Redis dump, told in one pass without keeping any value. Private to this collection.

Every length is followed to the end and the checksum is taken on the way, so what comes out of here is whole. The keys that
never expire are counted, and their names summed up, per database: a server that has loaded the dump must have the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._rdb_reader import RdbError, Reader
from ansible_collections.runbook.ops.plugins.module_utils._rdb_values import MAY_VANISH, skip_module, skip_value

AUX, RESIZE, EXPIRES_MS, EXPIRES, SELECT, END = 250, 251, 252, 253, 254, 255
FUNCTION, MODULE_AUX, IDLE, FREQUENCY, SLOT = 245, 247, 248, 249, 244
FIRST_WITH_CHECKSUM = 5
NO_KEYS = {"keys": 0, "expiring": 0, "names": f"{0:016x}"}
TOLD = ("redis-ver", "ctime", "redis-bits", "valkey-ver")  # of what a dump says of itself


def read_rdb(pieces: Iterable[bytes]) -> dict[str, Any]:
    """Return what is in the dump, once all of it has been read.

    :raises RdbError: it is damaged, cut off, or of a kind that is not known here.
    """
    reader = Reader(iter(pieces))
    magic = reader.take(9)
    if magic[:5] != b"REDIS" or not magic[5:].isdigit():
        raise RdbError("this is no dump of Redis: it does not begin with REDIS and a version")
    about: dict[str, str] = {}
    databases: dict[str, dict[str, Any]] = {}
    functions = _entries(reader, about, databases)
    found = stated = 0
    if int(magic[5:]) >= FIRST_WITH_CHECKSUM:
        found, stated = reader.finish()
    else:
        reader.end()
    if stated and found != stated:
        raise RdbError(f"the checksum of the dump is {found:016x}, it says {stated:016x}: the dump is damaged")
    for database in databases.values():
        database["names"] = f"{database['names']:016x}"
    return {
        "rdb_version": int(magic[5:]),
        "server_version": about.get("valkey-ver") or about.get("redis-ver"),
        "checksum": f"{stated:016x}" if stated else None,  # none where rdbchecksum is off
        "databases": databases,
        "functions": functions,
        "size_bytes": reader.position,
    }


def _entries(reader: Reader, about: dict[str, str], databases: dict[str, dict[str, Any]]) -> int:
    """Read all entries up to the end, and return how many libraries of functions there are."""
    functions, expires, number = 0, False, b""
    database: dict[str, Any] = {}
    while True:
        kind = reader.byte()
        if kind < SLOT and number:
            name = reader.text()
            skip_value(reader, kind)
            database["keys"] += 1
            if expires or kind in MAY_VANISH:
                database["expiring"] += 1
            else:
                digest = int.from_bytes(blake2b(name, digest_size=8, key=number).digest(), "big")
                database["names"] = (database["names"] + digest) & 0xFFFFFFFFFFFFFFFF
            expires = False
        elif kind in (EXPIRES_MS, EXPIRES):
            reader.skip(8 if kind == EXPIRES_MS else 4)
            expires = True
        elif kind == SELECT:
            number = b"%d" % reader.length()
            database = databases.setdefault(number.decode(), {"keys": 0, "expiring": 0, "names": 0})
        elif kind == END:
            return functions
        elif kind == AUX:
            key, value = (reader.text().decode("utf-8", "replace") for _part in range(2))
            if key in TOLD:
                about[key] = value
        else:
            functions += kind == FUNCTION
            _skip_other(reader, kind)


def _skip_other(reader: Reader, kind: int) -> None:
    if kind == FUNCTION:
        reader.skip_text()
    elif kind == FREQUENCY:
        reader.skip(1)
    elif kind == MODULE_AUX:
        reader.length()
        skip_module(reader)
    elif kind in (IDLE, RESIZE, SLOT):
        for _part in range({IDLE: 1, RESIZE: 2, SLOT: 3}[kind]):
            reader.length()
    else:
        raise RdbError(
            f"entries of kind {kind} are not known here: this version of Redis is newer than this collection"
        )


def compare(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Return in words what a server that has loaded a dump has and should not have, or the other way round.

    Keys that expire may have gone; keys that do not are the same, by number and by the sum of their names.
    """
    differences = []
    for number in sorted({*expected["databases"], *found["databases"]}, key=int):
        wanted, there = (one["databases"].get(number, NO_KEYS) for one in (expected, found))
        kept, stay = wanted["keys"] - wanted["expiring"], there["keys"] - there["expiring"]
        if stay != kept:
            differences.append(f"database {number} has {stay} keys that do not expire instead of {kept}")
        elif there["names"] != wanted["names"]:
            differences.append(f"database {number} has {kept} keys that do not expire, but others than were saved")
        if there["expiring"] > wanted["expiring"]:
            differences.append(
                f"database {number} has {there['expiring']} keys that expire, only {wanted['expiring']} were saved"
            )
    if found["functions"] != expected["functions"]:
        differences.append(f"{found['functions']} libraries of functions instead of {expected['functions']}")
    return differences
