# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a script has backed up is read again, and what is damaged, cut off or told by nothing is known."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _backup_verify
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import SetError

NOW = datetime(2026, 11, 21, 8).astimezone()
DUMP = b"COPY public.users FROM stdin;\n" + b"row\n" * 5000 + b"\\.\n--\n-- PostgreSQL database dump complete\n--\n\n"


def look(directory: Path, pattern: str = "*", **options: Any) -> dict[str, Any]:
    return _backup_verify.run({"directory": str(directory), "pattern": pattern, **options}, now=NOW)


def folder(directory: Path, name: str = "20261121_020000", kind: Callable[[bytes], Any] = hashlib.sha256) -> Path:
    one = directory / name
    (one / "mongodb").mkdir(parents=True)
    sums = {}
    for path in ("redis.rdb", "mongodb/users.bson"):
        (one / path).write_bytes(path.encode() * 100)
        sums[path] = kind(path.encode() * 100).hexdigest()
    (one / "manifest.json").write_text(json.dumps({"checksums": sums}), encoding="utf-8")
    return one


@pytest.mark.parametrize("kind", [hashlib.sha256, hashlib.md5, hashlib.sha512])
def test_a_directory_holds_what_its_manifest_says(tmp_path: Path, kind: Callable[[bytes], Any]) -> None:
    folder(tmp_path, kind=kind)
    result = look(tmp_path, "20??????_??????", max_age="26h")
    assert result["problems"] == []
    assert result["backups"][0]["verified"]
    assert "by its checksums; 1 of 1" in result["checks"][0]["detail"]
    assert not result["changed"]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        pytest.param(lambda one: flip(one / "redis.rdb"), "redis.rdb is damaged", id="a flipped bit"),
        pytest.param(lambda one: (one / "redis.rdb").unlink(), "redis.rdb is missing", id="a lost file"),
        pytest.param(lambda one: (one / "mongodb/users.bson").write_bytes(b""), "users.bson is damaged", id="emptied"),
    ],
)
def test_what_is_damaged_in_a_directory_is_named_and_the_others_stand(
    tmp_path: Path, damage: Callable[[Path], None], words: str
) -> None:
    folder(tmp_path, "20261120_020000")
    damage(folder(tmp_path))
    result = look(tmp_path, "20??????_??????")
    assert [words in problem for problem in result["problems"]] == [True]
    assert [one["verified"] for one in result["backups"]] == [True, False]


def test_a_checksum_beside_a_file_is_held_against_it(tmp_path: Path) -> None:
    path = tmp_path / "backup-20261121.dump"
    path.write_bytes(b"PGDMP" * 100)
    (tmp_path / f"{path.name}.sha256").write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  x\n")
    assert look(tmp_path, "backup-*.dump")["backups"][0]["verified"]
    flip(path)
    assert "checksum is another" in look(tmp_path, "backup-*.dump")["problems"][1]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        pytest.param("backup_20261121.sql.gz", gzip.compress(DUMP), None, id="a whole compressed dump"),
        pytest.param("backup_20261121.sql", DUMP, None, id="a whole dump"),
        pytest.param("backup_20261121.sql.gz", gzip.compress(DUMP)[:-20], "cut off", id="compressed, cut off"),
        pytest.param("backup_20261121.sql.gz", gzip.compress(DUMP[:5000]), "cut off", id="cut off, then compressed"),
        pytest.param("backup_20261121.sql.gz", gzip.compress(b""), "cut off", id="the archive of a dump that failed"),
        pytest.param("backup_20261121.sql.gz", DUMP, "damaged", id="compressed in name only"),
        pytest.param("backup_20261121.sql", DUMP[:5000], "cut off", id="cut off"),
        pytest.param("backup_20261121.sql", b"", "empty", id="empty"),
    ],
)
def test_without_a_checksum_a_dump_must_be_whole(tmp_path: Path, name: str, content: bytes, words: str | None) -> None:
    (tmp_path / name).write_bytes(content)
    problems = look(tmp_path, "backup_*")["problems"]
    assert [words in problem for problem in problems][1:] == ([] if words is None else [True])
    assert len(problems) == (0 if words is None else 2)  # there is no whole one, and why


def test_where_nothing_tells_it_is_said_and_is_no_alarm(tmp_path: Path) -> None:
    (tmp_path / "backup_20261121.age").write_bytes(b"?")
    result = look(tmp_path)
    assert (result["problems"], result["checks"][0]["status"]) == ([], "warning")
    assert result["checks"][0]["detail"] == "none of 1 read is known to be whole"


def test_only_the_newest_are_read_and_one_from_the_future_counts_for_nothing(tmp_path: Path) -> None:
    for name in ("backup_20261119.sql", "backup_20261120.sql", "backup_20261121.sql", "backup_20301121.sql"):
        (tmp_path / name).write_bytes(DUMP)
    result = look(tmp_path, "backup_*.sql", newest=2, max_age="4h")
    assert [one["name"] for one in result["backups"]] == ["backup_20261120.sql", "backup_20261121.sql"]
    assert result["checks"][0]["status"] == "critical"  # eight hours old


def test_no_backup_and_no_directory_are_failures(tmp_path: Path) -> None:
    assert look(tmp_path)["problems"][0].endswith("there is none")
    with pytest.raises(SetError, match="No such file or directory"):
        look(tmp_path / "none")
