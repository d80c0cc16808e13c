# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups reach the bucket whole or not at all, and come back the same. Against a small storage in memory, over real sockets."""

from __future__ import annotations

import hashlib
import re
import shutil
import threading
from datetime import datetime, timedelta, timezone
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._backup_draft import Draft
from ansible_collections.runbook.ops.plugins.module_utils._backup_proof import read_proof, write_proof
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import SetError, list_backups, locked
from ansible_collections.runbook.ops.plugins.module_utils._offsite_plan import OffsiteError
from ansible_collections.runbook.ops.plugins.module_utils._offsite_run import read_settings, run
from ansible_collections.runbook.ops.plugins.module_utils._s3_storage import S3Error
from ansible_collections.runbook.ops.plugins.modules.backup_offsite import ARGUMENTS

NOW = datetime.now(timezone.utc).replace(microsecond=0)
STORED = re.compile(r"x-amz-(meta-|server-side|storage)", re.IGNORECASE)


class Handler(BaseHTTPRequestHandler):
    """What is needed of S3 for objects in one piece."""

    protocol_version = "HTTP/1.1"
    objects: dict[str, tuple[bytes, dict[str, str]]]
    asked: list[str]
    spoils = "nothing"

    def handle_one(self):
        self.asked.append(f"{self.command} {unquote(self.path)}")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        key = unquote(urlsplit(self.path).path).partition("/backups/")[2]
        if self.command == "PUT":
            kept = {name: value for name, value in self.headers.items() if STORED.match(name)}
            self.objects[key] = (body[:-1] + b"?" if key.endswith(self.spoils) else body, kept)
            self.reply(200, {})
        elif self.command == "DELETE":
            self.objects.pop(key, None)
            self.reply(204, {})
        elif not key:
            self.reply(200, {}, self.listing().encode())
        elif key in self.objects:
            data, kept = self.objects[key]
            self.reply(200, {**kept, "ETag": hashlib.sha256(data).hexdigest()}, data)
        else:
            self.reply(404, {}, b"<Error><Code>NoSuchKey</Code></Error>")

    do_GET = do_HEAD = do_PUT = do_DELETE = handle_one  # noqa: N815  # names of http.server

    def listing(self):
        query = parse_qs(urlsplit(self.path).query)
        if "versioning" in self.path:
            return "<VersioningConfiguration/>"
        begin = query.get("prefix", [""])[0]
        at = NOW.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        lines = [
            f"<Contents><Key>{key}</Key><Size>{len(data)}</Size><LastModified>{at}</LastModified></Contents>"
            for key, (data, _kept) in self.objects.items()
            if key.startswith(begin)
        ]
        return f"<ListBucketResult>{''.join(lines)}</ListBucketResult>"

    def reply(self, status, headers, body=b""):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body)), "Last-Modified": formatdate()}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_arguments):
        """Say nothing."""


@pytest.fixture
def bucket():
    class Own(Handler):
        objects, asked = {}, []

    server = ThreadingHTTPServer(("127.0.0.1", 0), Own)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    Own.port = server.server_address[1]
    yield Own
    server.shutdown()
    server.server_close()


@pytest.fixture
def sets(tmp_path):
    directory = tmp_path / "sets"
    directory.mkdir()
    for days in (2, 1):
        with Draft.begin(directory, "shop", NOW - timedelta(days=days)) as draft:
            with draft.create("dump/toc.dat") as file:
                file.write(b"x" * 1000 * days)
            draft.seal({"kind": "postgresql", "host": "web-1", "content": {}})
    return directory


def go(bucket, sets, *, check_mode=False, **more):
    options = {
        **{name: option.get("default") for name, option in ARGUMENTS.items()},
        **{"set": "shop", "directory": str(sets), "bucket": "backups", "prefix": "web-1", "access_key": "AK"},
        **{"secret_key": "sk", "endpoint": f"http://127.0.0.1:{bucket.port}", "timeout_seconds": 2, "retry_seconds": 0},
        **more,
    }
    return run(options, now=lambda: NOW, check_mode=check_mode)


def test_where_the_first_copy_is_only_predicted_no_missing_one_is_told(bucket, sets):
    assert go(bucket, sets, check_mode=True)["checks"] == []
    wish = {"state": "pruned", "keep": {"last": 1}}
    assert go(bucket, sets, check_mode=True, **wish)["checks"] == []
    assert go(bucket, sets, **wish)["checks"][0]["status"] == "critical"
    go(bucket, sets)
    assert len(go(bucket, sets, check_mode=True)["checks"]) == 1


def test_check_mode_looks_but_does_not_touch(bucket, sets):
    result = go(bucket, sets, check_mode=True)
    assert result["changed"]
    assert bucket.objects == {}
    assert {line.split()[0] for line in bucket.asked} == {"GET"}
    assert sorted(path.name for path in sets.iterdir()) == [one.name for one in list_backups(sets, "shop")]


