# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A dump reaches its draft whole or not at all, whichever of the programs on its way fails."""

from __future__ import annotations

import gzip
import os
from datetime import datetime, timezone

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _pg_dump
from ansible_collections.runbook.ops.plugins.module_utils._backup_draft import Draft
from ansible_collections.runbook.ops.plugins.module_utils._pg_backup_plan import BackupError, Recipe
from ansible_collections.runbook.ops.plugins.module_utils._pg_dump import Dump, read_dump, write_dump
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import PipelineError, Stage

NOW = datetime(2026, 11, 21, 2, 0, 0, tzinfo=timezone.utc)
DIRECTORY, STREAM = Recipe("directory", "gzip", "none", 2), Recipe("custom", "none", "none", 1)
AGE = {"method": "age", "recipients": ["age1"]}
DUMPED = b"PGDMP" + b"x" * 5_000_000
DUMP = "printf PGDMP; head -c 5000000 /dev/zero | tr '\\0' x"


class FakeTarget:
    """Stands for the server: its pg_dump is a line of shell."""

    def __init__(self, script):
        self.script, self.arguments = script, []

    def stage(self, program, *arguments, reads=False, **_database):
        self.arguments = [*arguments]
        script = "exec cat >/dev/null" if reads else self.script
        return Stage(["sh", "-c", script, program, *arguments], name=program)


@pytest.fixture
def draft(tmp_path):
    with Draft.begin(tmp_path, "shop", NOW) as made:
        yield made


def dump(draft, script, recipe=STREAM, *, encoders=(), encryption=None, monkeypatch=None):
    if monkeypatch:
        monkeypatch.setattr(_pg_dump, "encoding", lambda *_args: (list(encoders), ".gz" if encoders else ""))
    target = FakeTarget(script)
    limits = {"timeout_seconds": 60, "lock_timeout_seconds": 60}
    return target, write_dump(target, draft, "shop", recipe, snapshot="0-1-1", encryption=encryption, **limits)


def test_a_stream_is_written_and_its_head_kept(draft, monkeypatch):
    monkeypatch.setattr(_pg_dump, "HEAD_BYTES", 1000)
    target, made = dump(draft, DUMP)
    assert (draft.path / "dump.custom").read_bytes() == DUMPED
    assert made == Dump("dump.custom", DUMPED[:1000])
    assert "--snapshot=0-1-1" in target.arguments
    assert "--lock-wait-timeout=60000" in target.arguments


def test_what_is_encrypted_after_it_is_kept_as_it_was_before(draft, monkeypatch):
    _target, made = dump(draft, DUMP, encoders=[Stage(["tr", "x", "y"])], encryption=AGE, monkeypatch=monkeypatch)
    assert (draft.path / "dump.custom.gz").read_bytes() == DUMPED.replace(b"x", b"y")
    assert made.head == DUMPED


def test_what_is_only_compressed_after_it_does_not_pass_by_us(draft, monkeypatch):
    _target, made = dump(draft, DUMP, encoders=[Stage(["gzip", "-c"])], monkeypatch=monkeypatch)
    assert gzip.decompress((draft.path / "dump.custom.gz").read_bytes()) == DUMPED
    assert made == Dump("dump.custom.gz", b"")


@pytest.mark.parametrize("limit", [6, 100, 1 << 20])
def test_its_head_is_read_from_the_file_then(draft, monkeypatch, limit):
    monkeypatch.setattr(_pg_dump, "HEAD_BYTES", limit)
    (draft.path / "dump.custom.gz").write_bytes(gzip.compress(b"PGDMP\x01\x63" + b"x" * 200_000))
    asked = []
    monkeypatch.setattr(_pg_dump, "_contents", asked.append)
    read_dump(FakeTarget(""), draft, Dump("dump.custom.gz"))
    assert asked == [(b"PGDMP\x01\x63" + b"x" * 200_000)[:limit]]


def test_a_file_that_cannot_be_unpacked_is_no_dump(draft):
    whole = gzip.compress(os.urandom(100_000))
    (draft.path / "dump.custom.gz").write_bytes(whole[:50_000])
    with pytest.raises(PipelineError, match=r"gzip failed .*unexpected end of file"):
        read_dump(FakeTarget(""), draft, Dump("dump.custom.gz"))


@pytest.mark.parametrize("encryption", [None, AGE], ids=["compressed", "encrypted"])
@pytest.mark.parametrize("encoders", [[], [Stage(["cat"])], [Stage(["cat"]), Stage(["cat"])]])
def test_a_dump_that_fails_is_told_whatever_made_a_fine_file_of_the_half(draft, monkeypatch, encoders, encryption):
    script = f"{DUMP}; echo it broke >&2; exit 1"
    with pytest.raises(PipelineError, match=r"pg_dump failed \(1\): it broke"):
        dump(draft, script, encoders=encoders, encryption=encryption, monkeypatch=monkeypatch)


@pytest.mark.parametrize("encryption", [None, AGE], ids=["compressed", "encrypted"])
def test_a_compressor_that_fails_ends_the_dump(draft, monkeypatch, encryption):
    ends = Stage(["sh", "-c", "head -c 10; echo no memory >&2; exit 5"], name="zstd")
    with pytest.raises(PipelineError, match=r"zstd failed \(5\): no memory"):
        dump(draft, "exec yes", encoders=[ends], encryption=encryption, monkeypatch=monkeypatch)


@pytest.mark.parametrize("encryption", [None, AGE], ids=["compressed", "encrypted"])
def test_a_compressor_that_is_missing_ends_the_dump(draft, monkeypatch, encryption):
    with pytest.raises(PipelineError, match="no-such-program is not installed"):
        dump(
            draft,
            "exec yes",
            encoders=[Stage(["no-such-program"])],
            encryption=encryption,
            monkeypatch=monkeypatch,
        )


def test_a_dump_that_takes_too_long_is_ended(draft):
    target = FakeTarget("exec sleep 60")
    limits = {"timeout_seconds": 0.3, "lock_timeout_seconds": 60}
    with pytest.raises(PipelineError, match=r"pg_dump did not end within 0\.3 s"):
        write_dump(target, draft, "shop", STREAM, snapshot="0-1-1", encryption=None, **limits)


def test_several_sessions_write_to_a_directory_that_they_get_open(draft):
    script = 'for one in "$@"; do case $one in --file=*) echo toc >"${one#--file=}/toc.dat";; esac; done'
    target, made = dump(draft, script, DIRECTORY)
    assert made == Dump("dump")
    assert (draft.path / "dump" / "toc.dat").read_text() == "toc\n"
    assert (draft.path / "dump" / "toc.dat").stat().st_uid == os.geteuid()
    assert not any(str(draft.path) in one for one in target.arguments), "its account may not find the way"


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (b"-- a script", "it is no archive of pg_dump"),
        (b"PGDMP\x01\x0e\x00\x04\x08\x01", "the table of contents is cut off"),
    ],
)
def test_what_is_no_whole_archive_is_refused(draft, head, message):
    (draft.path / "dump.custom").write_bytes(head)
    with pytest.raises(BackupError, match=f"the dump cannot be read: {message}"):
        read_dump(FakeTarget(""), draft, Dump("dump.custom", head))


def test_of_a_newer_archive_nothing_is_said(draft):
    head = b"PGDMP\x01\x63\x00\x04\x08\x01"
    (draft.path / "dump.custom").write_bytes(head)
    assert read_dump(FakeTarget(""), draft, Dump("dump.custom", head)) is None
