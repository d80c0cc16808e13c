# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host itself calls a secret is found where programs keep such things."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._diagnose_secrets import (
    find_secrets,
    pairs_of_arguments,
    pairs_of_text,
)


@pytest.mark.parametrize(
    ("arguments", "pairs"),
    [
        (["app", "--token=abc"], [("token", "abc")]),
        (["app", "--db-password", "abc", "-v"], [("db-password", "abc"), ("v", "")]),
        (["env", "A_KEY=abc"], [("A_KEY", "abc")]),
        (["redis://:abc@db"], [("url", "redis://:abc@db")]),
    ],
)
def test_arguments_are_read(arguments, pairs):
    assert list(pairs_of_arguments(arguments)) == pairs


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("DB_PASSWORD=abc def\n", ("DB_PASSWORD", "abc def")),
        ("export KEY='a#b' \n", ("KEY", "a#b")),
        ("KEY=abc # why\n", ("KEY", "abc")),
        ("      MAIL_TOKEN: abc\n", ("MAIL_TOKEN", "abc")),
        ('    "apiKey": "abc",\n', ("apiKey", "abc")),
    ],
)
def test_files_of_variables_are_read(text, pair):
    assert list(pairs_of_text(text)) == [pair]


def test_the_environment_of_a_process_and_the_file_beside_it_are_searched(tmp_path):
    (tmp_path / ".env").write_text("MAIL_PASS=from-a-file-1\nPORT=3000\n")
    environment = {**os.environ, "A_SECRET": "from-a-process-2"}
    waiting = [sys.executable, "-c", "print(flush=True); input()"]
    with subprocess.Popen(waiting, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        process.stdout.readline()  # while it is being started, its environment still reads as empty
        found = find_secrets([str(tmp_path), str(tmp_path / "none")])
        process.communicate(b"\n")
    assert {"from-a-file-1", "from-a-process-2"} <= found
    assert "3000" not in found
