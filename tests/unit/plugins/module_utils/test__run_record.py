# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the record of a run says, and how it grows."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change, make_check
from ansible_collections.runbook.ops.plugins.module_utils._run_record import (
    abandoned,
    closed,
    file_name,
    interrupted,
    opened,
    redact,
)

RUN: dict[str, Any] = {
    "id": "5f2b8c9d0e1a",
    "playbook": "weekly_maintenance",
    "started_at": "2026-11-23T04:00:00Z",
    "user": "ada",
    "controller": "laptop",
    "process": "boot/ns/1/2",
    "awx_job_id": None,
    "awx_user": None,
    "versions": {"collection": "0.1.0", "ansible": "2.19.14"},
}
NOTHING: dict[str, Any] = {"checks": [], "changes": [], "failure": None}
WARNING = make_check("disk:/", name="disk /", section="Resources", status="warning")
FINE = make_check("disk:/", name="disk /", section="Resources", status="ok")
VACUUM = make_change("db", action="vacuum", section="Database", reason="dead rows")
BROKEN = {"task": "change | Vacuum", "message": "no connection"}


def at(seconds: int) -> str:
    return f"2026-11-23T04:{seconds // 60:02}:{seconds % 60:02}Z"


def open_for(*hosts: str, record: dict[str, Any] | None = None, of: tuple[str, ...] = ("a", "b")) -> dict[str, Any]:
    for host in hosts:
        record = opened(record, RUN, system="owlivion", host=host, hosts=of, at=at(5))
    assert record is not None
    return record


def close(
    record: dict[str, Any], host: str, status: str = "ok", summary: Any = NOTHING, lost: Any = ()
) -> dict[str, Any]:
    return closed(record, host=host, status=status, summary=summary, lost=lost, at=at(72))


def statuses(record: dict[str, Any]) -> dict[str, str]:
    return {entry["host"]: entry["status"] for entry in record["hosts"]}


def test_names_of_files_sort_by_time() -> None:
    assert file_name(RUN) == "20261123T040000Z-weekly_maintenance-5f2b8c9d0e1a.json"


def test_an_open_record_waits_for_all_expected_hosts() -> None:
    record = open_for("a")
    assert record["status"] == "running"
    assert statuses(record) == {"a": "running", "b": "waiting"}
    assert (record["ended_at"], record["seconds"]) == (None, None)


def test_a_run_has_ended_when_all_expected_hosts_have() -> None:
    record = close(open_for("a", "b"), "a")
    assert record["status"] == "running"
    record = close(record, "b")
    assert (record["status"], record["ended_at"], record["seconds"]) == ("ok", at(72), 72.0)


def test_one_failed_host_makes_the_run_failed_whatever_the_others_say() -> None:
    record = close(open_for("a", "b"), "a", "failed", {**NOTHING, "failure": BROKEN})
    assert (record["status"], record["seconds"]) == ("failed", 72.0)
    assert record["failure"] == {"host": "a", **BROKEN}
    assert close(record, "b")["status"] == "failed"


def test_the_first_failure_that_has_a_reason_is_told() -> None:
    record = close(open_for("a", "b"), "a", "failed")
    assert record["failure"] is None
    record = close(record, "b", "failed", {**NOTHING, "failure": BROKEN})
    assert record["failure"] == {"host": "b", **BROKEN}


def test_lost_hosts_are_not_waited_for() -> None:
    record = close(open_for("a"), "a", lost=["b"])
    assert record["status"] == "failed"
    assert statuses(record) == {"a": "ok", "b": "failed"}
    assert record["failure"] == {"host": "b", "task": None, "message": "it failed early, or was unreachable"}


def test_the_failure_of_a_known_task_tells_more_than_a_lost_host() -> None:
    record = close(open_for("a", "c", of=("a", "b", "c")), "a", lost=["b"])
    assert close(record, "c", "failed", {**NOTHING, "failure": BROKEN})["failure"] == {"host": "c", **BROKEN}


def test_a_host_that_has_closed_is_not_lost() -> None:
    record = close(close(open_for("a", "b"), "b"), "a", lost=["b"])
    assert statuses(record) == {"a": "ok", "b": "ok"}


