# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import io
import os
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._account import (
    AccountError,
    account_of,
    acting_as,
    end_marked,
    run,
)

ME = account_of(None)
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may act as another account")


def program(*lines: str, **more):
    return run(ME, [sys.executable, "-c", "\n".join(lines)], cwd="/", environment={}, **{"seconds": 20.0, **more})


def test_a_program_says_how_it_ended_and_what_it_printed_to_both():
    log = io.BytesIO()
    ended = program("import sys", "print('out', flush=True)", "print('err', file=sys.stderr)", "sys.exit(3)", log=log)
    assert ended.code == 3 and ended.output.splitlines() == ["out", "err"] == log.getvalue().decode().splitlines()


def test_its_time_is_limited_and_nothing_that_it_started_is_left():
    began = time.monotonic()
    ended = program(
        "import subprocess, time",
        "child = subprocess.Popen(['sleep', '60'], start_new_session=True)",
        "print(child.pid, flush=True)",
        "time.sleep(60)",
        seconds=2.0,
    )
    assert ended.code is None and time.monotonic() - began < 30
    assert not _alive(int(ended.output))


def test_what_it_leaves_behind_does_not_hold_it_up():
    ended = program(
        "import subprocess", "print(subprocess.Popen(['sleep', '60'], start_new_session=True).pid)", seconds=50.0
    )
    assert ended.code == 0 and not _alive(int(ended.output))


def _alive(pid: int) -> bool:
    """Return whether a process runs; one that was killed may not be gone from the table yet."""
    for _try in range(200):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX":
                return False
        except OSError:
            return False
        time.sleep(0.01)
    return True


def test_only_the_end_of_what_it_prints_is_kept_unless_all_is_asked_for():
    assert len(program("print('x' * 100_000)").output) == 20_000
    assert len(program("print('x' * 100_000)", most=None).output) == 100_001


def test_its_environment_is_what_it_is_given_and_no_more():
    ended = run(ME, ["env"], cwd="/", environment={"A": "b"}, seconds=20)
    names = {line.partition("=")[0] for line in ended.output.splitlines()}
    assert names == {"A", "PATH", "HOME", "LANG", "RUNBOOK_OPS_WORK"}


def test_a_program_that_is_not_installed_is_one_line():
    with pytest.raises(AccountError, match="no-such-program is not installed"):
        run(ME, ["no-such-program"], cwd="/", environment={}, seconds=1)


def test_an_account_that_is_not_there_is_one_line():
    with pytest.raises(AccountError, match="there is no account nobody-at-all"):
        account_of("nobody-at-all")


@AS_ROOT
def test_a_program_and_a_function_are_run_by_the_account(tmp_path):
    other = account_of("nobody")
    assert run(other, ["id", "-un"], cwd="/", environment={}, seconds=20).output.strip() == "nobody"
    assert acting_as(other, os.getuid) == other.uid
    tmp_path.chmod(0o700)
    with pytest.raises(AccountError, match="Permission denied"):
        acting_as(other, lambda: (tmp_path / "x").write_text("x"))


def _fail():
    raise ValueError("no good")


@pytest.mark.parametrize(
    ("function", "words"),
    [(_fail, "no good"), (lambda: os._exit(1), "was killed"), (lambda: open("/no/such"), "/no/such: No such file")],  # noqa: SIM115, PTH123
    ids=["it fails", "it is killed", "a file is missing"],
)
def test_what_a_function_fails_with_is_told(function, words):
    with pytest.raises(AccountError, match=words):
        acting_as(ME, function)


def test_nobody_is_ended_who_has_another_mark():
    assert end_marked("no such mark") == []
