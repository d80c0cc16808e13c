# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a host is whole, private, and there even when the host could not be looked at."""

from __future__ import annotations

import gc
import json

import pytest
from ansible_collections.runbook.ops.plugins.action.health import no_cycle_collector, write_report

RESULT = {
    "status": "ok",
    "summary": {"ok": 1},
    "msg": "1 ok",
    "seconds": 0.1,
    "checks": [{"id": "a"}],
    "invocation": {"x": 1},
}


def test_the_report_holds_the_result_and_the_host_and_nothing_of_the_invocation(tmp_path):
    path = tmp_path / "web-1.json"
    write_report(path, "web-1", RESULT)
    assert json.loads(path.read_text()) == {
        "host": "web-1",
        "status": "ok",
        "summary": {"ok": 1},
        "msg": "1 ok",
        "seconds": 0.1,
        "checks": [{"id": "a"}],
    }
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["web-1.json"]


def test_a_host_that_could_not_be_looked_at_has_a_report_too(tmp_path):
    write_report(tmp_path / "r.json", "web-1", {"failed": True, "msg": "no python"})
    assert json.loads((tmp_path / "r.json").read_text())["msg"] == "no python"


def test_an_older_report_is_replaced(tmp_path):
    path = tmp_path / "r.json"
    path.write_text("old")
    write_report(path, "web-1", RESULT)
    assert json.loads(path.read_text())["status"] == "ok"


def test_a_directory_that_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_report(tmp_path / "none" / "r.json", "web-1", RESULT)


def test_the_cycle_collector_rests_while_a_module_is_packed_and_works_again_whatever_happens():
    with pytest.raises(RuntimeError), no_cycle_collector():
        assert not gc.isenabled()
        raise RuntimeError
    assert gc.isenabled()


def test_who_had_no_cycle_collector_does_not_get_one():
    gc.disable()
    try:
        with no_cycle_collector():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
