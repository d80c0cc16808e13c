# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files in, the same files out: with names, owners, modes, times and links, and never through a link."""

from __future__ import annotations

import io
import os
import tarfile

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _file_stream
from ansible_collections.runbook.ops.plugins.module_utils._file_extract import extract
from ansible_collections.runbook.ops.plugins.module_utils._file_stream import FileStream, describe_trees
from ansible_collections.runbook.ops.plugins.module_utils._file_tree import matcher
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import StoreError


@pytest.fixture
def app(tmp_path):
    root = tmp_path / "app"
    (root / "src" / "a b").mkdir(parents=True)
    (root / "src" / "index.js").write_text("listen();")
    (root / "src" / "same.js").hardlink_to(root / "src" / "index.js")
    (root / "src" / "index.js").chmod(0o4750)
    (root / "src" / os.fsdecode(b"\xff\n'")).write_text("odd name")
    (root / "empty").write_text("")
    (root / ("long" * 60)).write_text("long name")
    (root / "outside").symlink_to("/etc/shadow")
    os.mkfifo(root / "pipe")
    os.utime(root / "empty", ns=(10**18 + 123456789, 10**18 + 123456789))
    (root / "large").write_bytes(os.urandom(3 << 20))
    (root / "node_modules").mkdir()
    (root / "node_modules" / "x").write_text("x")
    return root


def stream_of(root, **options):
    return FileStream([(str(root), str(root))], **options)


def test_what_is_extracted_is_what_was_there(app, tmp_path):
    stream = stream_of(app)
    new = tmp_path / "new"
    counts = extract(stream.pieces(), {str(app): str(new)})
    assert counts[str(app)] == len(list(app.rglob("*"))) + 1
    assert describe_trees({str(app): str(new)}) == stream.content()["roots"]
    assert (new / "src" / "same.js").stat().st_ino == (new / "src" / "index.js").stat().st_ino
    assert (new / "empty").stat().st_mtime_ns == 10**18 + 123456789
    assert (new / "outside").readlink().as_posix() == "/etc/shadow"
    assert new.stat().st_mtime_ns == app.stat().st_mtime_ns


def test_other_programs_read_it(app):
    data = b"".join(stream_of(app).pieces())
    assert len(data) % tarfile.RECORDSIZE == 0
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert len(archive.getnames()) == len(list(app.rglob("*"))) + 1


def test_what_is_excluded_and_what_holds_the_backups_is_named(app):
    (app / "backups").mkdir()
    stream = stream_of(app, is_excluded=matcher(["node_modules"]), avoid=str(app / "backups"))
    data = b"".join(stream.pieces())
    assert stream.notes["excluded"] == [f"{app}/node_modules"] and stream.notes["left_out"] == [f"{app}/backups"]
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert not [name for name in archive.getnames() if "node_modules" in name or "backups" in name]


@pytest.mark.parametrize("change", ["append", "truncate"])
def test_a_file_that_changes_while_it_is_read_is_read_again(app, tmp_path, change, monkeypatch):
    monkeypatch.setattr(_file_stream, "PAUSE_SECONDS", 0)
    changed = []
    stream = stream_of(app / "large")

    def pieces():
        for piece in stream.pieces():
            if len(piece) > 100_000 and not changed:
                changed.append(True)
                with (app / "large").open("ab") as file:
                    file.truncate(1 << 20) if change == "truncate" else file.write(b"more")
            yield piece

    extract(pieces(), {str(app / "large"): str(tmp_path / "new")})
    assert (tmp_path / "new").read_bytes() == (app / "large").read_bytes()
    assert stream.notes["changing"] == []
    assert describe_trees({str(app / "large"): str(tmp_path / "new")}) == stream.content()["roots"]


def test_a_file_that_goes_on_changing_is_named(app, monkeypatch):
    monkeypatch.setattr(_file_stream, "PAUSE_SECONDS", 0)
    stream = stream_of(app / "large")
    for piece in stream.pieces():
        if len(piece) > 100_000:
            with (app / "large").open("ab") as file:
                file.write(b"more")
    assert stream.notes["changing"] == [f"{app}/large"]


def test_what_vanishes_meanwhile_is_named_and_no_error(app):
    stream = stream_of(app)
    for piece in stream._all():  # as it is read, before it is gathered
        if b"src/a b" in piece:
            (app / "src" / "same.js").unlink()
            (app / "src" / "index.js").unlink()
    assert stream.notes["vanished"] == [f"{app}/src/index.js", f"{app}/src/same.js"]


def test_a_path_that_vanishes_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        list(stream_of(tmp_path / "nothing").pieces())


def test_a_part_can_be_had(app, tmp_path):
    counts = extract(stream_of(app).pieces(), {f"{app}/src": str(tmp_path / "part")})
    assert counts == {f"{app}/src": 5}
    assert (tmp_path / "part" / "index.js").read_text() == "listen();"


A, FILE, LINK = ("a", tarfile.DIRTYPE, ""), tarfile.REGTYPE, tarfile.SYMTYPE


def archive(*members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, kind, link in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, link
            tar.addfile(member)
    return [out.getvalue()]


@pytest.mark.parametrize(
    ("members", "words"),
    [
        pytest.param([A, ("a/l", LINK, "/etc"), ("a/l/x", FILE, "")], "without its directory", id="through a link"),
        pytest.param([A, ("a/../x", FILE, "")], "without its directory", id="upwards"),
        pytest.param([A, ("a/x", tarfile.LNKTYPE, "etc/shadow")], "another name of", id="another name"),
        pytest.param([A, ("a/x", tarfile.CHRTYPE, "")], "never saved", id="a device"),
        pytest.param([("b", tarfile.DIRTYPE, "")], "not in this backup", id="something else"),
    ],
)
def test_an_archive_that_means_harm_is_refused(members, words, tmp_path):
    with pytest.raises(StoreError, match=words):
        extract(iter(archive(*members)), {"/a": str(tmp_path / "new")})
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("left", [1, 600, 5000])
def test_an_archive_that_was_cut_off_is_refused(app, tmp_path, left):
    data = b"".join(stream_of(app).pieces()).rstrip(b"\0")
    with pytest.raises(StoreError):
        extract(iter([data[: len(data) // left]]), {str(app): str(tmp_path / "new")})


def test_nothing_that_is_there_is_overwritten(app, tmp_path):
    (tmp_path / "new").mkdir()
    with pytest.raises(StoreError, match="File exists"):
        extract(stream_of(app).pieces(), {str(app): str(tmp_path / "new")})
