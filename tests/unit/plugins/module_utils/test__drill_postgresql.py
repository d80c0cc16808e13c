# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _drill_postgresql as drill
from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError


class FakeTarget:
    """Answers every question with the same lines, or refuses it."""

    inside, local = False, True

    def __init__(self, *answers: list[str] | str) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def sql(self, _database: str, sql: str, **_limits: Any) -> list[str]:
        self.asked.append(sql)
        answer = self.answers.pop(0)
        if isinstance(answer, str):
            raise PgError(answer)
        return answer


@pytest.mark.parametrize(
    ("answer", "number", "problem"),
    [
        pytest.param(["990"], 990.0, None, id="a number above zero"),
        pytest.param(["0.5"], 0.5, None, id="a small one"),
        pytest.param(["0"], 0.0, "gives 0, and must be above 0", id="zero"),
        pytest.param(["-1"], -1.0, "gives -1, and must be above 0", id="below zero"),
        pytest.param([], None, "must give one number, and gave 0 lines", id="nothing"),
        pytest.param(["1", "2"], None, "must give one number, and gave 2 lines", id="two lines"),
        pytest.param(["shop"], None, "must give one number", id="a word"),
        pytest.param("no such table", None, "fails: no such table", id="an error"),
    ],
)
def test_a_canary_must_give_one_number_above_zero(answer: Any, number: float | None, problem: str | None) -> None:
    target: Any = FakeTarget(answer)
    told = drill.ask_canary(target, "scratch", " SELECT count(*) FROM users; ")
    assert told[0] == number
    assert (told[1] is None) if problem is None else problem in str(told[1])
    assert target.asked == ["RESET search_path;\nBEGIN READ ONLY;\nSELECT count(*) FROM users;\nROLLBACK;\n"]


def test_tables_that_must_be_there_are_looked_for_in_public_without_a_schema() -> None:
    content = {"tables": {"public.users": 1, "sales.orders": 1}}
    assert drill.missing_tables(content, ["users", "public.users", "sales.orders"]) == []
    capitals = {"tables": {'public."User"': 1}}
    assert drill.missing_tables(capitals, ["User", "public.User", 'public."User"']) == []
    assert drill.missing_tables(capitals, ["user"]) != []
    assert drill.missing_tables(content, ["orders"]) == ["table orders must be in every backup, and is not in this one"]


@pytest.mark.parametrize(
    ("answers", "most", "sound", "said"),
    [
        pytest.param([], 0, None, "not asked for", id="not asked for"),
        pytest.param([["f"]], 1, None, "amcheck is not installed", id="not to be had"),
        pytest.param([["t"], ["17"]], 1, True, None, id="sound"),
        pytest.param([["t"], "heap tuple lacks"], 1, False, "damaged index: heap tuple lacks", id="damaged"),
    ],
)
def test_indexes_are_compared_with_their_tables_where_that_can_be_done(
    answers: list[Any], most: int, sound: bool | None, said: str | None
) -> None:
    target: Any = FakeTarget(*answers)
    told = drill.check_indexes(target, "scratch", most)
    assert told[0] is sound
    assert (told[1] is None) if said is None else said in str(told[1])


class Disk:
    f_frsize = 4096

    def __init__(self, free: int, total: int) -> None:
        self.f_bavail, self.f_blocks = free // 4096, total // 4096


@pytest.mark.parametrize(("free", "refused"), [(200_000_000, False), (160_000_000, True), (1_000, True)])
def test_a_test_that_would_fill_the_server_s_disk_is_refused(
    monkeypatch: pytest.MonkeyPatch, free: int, refused: bool
) -> None:
    monkeypatch.setattr(drill.os, "statvfs", lambda _path: Disk(free, 1_000_000_000))
    target: Any = FakeTarget(["/var/lib/postgresql"])
    if refused:
        with pytest.raises(PgError, match="test restore needs 120 MB, and the server's disk has"):
            drill.check_room(target, {"size_bytes": 100_000_000})
    else:
        drill.check_room(target, {"size_bytes": 100_000_000})