def test_what_was_predicted_is_what_is_done_and_a_second_run_has_nothing_to_do(bucket, sets):
    predicted, done = go(bucket, sets, check_mode=True), go(bucket, sets)
    assert predicted["diff"] == done["diff"]
    assert predicted["actions"] == done["actions"]
    assert [one["compared"] for one in done["copies"]] == ["content", "content"]
    again = go(bucket, sets)
    assert not again["changed"]
    assert again["copies"] == done["copies"]


def test_the_marker_is_written_last(bucket, sets):
    go(bucket, sets, newest=1)
    written = [line for line in bucket.asked if line.startswith("PUT")]
    assert [line.rpartition("/")[2] for line in written] == ["toc.dat", "manifest.json", "SHA256SUMS", "COMPLETE.json"]


def test_files_that_are_there_are_not_sent_again(bucket, sets):
    go(bucket, sets)
    name = list_backups(sets, "shop")[1].name
    del bucket.objects[f"web-1/{name}/COMPLETE.json"], bucket.objects[f"web-1/{name}/manifest.json"]
    bucket.asked.clear()
    result = go(bucket, sets)
    assert [line.rpartition("/")[2] for line in bucket.asked if line.startswith("PUT")] == [
        "manifest.json",
        "COMPLETE.json",
    ]
    assert len(result["copies"]) == 2


def test_what_the_storage_spoils_is_found_not_listed_and_sent_anew(bucket, sets):
    bucket.spoils = "toc.dat"
    with pytest.raises(OffsiteError, match=r"not what was sent: read back, it has another SHA-256"):
        go(bucket, sets)
    assert go(bucket, sets, state="listed")["copies"] == []
    bucket.spoils = "nothing"
    assert len(go(bucket, sets)["copies"]) == 2


def test_a_copy_comes_back_the_same_with_its_proof(bucket, sets, tmp_path):
    newest = list_backups(sets, "shop")[1]
    write_proof(newest, {"checked_at": "x", "files": {}, "drill": {"passed": True, "at": "2026-11-20T01:00:00Z"}})
    go(bucket, sets)
    back = tmp_path / "back"
    back.mkdir()
    assert go(bucket, back, state="fetched", check_mode=True)["changed"]
    assert list(back.iterdir()) == []
    result = go(bucket, back, state="fetched")
    found = list_backups(back, "shop")
    assert [one.identity for one in found] == [newest.identity]
    assert result["path"] == str(found[0].path)
    assert read_proof(found[0])["drill"]["at"] == "2026-11-20T01:00:00Z"
    assert (found[0].path.stat().st_mode & 0o777, (found[0].path / "dump/toc.dat").stat().st_mode & 0o777) == (
        0o700,
        0o600,
    )
    assert not go(bucket, back, state="fetched")["changed"]


def test_a_drill_that_is_passed_later_is_told_too(bucket, sets):
    go(bucket, sets)
    newest = list_backups(sets, "shop")[1]
    write_proof(newest, {"checked_at": "x", "files": {}, "drill": {"passed": True, "at": "2026-11-20T01:00:00Z"}})
    result = go(bucket, sets)
    assert result["actions"] == [f"note the drill of {newest.name}"]
    assert [one["drilled_at"] for one in result["copies"]] == [None, "2026-11-20T01:00:00Z"]
    assert not go(bucket, sets)["changed"]


@pytest.mark.parametrize("damage", ["dump/toc.dat", "manifest.json", "SHA256SUMS", "COMPLETE.json"])
def test_what_was_changed_there_does_not_come_back(bucket, sets, tmp_path, damage):
    go(bucket, sets, newest=1)
    name = list_backups(sets, "shop")[1].name
    data, kept = bucket.objects[f"web-1/{name}/{damage}"]
    middle = data.find(b'"identity"') + 15
    bucket.objects[f"web-1/{name}/{damage}"] = (data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :], kept)
    back = tmp_path / "back"
    back.mkdir()
    with pytest.raises(OffsiteError):
        go(bucket, back, state="fetched")
    assert list_backups(back, "shop") == []
    assert [path.name for path in back.iterdir() if path.name.startswith("shop")] == []


def test_what_stands_in_the_way_is_not_overwritten(bucket, sets, tmp_path):
    go(bucket, sets, newest=1)
    back = tmp_path / "back"
    name = list_backups(sets, "shop")[1].name
    (back / name).mkdir(parents=True)
    with pytest.raises(OffsiteError, match=r"move .* away"):
        go(bucket, back, state="fetched")
    with pytest.raises(
        OffsiteError, match=r"there is no copy shop_x in backups/web-1/; there are 1, the newest is shop_"
    ):
        go(bucket, back, state="fetched", name="shop_x")


