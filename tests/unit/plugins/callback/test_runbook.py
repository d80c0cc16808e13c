# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person sees: a play with everything that can happen, run by the real ansible-playbook."""

from __future__ import annotations

import fcntl
import os
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[3]
ANSIBLE = Path(sys.executable).with_name("ansible-playbook")
BROKEN = """
from ansible_collections.runbook.ops.plugins.callback import runbook
DOCUMENTATION = runbook.DOCUMENTATION.replace("name: runbook", "name: broken")
class CallbackModule(runbook.CallbackModule):
    CALLBACK_NAME = "broken"
    def _print_step(self, *args, **kwargs):
        raise RuntimeError("boom")
"""


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "LC_ALL")}
    return {
        **kept,
        "LC_ALL": kept.get("LC_ALL", "C.UTF-8"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
        "ANSIBLE_STDOUT_CALLBACK": "runbook.ops.runbook",
        "ANSIBLE_LOCAL_TEMP": str(tmp_path / "local"),
        "ANSIBLE_REMOTE_TEMP": str(tmp_path / "remote"),
        "ANSIBLE_PIPELINING": "1",
        "RUNBOOK_CONSOLE_HEARTBEAT_SECONDS": "1",
        **more,
    }


def command(tmp_path: Path, *arguments: str, hosts: str = "web-1,") -> list[str]:
    return [str(ANSIBLE), "-i", hosts, "-e", f"sample_directory={tmp_path}", str(HERE / "sample.yml"), *arguments]


def play(tmp_path: Path, *arguments: str, hosts: str = "web-1,", code: int = 0, **env: str) -> str:
    (tmp_path / "web-1.txt").write_text("a\n", encoding="utf-8")
    done = subprocess.run(
        command(tmp_path, *arguments, hosts=hosts),
        env=environment(tmp_path, **env),
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    # What Ansible or we would say to people who maintain this: nothing.
    assert "DEPRECATION" not in done.stderr
    assert "Callback dispatch" not in done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> str:
    return play(
        tmp_path_factory.mktemp("plain"), "--diff", "-e", '{"sample_fails": true, "sample_seconds": 2.4}', code=2
    )


def test_without_a_terminal_there_is_no_control_character(plain: str) -> None:
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", plain)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(r"^Weekly maintenance  web-1$", id="the play and its host"),
        pytest.param(
            r"^    change      ● Vacuum what needs it +1 change +\d\.\d s$", id="a change, its phase and its seconds"
        ),
        pytest.param(r"^    preflight   ✓ Look at the host +1 warning, 1 ok +\d\.\d s$", id="what a step observed"),
        pytest.param(r"^ +This is what it says\.$", id="what a step says, without its escape codes"),
        pytest.param(r"^ +● Change some of these +1 of 2 items  changed +\d\.\d s$", id="a loop"),
        pytest.param(r"^ +● vim$", id="the item that changed"),
        pytest.param(r"^ +✗ Fail for one of these +item vim  failed, ignored", id="the item that failed"),
        pytest.param(r"^ +cannot have vim$", id="why it failed"),
        pytest.param(
            r"^ +· Try three times: attempt 2 of 3 failed · non-zero|^ +· .*attempt 2 of 3 failed", id="a retry"
        ),
        pytest.param(r"^ +✗ Try three times +after 3 attempts  failed, ignored", id="the last of several attempts"),
        pytest.param(r"^ +exit code: 3$", id="the exit code"),
        pytest.param(r"^ +stderr: err$", id="what it said on stderr"),
        pytest.param(r"^ +stdout: out$", id="what it said on stdout"),
        pytest.param(r"^ +✗ Break something +failed, a rescue follows", id="a failure that is rescued"),
        pytest.param(r"^ +● Write a file +changed", id="a file"),
        pytest.param(r"^ +\+b$", id="the diff of the file"),
        pytest.param(r"^ +● Ask another host +-> other-1  changed", id="a step on another host"),
        pytest.param(
            r"^ +✗ Ask nobody +failed, ignored", id="a step on a host that nobody knows, without its template"
        ),
        pytest.param(r"^ +Origin: sample\.yml:\d+:14$", id="where an undefined variable stands"),
        pytest.param(r"^ +… Take a while: still running after [12] s$", id="a step that takes long"),
        pytest.param(r"^ +✗ Stop in the end +failed", id="the failure that ends the play"),
        pytest.param(r"^ +The oldest transaction is 7204 s old, allowed are 3600 s\.$", id="its message"),
        pytest.param(r"^ +at sample\.yml:\d+$", id="its place"),
        pytest.param(r"^    · 1 assertion held, 1 skipped$", id="what had nothing to say"),
        pytest.param(
            r"^    ! warning  Disk /  86\.2 %  limit 80 % · 34 GB of 40 GB used$", id="a check that is not ok"
        ),
        pytest.param(r"^ +→ Free some space\.$", id="its remedy"),
        pytest.param(r"^    ● users  vacuumed  310 MB → 190 MB  4\.2 s  31 % dead rows$", id="a change"),
        pytest.param(
            r"^  ✗ web-1  FAILED  \d+\.\d s · checks: 1 warning, 1 ok · 1 change · \d+ steps \(1 failed",
            id="the verdict",
        ),
    ],
)
def test_it_shows(plain: str, line: str) -> None:
    assert re.search(line, plain, re.MULTILINE), plain


