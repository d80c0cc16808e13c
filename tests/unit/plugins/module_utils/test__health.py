# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Probes run at once, each within its time, and none takes the others down."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._health import check_health, verdict
from ansible_collections.runbook.ops.plugins.module_utils._probe_index import PROBES
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError

COLLECTIONS = Path(__file__).resolve().parents[4] / "collections"


def probe(measure, options=None):
    def judge(measured, options):
        return [make_check(f"fake:{options['name']}", name=options["name"], section=options["section"], **measured)]

    return SimpleNamespace(OPTIONS=options or {}, SECTION="Fakes", measure=measure, judge=judge)


def fails(error):
    def measure(_options):
        raise error

    return measure


MEETING = threading.Barrier(10)  # who comes here goes on once all are here

FAKES = {
    "good": lambda: probe(lambda _options: {"status": "ok"}),
    "bad": lambda: probe(lambda _options: {"status": "critical", "detail": "on fire"}),
    "slow": lambda: probe(lambda _options: time.sleep(60)),
    "met": lambda: probe(lambda _options: {"status": "ok", "value": MEETING.wait(20)}),
    "blind": lambda: probe(fails(ProbeError("there is no eye", "open one"))),
    "denied": lambda: probe(fails(PermissionError(13, "Permission denied", "/secret"))),
    "broken": lambda: probe(fails(ZeroDivisionError("division by zero"))),
    "quiet": lambda: probe(
        lambda options: {"status": "ok", "value": len(options["word"])}, {"word": Option("secret", "")}
    ),
}


def ask(*specs, **more):
    return check_health([{"probe": spec} if isinstance(spec, str) else spec for spec in specs], probes=FAKES, **more)


def test_one_probe_that_fails_takes_no_other_down():
    result = ask("blind", "good", "broken", "denied")
    assert [check["status"] for check in result["checks"]] == ["unknown", "ok", "unknown", "unknown"]
    blind, _good, broken, denied = result["checks"]
    assert (blind["detail"], blind["remedy"]) == ("there is no eye", "open one")
    assert "ZeroDivisionError: division by zero" in broken["detail"]
    assert denied["detail"] == "/secret: Permission denied"


def test_a_probe_that_hangs_is_unknown_after_its_own_time():
    result = ask({"probe": "slow", "name": "mount", "timeout_seconds": 0.1}, "good")
    assert result["checks"][0]["id"] == "slow:mount"
    assert "no answer within" in result["checks"][0]["detail"]
    assert result["checks"][1]["status"] == "ok"
    assert result["seconds"] < 30


def test_all_of_it_is_bounded():
    assert ask(*["slow"] * 5, timeout_seconds=0.2)["seconds"] < 30


def test_probes_run_side_by_side():
    before = set(threading.enumerate())
    checks = ask(*[{"probe": "met", "timeout_seconds": 20}] * 10, timeout_seconds=30)["checks"]
    assert sorted(check["value"] for check in checks) == list(range(10))
    for thread in set(threading.enumerate()) - before:
        thread.join(60)
    assert set(threading.enumerate()) <= before


def test_checks_stand_in_the_order_asked_for_and_ids_differ():
    result = ask({"probe": "bad", "name": "a"}, {"probe": "good", "name": "b"}, {"probe": "bad", "name": "a"})
    assert [check["id"] for check in result["checks"]] == ["fake:a", "fake:b", "fake:a#2"]


def test_the_result_counts_and_names_the_worst():
    result = ask({"probe": "bad", "name": "a"}, {"probe": "good", "name": "b"}, "blind")
    assert result["status"] == "critical"
    assert result["summary"] == {"ok": 1, "unknown": 1, "warning": 0, "critical": 1}
    assert result["msg"] == "1 critical, 1 unknown, 1 ok; critical: a (on fire)"