def test_old_copies_go_by_rule_and_foreign_objects_stay(bucket, sets):
    go(bucket, sets)
    bucket.objects["web-1/notes.txt"] = bucket.objects["shop_20200101T000000Z/x"] = (b"foreign", {})
    wish = {"state": "pruned", "keep": {"last": 1}, "minimum": 1}
    predicted, done = go(bucket, sets, check_mode=True, **wish), go(bucket, sets, **wish)
    assert predicted["diff"] == done["diff"]
    assert [one["name"] for one in done["copies"]] == [list_backups(sets, "shop")[1].name]
    deleted = [line.rpartition("/")[2] for line in bucket.asked if line.startswith("DELETE")]
    assert deleted[0] == "COMPLETE.json"
    assert {"web-1/notes.txt", "shop_20200101T000000Z/x"} < set(bucket.objects)
    assert not go(bucket, sets, **wish)["changed"]


def test_a_rule_that_empties_the_bucket_is_refused(bucket, sets):
    go(bucket, sets)
    with pytest.raises(OffsiteError, match=r"1 of 2 copies .* would go, allowed are 40 %"):
        go(bucket, sets, state="pruned", keep={"last": 1}, minimum=1, max_delete_percent=40)
    assert not [line for line in bucket.asked if line.startswith("DELETE")]


def test_encryption_that_was_not_done_is_a_failure(bucket, sets, monkeypatch):
    assert go(bucket, sets, server_side_encryption="AES256", newest=1)["copies"]
    bucket.objects.clear()
    monkeypatch.setattr(f"{__name__}.STORED", re.compile("x-amz-meta-", re.IGNORECASE))
    with pytest.raises(OffsiteError, match=r"encrypted by nothing, not by AES256"):
        go(bucket, sets, server_side_encryption="AES256")
    assert go(bucket, sets, state="listed")["copies"] == []


def test_one_run_at_a_time_copies(bucket, sets):
    with locked(sets, "shop.offsite"), pytest.raises(OffsiteError, match="wait until it has ended"):
        go(bucket, sets)


def test_what_was_done_before_a_failure_is_told(bucket, sets):
    newest = list_backups(sets, "shop")[1]
    path = list_backups(sets, "shop")[0].path / "dump/toc.dat"
    path.write_bytes(b"y" * 2000)
    with pytest.raises(OffsiteError, match=r"toc.dat is damaged") as raised:
        go(bucket, sets)
    assert [change["thing"] for change in raised.value.details["changes"]] == [newest.name]


def test_a_damaged_backup_keeps_no_other_from_being_copied(bucket, sets):
    older, newest = list_backups(sets, "shop")
    (newest.path / "dump/toc.dat").write_bytes(b"y" * 1000)
    with pytest.raises(OffsiteError, match=rf"{newest.name} could not be copied: .*toc.dat is damaged.* All others"):
        go(bucket, sets)
    assert [one["name"] for one in go(bucket, sets, state="listed")["copies"]] == [older.name]


def test_of_two_that_cannot_be_read_both_are_named(bucket, sets):
    names = [one.name for one in list_backups(sets, "shop")]
    for name in names:
        (sets / name / "dump/toc.dat").unlink()
    with pytest.raises(OffsiteError, match=rf"{names[0]} could not be copied: cannot read .*nor could {names[1]}"):
        go(bucket, sets)


def test_what_a_killed_run_left_counts_as_room(bucket, sets, tmp_path, monkeypatch):
    go(bucket, sets)
    back = tmp_path / "back"
    left = back / f"{list_backups(sets, 'shop')[1].name}.partial"
    left.mkdir(parents=True)
    (left / "toc.dat").write_bytes(b"x" * 100_000)
    usage = shutil.disk_usage(back)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=0))
    assert go(bucket, back, state="fetched")["changed"]
    assert not left.exists()
    with pytest.raises(OffsiteError, match="make room"):
        go(bucket, back, state="fetched", name=list_backups(sets, "shop")[0].name)


def test_without_a_copy_the_check_is_red(bucket, sets):
    check = go(bucket, sets, state="listed")["checks"][0]
    assert (check["id"], check["status"]) == ("backup_offsite:shop", "critical")
    go(bucket, sets)
    assert go(bucket, sets, state="listed", max_age="2d")["checks"][0]["status"] == "ok"
    assert go(bucket, sets, state="listed", max_age="1h")["checks"][0]["status"] == "warning"


def test_nothing_to_copy_is_a_failure(bucket, sets):
    with pytest.raises(OffsiteError, match="no whole backup of mail"):
        go(bucket, sets, set="mail")


def test_a_backup_that_was_only_predicted_is_not_missed(bucket, sets):
    assert not go(bucket, sets, set="mail", check_mode=True)["changed"]


@pytest.mark.parametrize(
    ("option", "words"),
    [
        pytest.param({"part_size": "1MiB"}, "between 5MiB and 5GiB", id="parts that S3 does not take"),
        pytest.param({"jobs": 0}, "jobs must be between", id="nobody to do it"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(option, words):
    defaults = {name: spec.get("default") for name, spec in ARGUMENTS.items()}
    with pytest.raises(ValueError, match=words):
        read_settings({**defaults, **option})


def test_a_port_where_nothing_listens_is_a_failure(bucket, sets):
    with pytest.raises((S3Error, SetError), match="refused"):
        go(bucket, sets, endpoint="http://127.0.0.1:9")
