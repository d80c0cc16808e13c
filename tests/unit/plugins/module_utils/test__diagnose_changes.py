# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What changed lately is told in events, those of a kind together."""

from __future__ import annotations

import gzip
import os
import time

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _diagnose_changes as changes
from ansible_collections.runbook.ops.plugins.module_utils._diagnose_releases import releases


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("1.5 web sshd[7]: Accepted publickey for joe from 203.0.113.9 port 22 ssh2: X", ("login", "joe from 203.0.113.9 by publickey")),
        ("1.5 web sudo[7]:      joe : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/apt upgrade", ("sudo", "joe as root: /usr/bin/apt upgrade")),
        ("1.5 web sudo[7]: ops : PWD=/ ; USER=root ; COMMAND=/bin/sh -c echo BECOME-SUCCESS-abc", ("sudo", "ops as root: a task of Ansible")),
        ("1.5 web sshd[7]: Failed password for joe", None),
    ],
)  # fmt: skip
def test_logins_and_commands_are_told(line, found):
    told = changes.login(line, 1.5)
    assert (told and (told["what"], told["text"])) == found


def test_packages_are_read_from_rotated_logs_too(tmp_path):
    stamp = time.strftime("%Y-%m-%d %H:%M:%S")
    path = tmp_path / "dpkg.log"
    path.write_text(f"{stamp} upgrade nginx:amd64 1 2\n2001-01-01 00:00:00 install old:all <none> 1\n")
    with gzip.open(f"{path}.2.gz", "wb") as file:
        file.write(f"{stamp} install a:all <none> 1\n".encode())
    assert [line[20:] for _at, line in changes.dpkg_lines(str(path), time.time() - 60)] == [
        "install a:all <none> 1",
        "upgrade nginx:amd64 1 2",
    ]


def test_files_changed_at_once_are_one_event():
    events = [{"at": 61, "what": "configuration", "text": f"/etc/nginx/conf.d/{name}"} for name in "abc"]
    one, other = changes.by_directory([*events, {"at": 500, "what": "configuration", "text": "/etc/hosts"}])
    assert one["text"] == "3 files in /etc/nginx, the last is /etc/nginx/conf.d/a"
    assert other["text"] == "/etc/hosts"


def test_a_release_leaves_traces_in_its_directory(tmp_path):
    (tmp_path / "releases" / "7").mkdir(parents=True)
    app = tmp_path / "releases" / "7"
    (app / "server.js").touch()
    found = releases(
        {
            "services": [{"name": "api", "path": str(app), "entry_point": "server.js"}, {"name": "b", "path": "/none"}],
            "changes_since": 0,
        }
    )
    assert {one["what"] for one in found.events} == {"file", "release"}
    assert "b: /none does not exist" in found.text
    os.utime(app / "server.js", (1, 1))


def test_runs_are_told_and_a_record_that_cannot_be_read_too(tmp_path):
    (tmp_path / "1.json").write_text(
        '{"playbook": "deploy", "started_at": "2026-11-21T12:00:00Z", "who": {"user": "joe"}, "status": "ok", "changes": [1, 2]}'
    )
    (tmp_path / "2.json").write_text("{")
    found = changes.runs({"directory": str(tmp_path)})
    assert {one["text"] for one in found.events} == {"deploy by joe: ok, 2 changes", "2.json (cannot be read)"}
