# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules of pgBackRest run what they say, and in check mode nothing."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest import Backup, PgBackRestError, Stanza
from ansible_collections.runbook.ops.plugins.modules import pgbackrest_backup, pgbackrest_info, pgbackrest_stanza

FULL = Backup("20261121-170658F", "full", 95, 100, "000000010000000000000003", 0, 30, 3, False)
NONE, EMPTY = Stanza("main", 1, "missing stanza path"), Stanza("main", 2, "no valid backups", system_identifier="7")
KEPT = Stanza("main", 0, "ok", (FULL,), system_identifier="7", archive_id="15-1")


class FakePgBackRest:
    """A repository that is ``before`` until the first command, and ``after`` from then on."""

    def __init__(self, before: Stanza, after: Stanza | None = None, server: dict[str, Any] | None = None) -> None:
        self.stanza, self.calls, self._before, self._after = "main", [], before, after or before
        self._server = server

    def __call__(self, command: str, *options: str, **_limits: float) -> str:
        self.calls.append((command, *options))
        return ""

    def info(self) -> Stanza:
        return self._after if self.calls else self._before

    def server(self) -> dict[str, Any] | None:
        return self._server

    def segments(self, _stanza: Stanza) -> list[Any]:
        return []


STANZA = {"verify": True, "archive_timeout_seconds": 60}
BACKUP = {"type": "diff", "unless_younger_than": None, "timeout_seconds": 10}


def test_a_stanza_is_made_once_and_checked_each_time() -> None:
    fake: Any = FakePgBackRest(NONE, EMPTY)
    assert pgbackrest_stanza.run(fake, STANZA, check_mode=False)["changed"]
    assert fake.calls == [("stanza-create",), ("check", "--archive-timeout=60")]
    again: Any = FakePgBackRest(EMPTY)
    assert not pgbackrest_stanza.run(again, STANZA, check_mode=False)["changed"]
    assert again.calls == [("check", "--archive-timeout=60")]


def test_the_stanza_of_another_cluster_is_refused() -> None:
    fake: Any = FakePgBackRest(KEPT, server={"system_identifier": "8"})
    with pytest.raises(PgBackRestError, match="another cluster"):
        pgbackrest_stanza.run(fake, STANZA, check_mode=False)
    assert fake.calls == []


def test_check_mode_looks_but_does_not_touch() -> None:
    stanza: Any = FakePgBackRest(NONE)
    assert pgbackrest_stanza.run(stanza, STANZA, check_mode=True)["stanza"]["exists"]
    backup: Any = FakePgBackRest(EMPTY)
    assert pgbackrest_backup.run(backup, BACKUP, check_mode=True)["changed"]
    assert stanza.calls == backup.calls == []


def test_a_backup_is_made_and_told() -> None:
    fake: Any = FakePgBackRest(EMPTY, KEPT)
    result = pgbackrest_backup.run(fake, BACKUP, check_mode=False)
    assert fake.calls == [("backup", "--type=diff")]
    assert result["backup"]["label"] == FULL.label
    assert result["changes"][0]["after"] == 3


def test_no_backup_without_a_stanza() -> None:
    fake: Any = FakePgBackRest(NONE)
    with pytest.raises(PgBackRestError, match="pgbackrest_stanza"):
        pgbackrest_backup.run(fake, BACKUP, check_mode=False)


@pytest.mark.parametrize(
    ("stanza", "kind", "younger", "due"),
    [
        pytest.param(KEPT, "diff", None, True, id="no limit"),
        pytest.param(KEPT, "diff", 60.0, False, id="young enough"),
        pytest.param(KEPT, "diff", 50.0, True, id="as old as the limit"),
        pytest.param(EMPTY, "diff", 60.0, True, id="none"),
        pytest.param(KEPT._replace(backups=(FULL._replace(kind="incr"),)), "full", 60.0, True, id="no full one"),
        pytest.param(KEPT._replace(backups=(FULL._replace(damaged=True),)), "diff", 60.0, True, id="a damaged one"),
    ],
)
def test_a_backup_is_due_where_none_is_young_enough(
    stanza: Stanza, kind: str, younger: float | None, due: bool
) -> None:
    assert pgbackrest_backup.is_due(stanza, kind, younger, now=150.0) is due


def test_what_can_be_recovered_is_told() -> None:
    fake: Any = FakePgBackRest(KEPT)
    told = pgbackrest_info.run(fake)
    assert told["earliest"] == "1970-01-01T00:01:41Z"
    assert told["gaps"] == ["000000010000000000000003"]
    assert not told["changed"]