def test_a_further_play_of_the_run_opens_its_record_again_and_keeps_what_it_says() -> None:
    first = close(open_for("a", of=("a",)), "a", summary={**NOTHING, "changes": [VACUUM]})
    again = open_for("a", record=first, of=("a", "c"))
    assert (again["status"], again["ended_at"]) == ("running", None)
    assert statuses(again) == {"a": "running", "c": "waiting"}
    assert len(again["changes"]) == 1


def test_a_later_summary_of_a_host_replaces_its_earlier_one_and_no_other() -> None:
    record = close(open_for("a", "b"), "b", summary={**NOTHING, "checks": [WARNING]})
    record = close(record, "a", summary={**NOTHING, "checks": [WARNING], "changes": [VACUUM]})
    record = close(record, "a", summary={**NOTHING, "checks": [FINE], "changes": [VACUUM]})
    assert [(check["host"], check["status"]) for check in record["checks"]] == [("b", "warning"), ("a", "ok")]
    assert [change["host"] for change in record["changes"]] == ["a"]
    assert record["check_status"] == "warning"


def test_when_an_interrupted_run_ended_is_not_known() -> None:
    record = interrupted(close(open_for("a", "b"), "a"), reason="gone", by="x", at=at(99))
    assert (record["status"], record["ended_at"], record["seconds"]) == ("interrupted", None, None)
    assert statuses(record) == {"a": "ok", "b": "interrupted"}
    assert record["interruption"] == {"reason": "gone", "found_by": "x", "found_at": at(99)}


def test_a_run_that_was_only_believed_dead_corrects_its_record() -> None:
    record = interrupted(open_for("a", of=("a",)), reason="lease", by="x", at=at(9))
    assert close(record, "a")["status"] == "ok"
    assert close(record, "a")["interruption"] is None


OTHER = {"playbook": "backup", "started_at": "2026-11-23T03:00:00Z", "controller": "ci"}
ABANDONED = [
    pytest.param(OTHER, True, "its process on ci is gone", id="process gone"),
    pytest.param(OTHER, False, None, id="process alive"),
    pytest.param({**OTHER, "started_at": "2026-11-01T03:00:00Z"}, False, None, id="alive is alive, however old"),
    pytest.param({**OTHER, "playbook": RUN["playbook"]}, False, None, id="alive, same playbook"),
    pytest.param(OTHER, None, None, id="elsewhere, within its lease"),
    pytest.param(
        {**OTHER, "started_at": "2026-11-22T21:00:00Z"}, None, "it began more than 6 h ago on ci", id="lease over"
    ),
    pytest.param(
        {**OTHER, "playbook": RUN["playbook"]},
        None,
        "weekly_maintenance was started again from laptop",
        id="same playbook",
    ),
]


@pytest.mark.parametrize(("other", "gone", "reason"), ABANDONED)
def test_an_unfinished_run_is_given_up_only_for_a_reason(
    other: dict[str, Any], gone: bool | None, reason: str | None
) -> None:
    assert abandoned(other, RUN, gone=gone, lease_seconds=21600, at=at(0)) == reason


SECRETS = [
    ("the word is hunter2, twice hunter2", "the word is (hidden), twice (hidden)"),
    ("password=abc next", "password=(hidden) next"),
    ("PGPASSWORD='a b' psql", "PGPASSWORD=(hidden) psql"),
    ('{"api_key": "abc", "x": 1}', '{"api_key": (hidden), "x": 1}'),
    ("postgresql://ada:abc@db/x", "postgresql://ada:(hidden)@db/x"),
    ("Authorization: Bearer abcdefgh.ijkl", "Authorization: Bearer (hidden)"),
    ("https://owlivion.com:443/path", "https://owlivion.com:443/path"),
    ("3 tokens were read, a secret ballot", "3 tokens were read, a secret ballot"),
]


@pytest.mark.parametrize(("text", "expected"), SECRETS, ids=[text[:20] for text, _ in SECRETS])
def test_secrets_are_taken_out_of_texts(text: str, expected: str) -> None:
    assert redact({"a": [text, 1, None]}, ["hunter2", "a"]) == {"a": [expected, 1, None]}
