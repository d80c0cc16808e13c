# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What PM2 would bring back after a boot survives a save that fails."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._command import CommandError
from ansible_collections.runbook.ops.plugins.module_utils._pm2_host import Pm2Host

OLD, NEW = [{"name": "old"}], [{"name": "new"}]
# As PM2 7.0.4 does it: each list is emptied before it is written.
SAVE = """#!/bin/sh
cp "$PM2_HOME/dump.pm2" "$PM2_HOME/dump.pm2.bak" 2>/dev/null; : >"$PM2_HOME/dump.pm2"
{} >"$PM2_HOME/dump.pm2"
"""
FULL = ': >"$PM2_HOME/dump.pm2.bak"; echo "ENOSPC: no space left on device, write" >&2; exit 1; echo'


class Module:
    """Stands for the AnsibleModule: the first place where a program is found is ``place``."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def get_bin_path(self, name: str, opt_dirs: object = None) -> str | None:
        del opt_dirs
        return shutil.which(name, path=f"{self.place}:{os.environ['PATH']}")

    @staticmethod
    def run_command(argv, *, data, binary_data, environ_update, cwd):
        del data, binary_data
        done = subprocess.run(
            argv, capture_output=True, text=True, env=os.environ | environ_update, cwd=cwd, check=False
        )
        return done.returncode, done.stdout, done.stderr


def host(place: Path, ends: str) -> Pm2Host:
    program = place / "pm2"
    program.write_text(SAVE.format(ends))
    program.chmod(0o755)
    return Pm2Host(Module(place), None, str(place))


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    made = tmp_path / "dump.pm2"
    made.write_text(json.dumps(OLD))
    made.chmod(0o644)
    return made


def test_a_save_that_fails_leaves_what_was_saved(dump: Path) -> None:
    with pytest.raises(CommandError, match="no space left"):
        host(dump.parent, FULL).save()
    assert json.loads(dump.read_text()) == OLD
    assert dump.stat().st_mode & 0o077 == 0
    assert sorted(path.name for path in dump.parent.iterdir()) == ["dump.pm2", "dump.pm2.bak", "pm2"]


def test_nothing_is_saved_where_what_was_saved_cannot_be_kept(dump: Path) -> None:
    install = dump.parent / "install"
    install.write_text("#!/bin/sh\necho 'no space left' >&2\nexit 1\n")
    install.chmod(0o755)
    with pytest.raises(CommandError, match="no space left"):
        host(dump.parent, f"echo '{json.dumps(NEW)}'").save()
    assert json.loads(dump.read_text()) == OLD


@pytest.mark.parametrize("before", [json.dumps(OLD), "[]", "", None])
def test_what_runs_is_saved_for_its_owner_alone(dump: Path, before: str | None) -> None:
    dump.unlink() if before is None else dump.write_text(before)
    host(dump.parent, f"echo '{json.dumps(NEW)}'").save()
    assert json.loads(dump.read_text()) == NEW
    assert dump.stat().st_mode & 0o077 == 0
    assert not (dump.parent / ".dump.pm2.runbook-ops").exists()
