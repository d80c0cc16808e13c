# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How mongodump and mongorestore are called: real processes that stand in for them say what they were given."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _mongo_tools
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import Backup
from ansible_collections.runbook.ops.plugins.module_utils._mongo_server import Place
from ansible_collections.runbook.ops.plugins.module_utils._mongo_tools import dump, load
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import PipelineError

SECRET = 'c0rrect"horse: ö'
PLACE = Place("db", 27018, "admin", SECRET, "users")
AT = datetime(2026, 11, 21, tzinfo=timezone.utc)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Give what puts a script in the place of both tools."""

    def go(script: str) -> None:
        path = tmp_path / "tool"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setattr(_mongo_tools, "DUMP", str(path))
        monkeypatch.setattr(_mongo_tools, "RESTORE", str(path))

    return go


def test_the_password_is_in_a_file_that_only_the_tool_can_open_and_on_no_command_line(program):
    program('for one in "$@"; do case $one in --config=*) cat "${one#--config=}";; *) echo "$one";; esac; done')
    said = b"".join(dump(PLACE, "shop", ["old"], timeout_seconds=60)).decode()
    assert said.splitlines() == [
        *("--host=db", "--port=27018", "--username=admin", "--authenticationDatabase=users"),
        '{"password": "c0rrect\\"horse: ö"}--db=shop',
        *("--archive", "--excludeCollection=old"),
    ]


def test_without_an_account_there_is_no_login(program):
    program('echo "$@"')
    assert b"".join(dump(Place("db"), "shop", timeout_seconds=60)) == b"--host=db --port=27017 --db=shop --archive\n"


def test_what_fails_at_the_end_fails_although_it_has_printed_much(program):
    program("head -c 3000000 /dev/zero; echo '2026\tFailed: it broke' >&2; exit 1")
    with pytest.raises(PipelineError, match=r"failed \(1\): 2026\tFailed: it broke"):
        list(dump(PLACE, "shop", timeout_seconds=60))


def test_what_hangs_is_ended(program):
    program("echo begun; exec sleep 600")
    with pytest.raises(PipelineError, match=r"did not end within 0\.5 s"):
        list(dump(PLACE, "shop", timeout_seconds=0.5))


def test_who_takes_no_more_leaves_nothing_running(program, tmp_path):
    program(f"echo $$ > {tmp_path}/number; while :; do echo more; done")
    taken = dump(PLACE, "shop", timeout_seconds=60)
    next(taken)
    taken.close()
    number = (tmp_path / "number").read_text().strip()
    assert not Path(f"/proc/{number}").exists()


def test_a_backup_is_restored_from_standard_input_under_other_names(program, tmp_path):
    program(f'cat > {tmp_path}/read; for one in "$@"; do echo "$one"; done > {tmp_path}/given')
    place = tmp_path / "shop_20261121T000000Z"
    place.mkdir()
    (place / "dump.archive").write_bytes(b"an archive")
    backup = Backup(place, place.name, "shop", AT, {"content": {"payload": "dump.archive"}}, "", {})
    load(backup, Place("db"), ("shop.$c$", "shop.$c$.new"), ["shop.view"], identity=None, timeout_seconds=60)
    assert (tmp_path / "read").read_bytes() == b"an archive"
    assert (tmp_path / "given").read_text().splitlines()[2:] == [
        *("--archive", "--objcheck", "--stopOnError", "--nsInclude=shop.*"),
        *("--nsFrom=shop.$c$", "--nsTo=shop.$c$.new", "--nsExclude=shop.view"),
    ]
