# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server beside is known to have ended by its process, in whichever language it says so."""

from __future__ import annotations

import os
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _pgbackrest_server
from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest import PgBackRestError
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest_server import Beside


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Beside:
    """Return a server whose program is to be given, and that nobody can reach."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "PG_VERSION").write_text("15\n")
    monkeypatch.setattr(_pgbackrest_server, "_account", lambda _user: {})
    monkeypatch.setattr(_pgbackrest_server.shutil, "chown", lambda *_args: None)
    made = Beside(str(tmp_path / "data"), {"run_as": "postgres", "config_file": None})

    def refused(*_args: Any, **_options: Any) -> None:
        raise PgError("connection refused")

    monkeypatch.setattr(made.target, "sql", refused)
    return made


def program(place: Path, text: str) -> dict[int, str]:
    path = place / "postgres"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return {15: str(path)}


def test_one_that_ends_is_not_waited_for_whatever_its_language(
    beside: Beside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = program(tmp_path, "echo 'das Datenbanksystem ist heruntergefahren'; exit 1")
    monkeypatch.setattr(_pgbackrest_server, "installed", lambda _name: found)
    beside.start()
    began = time.monotonic()
    with pytest.raises(PgBackRestError, match="ended before its moment"):
        beside.wait(timeout_seconds=60)
    assert time.monotonic() - began < 50


def test_one_that_goes_on_is_waited_for_whatever_its_log_says(
    beside: Beside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = program(tmp_path, "echo 'FATAL:  the database system is starting up'; exec sleep 30")
    monkeypatch.setattr(_pgbackrest_server, "installed", lambda _name: found)
    beside.start()
    with pytest.raises(PgBackRestError, match="takes longer than"):
        beside.wait(timeout_seconds=0.5)
    assert isinstance(beside._process, subprocess.Popen)
    beside._process.kill()
    beside._process.wait()


def test_its_account_may_read_who_is_let_in_whatever_the_umask(
    beside: Beside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = program(tmp_path, 'printf "%s\\n" "$@"')
    monkeypatch.setattr(_pgbackrest_server, "installed", lambda _name: found)
    before = os.umask(0o077)
    try:
        beside.start()
    finally:
        os.umask(before)
    assert stat.S_IMODE((Path(beside.run) / "pg_hba.conf").stat().st_mode) == 0o644
    assert stat.S_IMODE(Path(beside.run).stat().st_mode) == 0o700
    assert isinstance(beside._process, subprocess.Popen)
    beside._process.wait()
    assert "lc_messages=C" in beside.log.read_text()