def test_a_long_verdict_names_three_and_counts_the_rest():
    checks = [make_check(f"x:{n}", name=f"x{n}", section="S", status="warning", detail="d") for n in range(5)]
    assert verdict(checks, {"ok": 0, "warning": 5}).endswith("x0 (d), x1 (d), x2 (d) and 2 more")


def test_no_probe_at_all_says_so():
    assert ask()["msg"] == "nothing was checked: no probe was asked for"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        pytest.param(
            {"probe": "goood"}, ["probes[0]", "'goood'", "did you mean 'good'?", "allowed are bad"], id="probe"
        ),
        pytest.param({}, ["probes[0]", "probe is missing"], id="no probe"),
        pytest.param(
            {"probe": "quiet", "wrd": 1}, ["probes[0] (quiet)", "did you mean 'word'?", "allowed"], id="option"
        ),
        pytest.param({"probe": "quiet", "word": "x"}, ["word names 'x'", "not among the secrets"], id="secret"),
    ],
)
def test_what_is_not_known_is_refused_before_anything_is_looked_at(spec, words):
    with pytest.raises(ValueError, match="probes") as refused:
        ask(spec)
    assert all(word in str(refused.value) for word in words)
    assert "\n" not in str(refused.value)


def test_a_secret_is_passed_by_name_and_stands_in_no_check():
    result = ask({"probe": "quiet", "word": "db"}, secrets={"db": "hunter2"})
    assert result["checks"][0]["value"] == len("hunter2")
    assert "hunter2" not in json.dumps(result)


@pytest.mark.parametrize("name", PROBES)
def test_every_probe_can_be_loaded_and_says_what_it_can_be_told(name):
    module = PROBES[name]()
    assert module.SECTION
    assert module.measure.__doc__
    for option in module.OPTIONS.values():
        assert isinstance(option, Option)
        assert option.text


def test_the_engine_runs_without_ansible():
    question = {"probes": [{"probe": "memory"}, {"probe": "load"}]}
    done = subprocess.run(
        [sys.executable, "-S", "-m", "ansible_collections.runbook.ops.plugins.module_utils._health"],
        input=json.dumps(question),
        env={"PYTHONPATH": str(COLLECTIONS)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [check["id"] for check in json.loads(done.stdout)["checks"]] == ["memory", "load"]


def test_the_engine_refuses_what_it_does_not_understand_in_one_line():
    done = subprocess.run(
        [sys.executable, "-S", "-m", "ansible_collections.runbook.ops.plugins.module_utils._health"],
        input='{"probes": [{"probe": "memroy"}]}',
        env={"PYTHONPATH": str(COLLECTIONS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "did you mean 'memory'?" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_expression_that_never_ends_ends_the_process_and_the_probe_is_named(tmp_path):
    """No thread gets on meanwhile, neither that which collects: the morning check had hung for ever, at full load."""
    log = tmp_path / "app.log"
    log.write_text(f"{'a' * 60}!\n")
    trap = {"probe": "log_errors", "path": str(log), "patterns": ["(a+)+$"], "since_seconds": 60}
    program = (
        "import sys; from ansible_collections.runbook.ops.plugins.module_utils import _health as health\n"
        f"health.LAST_RESORT_SECONDS = 0.5; health.check_health({[trap]!r}, timeout_seconds=0.5)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(COLLECTIONS)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "log_errors.py" in done.stderr


def test_what_follows_from_another_says_so_and_is_counted_but_not_named():
    result = ask(
        {"probe": "bad", "name": "database", "about": "database"},
        {"probe": "bad", "name": "site", "about": {"s*": "site"}, "needs": {"site": ["database"]}},
    )
    assert [check["because"] for check in result["checks"]] == [None, "fake:database"]
    assert result["msg"] == "2 critical; critical: database (on fire), from which 1 more follow"


def test_a_thing_of_others_is_never_worse_than_a_warning_where_that_is_asked_for():
    assert ask({"probe": "bad", "name": "stripe", "worst": "warning"})["status"] == "warning"
