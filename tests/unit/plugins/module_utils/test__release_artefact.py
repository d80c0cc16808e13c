# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import http.server
import io
import stat
import tarfile
import threading
import time
import zipfile
from pathlib import Path

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _release_artefact as artefact
from ansible_collections.runbook.ops.plugins.module_utils._release import ReleaseError


def tar(path: Path, *members: tuple[str, str, str], mode: str = "w:gz") -> Path:
    """Write an archive of (name, kind, content or target)."""
    kinds = {
        "dir": tarfile.DIRTYPE,
        "link": tarfile.SYMTYPE,
        "name": tarfile.LNKTYPE,
        "pipe": tarfile.FIFOTYPE,
        "dev": tarfile.CHRTYPE,
    }
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, kind, text in members:
            info = tarfile.TarInfo(name)
            if kind in kinds:
                info.type, info.linkname = kinds[kind], text
                archive.addfile(info)
            else:
                info.size, info.mode = len(text.encode()), 0o6755 if kind == "program" else 0o600
                archive.addfile(info, io.BytesIO(text.encode()))
    return path


@pytest.fixture
def into(tmp_path):
    made = tmp_path / "into"
    made.mkdir()
    return made


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_an_application_is_unpacked(tmp_path, into, mode):
    path = tar(
        tmp_path / "a",
        ("server.js", "file", "1"),
        ("bin", "dir", ""),
        ("bin/run", "program", "2"),
        ("deep/without/directory.js", "file", "3"),
        ("lib/current", "link", "../server.js"),
        ("again.js", "name", "server.js"),
        ("server.js", "file", "newer"),
        mode=mode,
    )
    assert artefact.unpack(str(path), str(into)) == str(into)
    assert (into / "server.js").read_text() == "newer" and (into / "again.js").read_text() == "1"
    assert (into / "lib/current").read_text() == "newer"
    assert stat.S_IMODE((into / "bin/run").stat().st_mode) == 0o755, (
        "what runs as another account does not come with an archive"
    )
    assert stat.S_IMODE((into / "server.js").stat().st_mode) == 0o644


def test_a_zip_is_unpacked_and_an_only_directory_is_gone_into(tmp_path, into):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("shop-1.0/server.js", "1")
        info = zipfile.ZipInfo("shop-1.0/run")
        info.external_attr = 0o100755 << 16
        archive.writestr(info, "2")
        link = zipfile.ZipInfo("shop-1.0/current")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "server.js")
    assert artefact.unpack(str(tmp_path / "a.zip"), str(into)) == str(into / "shop-1.0")
    assert (into / "shop-1.0/current").read_text() == "1" and (into / "shop-1.0/run").stat().st_mode & 0o100


@pytest.mark.parametrize(
    "members",
    [
        pytest.param([("../outside", "file", "x")], id="above"),
        pytest.param([("a/../../outside", "file", "x")], id="above by a detour"),
        pytest.param([("/outside", "file", "x")], id="absolute"),
        pytest.param([("link", "link", "/etc")], id="an absolute link"),
        pytest.param([("a/link", "link", "../../etc")], id="a link that leads above"),
        pytest.param([("link", "link", "a/../../x")], id="a link that leads above by a detour"),
        pytest.param([("dir", "dir", ""), ("link", "link", "dir"), ("link/x", "file", "x")], id="through a link"),
        pytest.param([("name", "name", "../outside")], id="another name of a file outside"),
        pytest.param([("name", "name", "/etc/passwd")], id="another name of a file of the system"),
        pytest.param([("pipe", "pipe", "")], id="a pipe"),
        pytest.param([("null", "dev", "")], id="a device"),
    ],
)
def test_nothing_comes_to_lie_outside_of_the_release(tmp_path, into, members):
    (tmp_path / "outside").write_text("mine")
    path = tar(tmp_path / "a", *members)
    with pytest.raises(ReleaseError):
        artefact.unpack(str(path), str(into))
    assert (tmp_path / "outside").read_text() == "mine"
    assert not any(one.is_file() for one in into.rglob("*"))


def test_another_name_of_a_link_does_not_lead_out_from_one_level_higher(tmp_path, into):
    (tmp_path / "out").mkdir()
    members = (("d/a", "link", "../out"), ("x", "name", "d/a"), ("x/evil", "file", "x"))
    with pytest.raises(ReleaseError, match="x, another name of a symbolic link"):
        artefact.unpack(str(tar(tmp_path / "a", *members)), str(into))
    assert not list((tmp_path / "out").iterdir())


def test_a_link_may_be_followed_by_a_file_of_its_name(tmp_path, into):
    members = (("a", "file", "1"), ("x", "link", "a"), ("x", "name", "a"), ("y", "name", "x"))
    artefact.unpack(str(tar(tmp_path / "a", *members)), str(into))
    assert (into / "y").read_text() == "1" and not (into / "y").is_symlink()


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, into, monkeypatch):
    monkeypatch.setattr(artefact, "MOST_BYTES", 1000)
    with pytest.raises(ReleaseError, match="more than"):
        artefact.unpack(str(tar(tmp_path / "a", ("x", "file", "x" * 600), ("y", "file", "y" * 600))), str(into))
    monkeypatch.setattr(artefact, "MOST_FILES", 1)
    with pytest.raises(ReleaseError, match="more than 1 files"):
        artefact.unpack(str(tar(tmp_path / "b", ("p", "file", ""), ("q", "file", ""))), str(into))


@pytest.mark.parametrize(
    "harm", [lambda data: data[: len(data) // 2], lambda _: b"plain text"], ids=["cut off", "no archive"]
)
def test_a_damaged_archive_is_refused(tmp_path, into, harm):
    path = tar(tmp_path / "a", ("x", "file", "".join(map(str, range(9999)))))
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(ReleaseError, match="damaged"):
        artefact.unpack(str(path), str(into))


def test_a_server_that_sends_a_byte_now_and_then_is_not_waited_for_for_ever(tmp_path):
    ended = threading.Event()

    class Slow(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            for _ in range(200):
                self.wfile.write(b"x")
                if ended.wait(0.05):
                    return

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        began = time.monotonic()
        try:
            with pytest.raises(ReleaseError, match=r"came in 1 s: look at the network"):
                artefact.fetch(f"http://127.0.0.1:{server.server_port}/a", "0" * 64, str(tmp_path / "b"), seconds=1)
        finally:
            ended.set()
            server.shutdown()
    assert time.monotonic() - began < 8


def test_an_archive_is_fetched_and_must_have_its_sum(tmp_path):
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"content")
    digest = hashlib.sha256(b"content").hexdigest()
    artefact.fetch(str(source), digest, str(target), seconds=5)
    assert target.read_bytes() == b"content"
    with pytest.raises(ReleaseError, match="it is another one"):
        artefact.fetch(str(source), "0" * 64, str(target), seconds=5)
    with pytest.raises(ReleaseError, match="larger than"):
        artefact.fetch(str(source), digest, str(target), seconds=5, most_bytes=3)
    with pytest.raises(ReleaseError, match="cannot fetch"):
        artefact.fetch(str(tmp_path / "none"), digest, str(target), seconds=5)
