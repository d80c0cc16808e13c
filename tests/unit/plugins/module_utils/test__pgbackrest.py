# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pgBackRest tells, and which moments can be recovered."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _pgbackrest as pgbackrest
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest import Lineage, PgBackRestError
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest_info import read_info

NOW = datetime(2026, 11, 21, 18, 0, tzinfo=timezone.utc)
BEGAN = int(datetime(2026, 11, 21, 17, 0, tzinfo=timezone.utc).timestamp())


def backup(
    label: str, stop: int, *, kind: str = "full", wal: str = "000000010000000000000003", **more: Any
) -> dict[str, Any]:
    return {
        "label": label,
        "type": kind,
        "timestamp": {"start": stop - 5, "stop": stop},
        "archive": {"start": wal, "stop": wal},
        "lsn": {"start": "0/3000028", "stop": "0/3000100"},
        "info": {"size": 30_570_832, "repository": {"delta": 3_782_160, "size": 3_782_160}},
        "database": {"id": 1},
        "error": False,
        **more,
    }


def info(*backups: dict[str, Any], code: int = 0, message: str = "ok", **more: Any) -> str:
    """Return what ``pgbackrest info --output=json`` of 2.45 prints."""
    return json.dumps(
        [
            {
                "name": "main",
                "archive": [
                    {
                        "database": {"id": 1},
                        "id": "15-1",
                        "min": "000000010000000000000001",
                        "max": "000000010000000000000009",
                    }
                ],
                "backup": list(backups),
                "cipher": "aes-256-cbc",
                "db": [{"id": 1, "system-id": 7710672273540566540, "version": "15"}],
                "repo": [{"status": {"code": code, "message": message}}],
                "status": {
                    "code": code,
                    "message": "ok" if code == 0 else "other",
                    "lock": {"backup": {"held": False}},
                },
                **more,
            }
        ]
    )


def stanza(*backups: dict[str, Any]) -> pgbackrest.Stanza:
    return read_info(info(*backups), "main")


def at(minute: int, second: int = 0) -> datetime:
    return datetime(2026, 11, 21, 17, minute, second, tzinfo=timezone.utc)


def test_a_stanza_is_read_as_it_is_told() -> None:
    found = stanza(backup("one", BEGAN))
    assert found.exists
    assert (found.system_identifier, found.archive_id, found.encrypted) == ("7710672273540566540", "15-1", True)
    assert found.backups[0].stopped_lsn == 0x3000100


def test_a_stanza_that_nobody_has_made_does_not_exist() -> None:
    assert not read_info("[]", "main").exists


@pytest.mark.parametrize(
    "said", ["[CryptoError] unable to decrypt", "key/value found outside of section: \x8e\ufffd\n\x07"]
)
def test_another_passphrase_is_named_and_none_of_the_noise_is_printed(said: str) -> None:
    found = read_info(info(code=99, message=said), "main")
    assert not found.exists
    assert "passphrase" in found.message
    assert found.message.isprintable()


def test_a_line_break_within_a_text_is_no_error() -> None:
    raw = info(code=99, message="one\\ntwo").replace("\\\\n", "\n")
    assert not read_info(raw, "main").exists


@pytest.mark.parametrize("text", ["", "[1]", '[{"name": "main"}]'])
def test_what_is_no_such_text_is_one_line(text: str) -> None:
    with pytest.raises(PgBackRestError, match="does not know"):
        read_info(text, "main")


def test_a_recovery_begins_with_the_newest_backup_that_was_complete() -> None:
    found = stanza(backup("one", BEGAN), backup("two", BEGAN + 600), backup("bad", BEGAN + 900, error=True))
    assert pgbackrest.choose(found, at(9), now=NOW).label == "one"
    assert pgbackrest.choose(found, at(10), now=NOW).label == "one"
    assert pgbackrest.choose(found, at(10, 1), now=NOW).label == "two"
    assert pgbackrest.choose(found, at(59), now=NOW).label == "two"


@pytest.mark.parametrize(
    ("target", "words"),
    [
        pytest.param(at(0), "the earliest moment is 2026-11-21T17:00:01Z", id="before the oldest"),
        pytest.param(datetime(2026, 11, 21, 18, 1, tzinfo=timezone.utc), "yet to come", id="in the future"),
    ],
)
def test_a_moment_that_cannot_be_recovered_is_refused(target: datetime, words: str) -> None:
    with pytest.raises(PgBackRestError, match=words):
        pgbackrest.choose(stanza(backup("one", BEGAN)), target, now=NOW)


def test_what_was_saved_of_another_history_is_left_out() -> None:
    found = stanza(backup("one", BEGAN), backup("two", BEGAN + 60, wal="000000020000000000000005"))
    assert pgbackrest.choose(found, at(30), now=NOW, lineage=Lineage(1, {})).label == "one"
    assert pgbackrest.choose(found, at(30), now=NOW, lineage=Lineage(2, {1: 0x4000000})).label == "two"
    with pytest.raises(PgBackRestError, match="no whole backup"):
        pgbackrest.choose(stanza(backup("one", BEGAN)), at(30), now=NOW, lineage=Lineage(3, {1: 0x3000000}))


def test_a_history_file_tells_where_the_timelines_parted() -> None:
    read = pgbackrest.read_history(
        3, "1\t0/40458D0\tbefore 2026-11-21 17:07:09\n\n2\t1/5000000\tno recovery target specified\n"
    )
    assert read == Lineage(3, {1: 0x40458D0, 2: 0x105000000})


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-21T17:05:00Z", at(5)),
        ("2026-11-21 18:05:00+01:00", at(5)),
        ("2026-11-21T17:05:00.250000Z", at(5).replace(microsecond=250000)),
    ],
)
def test_a_moment_is_read_with_its_time_zone(text: str, moment: datetime) -> None:
    assert pgbackrest.parse_target(text) == moment
    assert pgbackrest.parse_target(pgbackrest.iso(moment)) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-21 17:05:00", "17:05Z"])
def test_a_moment_that_could_be_another_one_is_refused(text: str) -> None:
    with pytest.raises(PgBackRestError, match="target_time is"):
        pgbackrest.parse_target(text)


def test_a_cluster_that_is_put_in_place_goes_on_by_itself() -> None:
    before = "restore_command = 'pgbackrest --pg1-path=/d/new --stanza=main archive-get %f \"%p\"'\nrecovery_target_action = 'pause'\n"
    after = pgbackrest.promoted(before, "/d/new")
    assert (
        after
        == "restore_command = 'pgbackrest --stanza=main archive-get %f \"%p\"'\nrecovery_target_action = 'promote'\n"
    )
    assert pgbackrest.promoted(after, "/d/new") == after
