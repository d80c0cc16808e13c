# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file that node_exporter reads: it holds what the last run found, and nothing of the one before."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.modules import run_metrics
from ansible_collections.runbook.ops.plugins.modules.run_metrics import run

CHECK = {"id": "query:new users", "value": 7, "unit": "users", "status": "ok"}
UNKNOWN = {**CHECK, "value": None, "status": "unknown"}


@pytest.fixture
def tell(tmp_path):
    def call(*checks, check_mode=False):
        told = run(str(tmp_path), "shop", "user_metrics", list(checks), check_mode=check_mode)
        return told, {path.name: path.read_text() for path in tmp_path.iterdir()}

    return call


def test_a_run_without_numbers_leaves_no_number_of_the_one_before(tell):
    _told, files = tell(CHECK)
    assert "} 7.0" in files["runbook_ops_run_shop.user_metrics.prom"]
    told, files = tell(UNKNOWN)
    assert told["reason"] is None
    (text,) = files.values()
    assert "runbook_run_value{" not in text
    assert "runbook_run_timestamp_seconds{" in text


def test_a_playbook_that_never_has_a_number_has_no_file(tell):
    assert tell(UNKNOWN) == ({"changed": False, "path": None, "reason": "no check has a number"}, {})


def test_what_another_run_is_writing_is_not_written_into(tell, tmp_path):
    other = tmp_path / ".runbook_ops_run_shop.user_metrics.prom.partial"
    other.write_text("of the other run")
    told, files = tell(CHECK)
    assert told["reason"] is None
    assert files[other.name] == "of the other run"
    assert [name for name in files if name.endswith(".prom")] == [name for name in files if name != other.name]


def test_runs_of_several_processes_have_a_name_each_until_it_is_whole(tell, monkeypatch):
    names = []
    monkeypatch.setattr(run_metrics, "replace_file", lambda *_given, aside, **_more: names.append(aside))
    for pid in (7, 8):
        monkeypatch.setattr(run_metrics.os, "getpid", lambda pid=pid: pid)
        tell(CHECK)
    assert len(set(names)) == 2
    assert all(name.startswith(".") and name.endswith(".partial") for name in names)


def test_two_systems_of_a_host_have_a_file_each(tell, tmp_path):
    tell(CHECK)
    assert run(str(tmp_path), "other", "user_metrics", [CHECK], check_mode=False)["reason"] is None
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "runbook_ops_run_other.user_metrics.prom",
        "runbook_ops_run_shop.user_metrics.prom",
    ]


def test_check_mode_writes_nothing(tell):
    assert tell(CHECK, check_mode=True)[1] == {}


def test_what_no_file_can_hold_as_text_is_written_as_far_as_it_can_be(tell):
    told, files = tell({**CHECK, "id": "disk:/srv/\udcff"})
    assert told["reason"] is None
    assert 'id="disk:/srv/?"' in str(files)


def test_a_directory_that_is_missing_or_is_none_is_a_reason_and_no_failure(tmp_path):
    (tmp_path / "file").touch()
    for name in ("missing", "file"):
        told = run(str(tmp_path / name), "shop", "user_metrics", [CHECK], check_mode=False)
        assert told["path"] is None
        assert str(tmp_path / name) in told["reason"]