def test_what_is_not_ok_stands_above_what_is(plain: str) -> None:
    assert plain.index("! warning  Disk /") < plain.index("✓ ok       Memory")


def test_what_was_predicted_in_a_run_is_none_of_its_changes(plain: str) -> None:
    assert re.search(r"✓ Predict what will be done +1 predicted change", plain), plain
    assert "an estimate" not in plain


def test_a_secret_stays_secret(plain: str) -> None:
    assert "hunter2" not in plain
    assert "the output has been hidden" in plain


def test_check_mode_speaks_of_predictions(tmp_path: Path) -> None:
    shown = play(tmp_path, "--check")
    assert "Weekly maintenance  web-1 · check mode: nothing is changed" in shown
    assert re.search(r"○ Write a file +would change", shown)
    assert re.search(r"^  Predicted changes\n    ○ users  vacuumed", shown, re.MULTILINE)
    assert "The same command without --check acts." in shown
    assert not re.search(r"^ +\+b$", shown, re.MULTILINE)


def test_with_several_hosts_each_line_names_its_host(tmp_path: Path) -> None:
    shown = play(tmp_path, hosts="web-1,web-2,")
    assert re.search(r"✓ Take a while +web-\d, web-\d", shown), shown
    assert re.search(r"● Write a file +web-2  changed", shown)
    assert re.search(r"^  ! web-2  WARNING  ", shown, re.MULTILINE)
    assert re.search(r"^  2 hosts in ", shown, re.MULTILINE)


def test_the_free_strategy_is_shown_line_by_line(tmp_path: Path) -> None:
    shown = play(tmp_path, hosts="web-1,web-2,", ANSIBLE_STRATEGY="free")
    assert re.search(r"✓ Take a while +web-2", shown), shown
    assert "The console of runbook.ops failed" not in shown


def test_verbose_is_ansibles_own_output_and_the_tables(tmp_path: Path) -> None:
    shown = play(tmp_path, "-v")
    assert "TASK [Write a file]" in shown
    assert "PLAY RECAP" in shown
    assert "! warning  Disk /" in shown


def test_an_error_in_the_console_does_not_end_the_run(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(BROKEN, encoding="utf-8")
    shown = play(tmp_path, ANSIBLE_CALLBACK_PLUGINS=str(tmp_path), ANSIBLE_STDOUT_CALLBACK="broken")
    said = " ".join(shown.split())
    assert "The console of runbook.ops failed: RuntimeError: boom" in said
    assert "TASK [Write a file]" in shown
    assert "! warning  Disk /" in shown
    assert "PLAY RECAP" in shown


def on_a_terminal(tmp_path: Path, *arguments: str, **env: str) -> str:
    """Return everything that the run writes to a terminal of 80 columns."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    with subprocess.Popen(
        command(tmp_path, *arguments),
        env=environment(tmp_path, TERM="xterm-256color", **env),
        cwd=HERE,
        stdout=slave,
        stderr=slave,
        stdin=slave,
    ) as process:
        os.close(slave)
        written = b""
        while True:
            try:
                part = os.read(master, 65536)
            except OSError:  # the other end is closed: how Linux ends a pseudo-terminal
                break
            written += part
        os.close(master)
    assert process.returncode == 0, written.decode()
    return written.decode()


@pytest.fixture(scope="module")
def screen(tmp_path_factory: pytest.TempPathFactory) -> str:
    return on_a_terminal(tmp_path_factory.mktemp("screen"), "-e", "sample_seconds=2.2")


def test_a_terminal_shows_the_running_step_and_its_seconds(screen: str) -> None:
    assert re.search(r"\r\x1b\[K[^\n]*▸ [^\n]*Take a while[^\n]*[1-9] s", screen)


def test_the_live_line_is_gone_before_anything_else_is_printed(screen: str) -> None:
    for line in screen.split("\n"):
        shown = re.split(r"\r\x1b\[K", line)[-1]
        assert "▸" not in shown


def test_a_terminal_has_colours_and_keeps_within_its_width(screen: str) -> None:
    assert "\x1b[0;33m" in screen
    lines = [re.split(r"\r\x1b\[K", line.rstrip("\r"))[-1] for line in screen.split("\n")]
    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in lines) <= 80


def test_a_terminal_without_colours_and_live_line_has_no_control_character(tmp_path: Path) -> None:
    assert "\x1b" not in on_a_terminal(tmp_path, NO_COLOR="1", CI="true")


def test_colours_can_be_forced(tmp_path: Path) -> None:
    assert "\x1b[0;33m" in play(tmp_path, ANSIBLE_FORCE_COLOR="1")
