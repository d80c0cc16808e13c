# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import gzip
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


class FakeTarget:
    """Stands for the server: its pg_restore notes its arguments, and what it reads."""

    def __init__(self, notes: Path, *, inside: bool = False) -> None:
        self.notes, self.inside = notes, inside

    def stage(self, program: str, *arguments: str, database: str, reads: bool = False) -> Stage:
        reading = 'cat >"$0.$number.in"' if reads else 'cat "$last" >"$0.$number.in"'
        script = f'number=$(ls "$0".*.in 2>/dev/null | wc -l); for last; do :; done; echo "$@" >"$0.$number"; {reading}'
        return Stage(["sh", "-c", script, str(self.notes), *arguments, f"--dbname={database}"], name=program)


def custom_archive() -> bytes:
    """Return the shortest one: made by nobody, with nothing in it."""
    integer, no_text = b"\0\0\0\0\0", b"\1\1\0\0\0"
    return b"PGDMP\1\x0e\0\4\x08\1" + integer * 8 + no_text * 3 + integer


@pytest.mark.parametrize("packed", [False, True])
def test_of_a_stream_rows_are_restored_by_one_session_and_indexes_by_several(tmp_path: Path, packed: bool) -> None:
    notes, archive = tmp_path / "told", custom_archive() + b"rows" * 1000
    dump = tmp_path / ("dump.custom.gz" if packed else "dump.custom")
    dump.write_bytes(gzip.compress(archive) if packed else archive)
    filling.fill(FakeTarget(notes), "scratch", dump, filling.Load(3, None, tmp_path / "copy", 60))  # type: ignore[arg-type]
    rows, indexes = Path(f"{notes}.0").read_text(), Path(f"{notes}.1").read_text()
    assert "--section=pre-data --section=data" in rows
    assert "--section=post-data --jobs=3" in indexes
    assert Path(f"{notes}.0.in").read_bytes() == Path(f"{notes}.1.in").read_bytes() == archive


@pytest.mark.parametrize(
    ("archive", "jobs", "inside"),
    [
        pytest.param(b"some tar file", 3, False, id="another format"),
        pytest.param(custom_archive()[:30], 3, False, id="cut off"),
        pytest.param(custom_archive(), 1, False, id="by one session anyway"),
        pytest.param(custom_archive(), 3, True, id="in a container, which has no file of ours"),
    ],
)
def test_what_cannot_be_restored_so_is_restored_at_once(
    tmp_path: Path, archive: bytes, jobs: int, inside: bool
) -> None:
    notes, dump = tmp_path / "told", tmp_path / "dump.custom"
    dump.write_bytes(archive)
    target: Any = FakeTarget(notes, inside=inside)
    filling.fill(target, "scratch", dump, filling.Load(jobs, None, tmp_path / "copy", 60))
    assert "--section" not in Path(f"{notes}.0").read_text()
    assert not Path(f"{notes}.1").exists()


def test_both_together_have_the_time_that_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[float] = []
    clock = iter((100.0, 140.0))
    monkeypatch.setattr(filling.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(filling, "table_of_contents", lambda *_args: b"contents")
    monkeypatch.setattr(filling, "run_pipeline", lambda *_args, **options: limits.append(options["timeout_seconds"]))
    target: Any = FakeTarget(tmp_path / "told")
    filling.fill(target, "scratch", tmp_path / "dump.custom", filling.Load(2, None, tmp_path / "copy", 60))
    assert limits == [60, 20]
