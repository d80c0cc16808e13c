# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every program of a pipe must end well, what failed first is named, and nothing goes on without us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import (
    PipelineError,
    Stage,
    run_pipeline,
    said,
)

CAT = Stage(["cat"])


def shell(script, **options):
    return Stage(["sh", "-c", script], name=options.pop("name", "it"), **options)


def test_what_one_prints_is_what_the_next_one_reads():
    done = run_pipeline([Stage(["printf", "a b"]), Stage(["tr", "a", "x"])])
    assert (done.out, done.text, done.size) == (b"x b", "x b", 3)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        pytest.param(
            [shell("echo part; echo broken >&2; exit 3", name="dump"), Stage(["gzip"])],
            "dump failed (3): broken",
            id="the first fails and the compressor makes a fine file of what it got",
        ),
        pytest.param(
            [Stage(["yes"]), shell("head -c 10 >/dev/null; echo refused >&2; exit 4", name="restore")],
            "restore failed (4): refused",
            id="the last fails and the first loses its reader",
        ),
        pytest.param(
            [shell("echo cut off >&2; exit 1", name="unzip"), shell("cat; echo short >&2; exit 2", name="restore")],
            "unzip failed (1): cut off",
            id="the first fails and the last follows",
        ),
        pytest.param([Stage(["yes"]), Stage(["true"])], "yes was killed by signal 13", id="a reader stops early"),
        pytest.param([shell("kill -9 $$")], "it was killed by signal 9", id="one is killed"),
        pytest.param([shell("exit 7")], "it failed (7): it said nothing", id="one says nothing"),
    ],
)
def test_one_that_fails_fails_all_and_is_named(stages, message):
    with pytest.raises(PipelineError) as raised:
        run_pipeline(stages)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    "stage",
    [
        pytest.param(Stage(["no-such-program"]), id="not installed"),
        pytest.param(Stage(["/etc/passwd"]), id="no program"),
        pytest.param(Stage(["true"], user="no-such-account"), id="no such account"),
    ],
)
def test_what_cannot_be_started_is_one_line(stage):
    if stage.user and os.geteuid() != 0:
        pytest.skip("only root becomes another account")
    with pytest.raises(PipelineError) as raised:
        run_pipeline([CAT, stage])
    assert "\n" not in str(raised.value)


def test_a_code_that_is_expected_is_none_that_fails():
    assert run_pipeline([shell("exit 1", accept=(0, 1))]).out == b""


def test_bytes_pieces_and_files_are_read(tmp_path):
    (tmp_path / "file").write_bytes(b"file")
    sources = [b"bytes", (piece for piece in (b"pie", b"ces")), tmp_path / "file", None]
    assert [run_pipeline([CAT], source=source).out for source in sources] == [b"bytes", b"pieces", b"file", b""]


def test_a_source_that_breaks_is_no_end_of_the_data():
    def broken():
        yield b"half of it"
        raise ValueError("the other half is gone")

    seen = []
    with pytest.raises(ValueError, match="the other half is gone"):
        run_pipeline([shell("cat >/dev/null && echo all of it")], source=broken(), sink=seen.append)
    assert seen == []


def test_a_sink_that_is_full_ends_all():
    def full(_data):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        run_pipeline([Stage(["yes"]), CAT], sink=full)


def test_more_output_than_allowed_is_refused():
    with pytest.raises(PipelineError, match="yes printed more than 1000 bytes"):
        run_pipeline([Stage(["yes"])], output_limit=1000)


def test_what_takes_too_long_is_ended_with_its_children():
    began = time.monotonic()
    with pytest.raises(PipelineError, match=r"it did not end within 0\.3 s"):
        run_pipeline([shell("sleep 60 & sleep 60; true")], timeout_seconds=0.3)
    assert time.monotonic() - began < 30


def test_nothing_goes_on_when_we_are_killed(tmp_path):
    script = tmp_path / "us.py"
    script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(Path(__file__).resolve().parents[4] / 'collections')!r})\n"
        "from ansible_collections.runbook.ops.plugins.module_utils._pipeline import Stage, run_pipeline\n"
        f"run_pipeline([Stage(['sh', '-c', 'echo $$ >{tmp_path}/pid; exec sleep 60']), Stage(['cat'])])\n"
    )
    us = subprocess.Popen([sys.executable, str(script)])
    pid = tmp_path / "pid"
    deadline = time.monotonic() + 60
    while not (pid.exists() and pid.read_text().strip()) and time.monotonic() < deadline:
        time.sleep(0.02)
    child = pid.read_text().strip()
    assert Path("/proc", child).exists()

    us.send_signal(signal.SIGKILL)
    us.wait()

    deadline = time.monotonic() + 60
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_running(child)


def is_running(pid):
    try:
        return Path("/proc", pid, "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_environment_holds_only_what_is_given():
    os.environ["RUNBOOK_TEST_SECRET"] = "s"
    try:
        said_by_it = run_pipeline([Stage(["env"], {"GIVEN": "1"})]).text
    finally:
        del os.environ["RUNBOOK_TEST_SECRET"]
    assert "GIVEN=1" in said_by_it
    assert "RUNBOOK_TEST_SECRET" not in said_by_it


def test_a_polite_last_line_says_nothing():
    assert (
        said("age: error: no identity\nage: report unexpected or unhelpful errors at https://x\n")
        == "age: error: no identity"
    )
