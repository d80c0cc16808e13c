# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _pg_fill as filling
from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import PipelineError, Stage

ME = pwd.getpwuid(os.geteuid()).pw_name
STAGE = Stage(["/usr/bin/pg_restore", "--jobs=2"], {"PGHOST": "/run"}, user=ME, name="pg_restore")


def test_the_server_s_account_may_read_all_and_write_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[list[str]] = []
    monkeypatch.setattr(filling.shutil, "which", lambda *_args, **_options: "/usr/bin/setpriv")
    monkeypatch.setattr(filling, "run_pipeline", lambda stages, **_options: tried.append(list(stages[0].argv)))
    reader = filling.as_reader(STAGE, ME)
    assert reader is not None
    assert reader.user is None  # setpriv changes it
    assert list(reader.argv)[-3:] == ["--", "/usr/bin/pg_restore", "--jobs=2"]
    assert f"--reuid={os.geteuid()}" in reader.argv
    assert [one for one in reader.argv if "caps" in one] == [
        "--inh-caps=+dac_read_search",
        "--ambient-caps=+dac_read_search",
    ]
    assert "--pdeathsig=KILL" in reader.argv
    assert reader.environment["PGHOST"] == "/run"
    assert tried == [[*list(reader.argv)[:-2], "true"]]


@pytest.mark.parametrize("installed", [None, "/usr/bin/setpriv"])
def test_where_that_cannot_be_had_a_copy_must_do(monkeypatch: pytest.MonkeyPatch, installed: str | None) -> None:
    def refuse(*_args: Any, **_options: Any) -> None:
        raise PipelineError("setpriv failed (1): setting ambient capabilities: Operation not permitted")

    monkeypatch.setattr(filling.shutil, "which", lambda *_args, **_options: installed)
    monkeypatch.setattr(filling, "run_pipeline", refuse)
    assert filling.as_reader(STAGE, ME) is None


def test_a_copy_is_gone_afterwards_whatever_happens(tmp_path: Path) -> None:
    dump, copy = tmp_path / "dump", tmp_path / ".shop.drill"
    dump.mkdir()
    (dump / "toc.dat").write_bytes(b"contents")
    copy.mkdir()
    (copy / "old").write_bytes(b"of a killed run")
    with pytest.raises(ZeroDivisionError), filling.readable(dump, ME, copy) as handle:
        assert os.listdir(handle) == ["toc.dat"]  # noqa: PTH208  # pathlib cannot list an open directory
        assert os.fstat(handle).st_ino == copy.stat().st_ino
        raise ZeroDivisionError
    assert not copy.exists()
    assert (dump / "toc.dat").read_bytes() == b"contents"


def test_no_copy_is_made_where_none_is_needed(tmp_path: Path) -> None:
    with filling.readable(tmp_path, None, tmp_path / "copy") as handle:
        assert os.fstat(handle).st_ino == tmp_path.stat().st_ino
        assert not (tmp_path / "copy").exists()


def test_a_copy_that_there_is_no_room_for_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 3

    (tmp_path / "toc.dat").write_bytes(b"contents")
    monkeypatch.setattr(filling.shutil, "disk_usage", lambda _path: Usage())
    with (
        pytest.raises(PgError, match="has 3 B free for a copy of 8 B: make room there"),
        filling.readable(tmp_path, ME, tmp_path / "copy"),
    ):
        pass
