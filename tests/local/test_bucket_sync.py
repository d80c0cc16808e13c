# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Buckets copied, lost, damaged and brought back, against moto, a stand-in for S3, and behind a proxy that fails when it is told to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "campaign"))
from ansible_collections.runbook.ops.plugins.module_utils import _bucket_work
from ansible_collections.runbook.ops.plugins.module_utils._backup_job_run import run_job
from ansible_collections.runbook.ops.plugins.module_utils._backup_tasks import plan_tasks
from ansible_collections.runbook.ops.plugins.module_utils._bucket_ends import Bucket, SyncError
from ansible_collections.runbook.ops.plugins.module_utils._bucket_sync import run
from ansible_collections.runbook.ops.plugins.module_utils._s3_storage import Place, S3Error
from ansible_collections.runbook.ops.plugins.module_utils._s3_storage import Storage as Client
from ansible_collections.runbook.ops.plugins.module_utils._s3_upload import Settings, upload_file
from ansible_collections.runbook.ops.plugins.modules.bucket_sync import ARGUMENTS, PLACE
from storage import Storage

SECRET = "a-very/secret+key="
FOREVER = 10**6
NUMBERS = count(1)
DEFAULTS: dict[str, Any] = {name: spec.get("default") for name, spec in ARGUMENTS.items()}
LARGE = os.urandom(11 << 20)
FILES = {
    "a-b.txt": b"hyphen",
    "a/b.txt": b"slash",
    "a/c ü & <d>+.txt": b"strange",
    "a/empty": b"",
    "z.bin": os.urandom(90_000),
}


@pytest.fixture(scope="module")
def storage() -> Iterator[Storage]:
    with Storage() as one:
        yield one


class Shop:
    """A live bucket and the one that it is copied to."""

    def __init__(self, storage: Storage, place: Path, *, versions: bool = True) -> None:
        self.storage, self.place, number = storage, place, next(NUMBERS)
        self.live, self.mirror = f"live-{number}", f"mirror-{number}"
        storage.make_bucket(self.live, versions=True)
        storage.make_bucket(self.mirror, versions=versions)
        storage.fail()

    def client(self, bucket: str) -> Client:
        return Client(Place(bucket, "AK", SECRET, self.storage.endpoint, timeout_seconds=30, retry_seconds=30))

    def put(self, bucket: str, files: dict[str, bytes], *, part: int = 64 << 20) -> None:
        import hashlib  # noqa: PLC0415

        for name, data in files.items():
            aside = self.place / "aside"
            aside.write_bytes(data)
            settings = Settings(part_bytes=part, checksums=False, headers=(("content-type", "text/x-own"),))
            upload_file(self.client(bucket), aside, name, hashlib.sha256(data).hexdigest(), settings)

    def drop(self, bucket: str, *names: str) -> None:
        for name in names:
            self.storage.send("DELETE", f"/{bucket}/{quote(name)}")

    def read(self, bucket: str, name: str) -> bytes | None:
        from ansible_collections.runbook.ops.plugins.module_utils import _s3_objects as objects  # noqa: PLC0415

        found: list[bytes] = []
        head = objects.look(self.client(bucket), name, checksum=False)
        if head is None:
            return None
        objects.read_object(self.client(bucket), name, head.size, found.append)
        return b"".join(found)

    def holds(self, bucket: str, files: dict[str, bytes]) -> bool:
        from ansible_collections.runbook.ops.plugins.module_utils._bucket_list import list_bucket  # noqa: PLC0415

        names = [one.key for one in list_bucket(self.client(bucket), "")]
        return names == sorted(files) and all(self.read(bucket, name) == data for name, data in files.items())

    def end(self, bucket: str = "", **more: Any) -> dict[str, Any]:
        keys = {"bucket": bucket, "endpoint": self.storage.endpoint, "access_key": "AK", "secret_key": SECRET}
        empty = {name: spec.get("default") for name, spec in PLACE.items()}
        return {**empty, **(keys if bucket else {}), **more}

    def options(self, **more: Any) -> dict[str, Any]:
        ends = {"source": self.end(self.live), "target": self.end(self.mirror)}
        own = {"work_directory": str(self.place), "timeout_seconds": 30, "retry_seconds": 1, "jobs": 4}
        return {**DEFAULTS, **ends, **own, **more}

    def sync(self, *, check_mode: bool = False, **more: Any) -> dict[str, Any]:
        return run(self.options(**more), now=lambda: datetime.now(timezone.utc), check_mode=check_mode)


@pytest.fixture
def shop(storage: Storage, tmp_path: Path) -> Shop:
    one = Shop(storage, tmp_path)
    one.put(one.live, FILES)
    return one


def statuses(result: dict[str, Any]) -> dict[str, str]:
    return {":".join(one["id"].split(":")[2:]) or "content": one["status"] for one in result["checks"]}


@pytest.mark.parametrize("copy", ["auto", "stream"])
def test_a_copy_is_predicted_made_and_found_made(shop: Shop, copy: str) -> None:
    predicted = shop.sync(copy=copy, check_mode=True)
    assert not shop.holds(shop.mirror, FILES)
    made = shop.sync(copy=copy)
    assert shop.holds(shop.mirror, FILES)
    again = shop.sync(copy=copy)
    assert (predicted["changed"], made["changed"], again["changed"]) == (True, True, False)
    assert predicted["actions"] == made["actions"] and predicted["diff"] == made["diff"]
    assert made["mirror"]["objects"] == len(FILES) and again["mirror"]["sha256"] == made["mirror"]["sha256"]
    looked = shop.sync(state="compared", max_age="1h")
    assert set(statuses(looked).values()) == {"ok"} and not looked["changed"]


@pytest.mark.parametrize("copy", ["auto", "stream"])
def test_what_was_sent_in_parts_is_known_again(shop: Shop, copy: str) -> None:
    shop.put(shop.live, {"large": LARGE}, part=5 << 20)
    shop.sync(copy=copy)
    assert shop.read(shop.mirror, "large") == LARGE
    assert not shop.sync(copy=copy)["changed"]


def test_what_is_kept_with_an_object_goes_with_its_copy(shop: Shop) -> None:
    shop.sync(copy="stream")
    said = shop.client(shop.mirror).ask(_head("a/b.txt")).headers
    assert said["content-type"] == "text/x-own"


def _head(name: str) -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils._s3_storage import Wish  # noqa: PLC0415

    return Wish("look", "HEAD", name)


def test_what_was_replaced_or_deleted_stays_as_a_version(shop: Shop) -> None:
    shop.sync()
    shop.put(shop.live, {"a/b.txt": b"other"})
    shop.drop(shop.live, "z.bin")
    done = shop.sync()
    assert done["actions"] == ["replace a/b.txt", "delete z.bin"]
    assert shop.holds(
        shop.mirror, {key: data for key, data in {**FILES, "a/b.txt": b"other"}.items() if key != "z.bin"}
    )
    assert shop.storage.versions_of(shop.mirror, "a/b.txt") == 2
    assert shop.storage.versions_of(shop.mirror, "z.bin") == 1


def test_nothing_is_deleted_where_no_versions_are_kept(storage: Storage, tmp_path: Path) -> None:
    shop = Shop(storage, tmp_path, versions=False)
    shop.put(shop.live, FILES)
    first = shop.sync()
    assert statuses(first)["versioning"] == "warning"
    shop.drop(shop.live, "z.bin")
    assert not shop.sync()["changed"] and shop.read(shop.mirror, "z.bin")
    assert shop.sync(delete="always")["actions"] == ["delete z.bin"]
    assert shop.read(shop.mirror, "z.bin") is None


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        pytest.param(list(FILES), "the source is empty", id="all of it"),
        pytest.param(
            ["a-b.txt", "a/b.txt", "z.bin"],
            "3 of the 5 objects of the target are no longer in the source",
            id="a large part",
        ),
    ],
)
@pytest.mark.parametrize("check_mode", [True, False])
def test_a_source_that_has_lost_too_much_is_refused(shop: Shop, lost: list[str], words: str, check_mode: bool) -> None:
    shop.sync()
    shop.drop(shop.live, *lost)
    with pytest.raises(SyncError, match=words):
        shop.sync(check_mode=check_mode)
    with pytest.raises(SyncError, match=r"is empty|it held 5 when it was last copied"):
        shop.sync(delete="never")
    assert shop.holds(shop.mirror, FILES)
    assert shop.sync(max_delete_percent=100)["mirror"]["deleted"] == len(lost)


def test_a_source_that_was_encrypted_by_an_intruder_is_refused(shop: Shop) -> None:
    shop.sync()
    shop.put(shop.live, {name: b"pay " + data for name, data in FILES.items()})
    with pytest.raises(SyncError, match="5 of the 5 objects of the target would be replaced"):
        shop.sync()
    assert shop.holds(shop.mirror, FILES)


def test_a_copy_that_somebody_changed_is_told_of_and_mended(shop: Shop) -> None:
    shop.sync()
    shop.put(shop.mirror, {"a/b.txt": b"SLASH"})  # as long as before
    assert statuses(shop.sync(state="compared")) == {"content": "critical", "versioning": "ok", "run": "warning"}
    assert shop.sync()["actions"] == ["replace a/b.txt"]
    assert statuses(shop.sync(state="compared"))["content"] == "ok"


def test_a_bucket_goes_back_to_what_it_was(shop: Shop) -> None:
    time.sleep(1.1)
    at = datetime.now(timezone.utc).isoformat()
    time.sleep(1.1)
    shop.put(shop.live, {"a/b.txt": b"encrypted", "ransom.txt": b"pay"})
    shop.drop(shop.live, "z.bin")
    back = {"target": shop.end(shop.live), "as_of": at, "manifest": False}
    assert shop.sync(check_mode=True, **back)["actions"] == ["copy z.bin", "replace a/b.txt", "delete ransom.txt"]
    shop.sync(**back)
    assert shop.holds(shop.live, FILES)
    assert not shop.sync(**back)["changed"]


def test_one_object_or_folder_is_brought_back_and_nothing_else_touched(shop: Shop) -> None:
    shop.sync()
    shop.put(shop.live, {"a/b.txt": b"broken", "a/new": b"new"})
    shop.drop(shop.live, "z.bin", "a/empty")
    back = {"source": shop.end(shop.mirror), "target": shop.end(shop.live), "delete": "never", "manifest": False}
    assert shop.sync(only=["z.bin"], **back)["actions"] == ["copy z.bin"]
    assert shop.sync(only=["a/", "z.bin"], **back, max_replace_percent=100)["actions"] == [
        "copy a/empty",
        "replace a/b.txt",
    ]
    assert shop.holds(shop.live, {**FILES, "a/new": b"new"})


def test_a_directory_keeps_what_was_and_gives_it_back(shop: Shop, storage: Storage) -> None:
    folder = {"target": shop.end(directory=str(shop.place / "copy"))}
    shop.put(shop.live, {"large": LARGE}, part=5 << 20)
    shop.put(shop.live, {"folder/": b"", "a/../../escape": b"no"})
    made = shop.sync(**folder)
    assert made["mirror"]["left_out"] == ["a/../../escape: its name is none of a file"]
    assert (shop.place / "copy/a/c ü & <d>+.txt").read_bytes() == b"strange" and (
        shop.place / "copy/large"
    ).read_bytes() == LARGE
    assert not shop.sync(**folder)["changed"]
    shop.put(shop.live, {"a/b.txt": b"other"})
    shop.drop(shop.live, "z.bin")
    assert shop.sync(**folder)["actions"] == ["replace a/b.txt", "delete z.bin"]
    kept = list((shop.place / "copy/.bucket_sync/history").glob("*/a/b.txt"))
    assert [one.read_bytes() for one in kept] == [b"slash"]
    storage.make_bucket(f"{shop.live}-new")
    back = {"source": shop.end(directory=str(shop.place / "copy")), "target": shop.end(f"{shop.live}-new")}
    shop.sync(**back)
    wanted = {**FILES, "a/b.txt": b"other", "large": LARGE}
    assert shop.holds(f"{shop.live}-new", {name: data for name, data in wanted.items() if name != "z.bin"})
    assert not shop.sync(**back)["changed"]


FAULTS = [
    ({"fault": "503", "method": "PUT", "match": "z.bin", "times": 1}, None),
    ({"fault": "500", "method": "PUT", "match": "z.bin", "times": FOREVER}, "HTTP 500 InternalError; tried"),
    ({"fault": "late", "method": "PUT", "match": "z.bin", "times": FOREVER}, "HTTP 500 InternalError; tried"),
    ({"fault": "lost", "method": "PUT", "match": "z.bin", "times": 1}, None),
    ({"fault": "short", "method": "GET", "match": "list-type", "times": FOREVER}, "closed the connection after"),
    ({"fault": "500", "method": "GET", "match": "list-type", "times": FOREVER}, "cannot list the bucket"),
]
STREAMED = [
    (
        {"fault": "damage", "method": "GET", "match": "z.bin", "times": 1},
        "z.bin of .* is damaged there, or was on its way",
    ),
    ({"fault": "damage", "method": "PUT", "match": "z.bin", "times": 1}, "z.bin arrived damaged in .*: read back"),
    ({"fault": "less", "method": "GET", "match": "z.bin", "times": FOREVER}, "ends after .* of 90000 bytes"),
    ({"fault": "slow", "method": "GET", "match": "z.bin", "times": FOREVER, "seconds": 2.5}, "no answer within 2 s"),
]


@pytest.mark.parametrize(
    ("copy", "fault", "words"),
    [*(("auto", *one) for one in FAULTS), *(("stream", *one) for one in [*FAULTS[:2], *STREAMED])],
)
def test_storage_in_trouble_is_told_in_one_line_and_the_next_run_goes_on(
    shop: Shop, copy: str, fault: dict[str, Any], words: str | None
) -> None:
    shop.storage.fail(fault)
    patience = 2 if fault["fault"] == "slow" else 30
    if words is None:
        shop.sync(copy=copy)
    else:
        with pytest.raises((S3Error, SyncError), match=words) as failed:
            shop.sync(copy=copy, timeout_seconds=patience)
        assert "\n" not in str(failed.value) and SECRET not in str(failed.value)
    shop.storage.fail()
    shop.sync(copy=copy)
    assert shop.holds(shop.mirror, FILES)
    assert not list(shop.place.glob("*/work")), "what passed through is removed"


POINTS = ["planned", "copied", "compared", "deleted"]


@pytest.mark.parametrize("point", POINTS)
def test_a_run_that_is_killed_is_gone_on_with(shop: Shop, point: str) -> None:
    if point == "deleted":
        shop.sync()
        shop.drop(shop.live, "z.bin")
    code = (
        "import json, sys; from datetime import datetime, timezone; "
        "from ansible_collections.runbook.ops.plugins.module_utils._bucket_sync import run; "
        "run(json.load(sys.stdin), now=lambda: datetime.now(timezone.utc), check_mode=False)"
    )
    import json  # noqa: PLC0415

    options = shop.options(copy="stream")
    environment = {**os.environ, "RUNBOOK_OPS_KILL_AT": f"bucket_sync:{point}"}
    done = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(options), env=environment, text=True, check=False, timeout=300
    )
    assert done.returncode == -signal.SIGKILL
    wanted = {name: data for name, data in FILES.items() if point != "deleted" or name != "z.bin"}
    again = shop.sync(copy="stream")
    assert shop.holds(shop.mirror, wanted)
    if point == "compared":
        assert not again["changed"], "nothing is copied twice"
    assert not shop.sync(copy="stream")["changed"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"bucket": "nowhere"}, "there is no bucket nowhere", id="no such bucket"),
        pytest.param({"secret_key": "two words"}, "holds a space", id="a broken key"),
    ],
)
def test_a_wrong_name_or_key_is_told(shop: Shop, change: dict[str, Any], words: str) -> None:
    with pytest.raises(S3Error, match=words):
        shop.sync(source={**shop.end(shop.live), **change})


def test_places_that_lie_in_each_other_are_refused(shop: Shop) -> None:
    for target in (shop.end(shop.live), shop.end(shop.live, prefix="backup")):
        with pytest.raises(SyncError, match=r"the same|lie in each other"):
            shop.sync(target=target)


def test_memory_stays_flat_and_two_at_a_time_are_refused(shop: Shop) -> None:
    from ansible_collections.runbook.ops.plugins.module_utils._backup_set import locked  # noqa: PLC0415

    shop.sync()
    (work,) = [one for one in shop.place.iterdir() if one.is_dir()]
    with locked(work, "run"), pytest.raises(SyncError, match="another run copies to"):
        shop.sync()


def test_a_locked_bucket_says_so(shop: Shop) -> None:
    assert statuses(shop.sync(object_lock=True, check_mode=True))["object_lock"] == "warning"
    rule = "<Rule><DefaultRetention><Mode>COMPLIANCE</Mode><Days>30</Days></DefaultRetention></Rule>"
    body = f"<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>{rule}</ObjectLockConfiguration>"
    shop.storage.send("PUT", f"/{shop.mirror}?object-lock", body.encode())
    locked = shop.sync(object_lock=True)
    assert statuses(locked)["object_lock"] == "ok"
    assert locked["mirror"]["object_lock"] == {"enabled": True, "mode": "COMPLIANCE", "days": 30}


@pytest.mark.parametrize("copy", ["auto", "stream"])
def test_an_encrypted_copy_is_known_by_the_tag_that_was_noted(shop: Shop, copy: str) -> None:
    shop.storage.fail(
        *(
            {"fault": "tag", "method": method, "match": shop.mirror, "times": FOREVER}
            for method in ("GET", "HEAD", "PUT", "POST")
        )
    )
    shop.put(shop.live, {"large": LARGE}, part=5 << 20)
    shop.sync(copy=copy)
    assert not shop.sync(copy=copy)["changed"]
    shop.storage.fail()
    assert shop.holds(shop.mirror, {**FILES, "large": LARGE})


def test_what_came_since_the_last_run_is_no_fault_of_it(shop: Shop) -> None:
    shop.sync()
    time.sleep(1.1)
    shop.put(shop.live, {"new": b"since"})
    looked = shop.sync(state="compared")
    assert statuses(looked)["content"] == "ok" and looked["mirror"]["new"] == 1
    assert statuses(shop.sync(state="compared", max_age="0s"))["content"] == "critical"


def test_a_work_directory_of_somebody_else_is_refused(shop: Shop) -> None:
    shop.sync()
    (work,) = [one for one in shop.place.iterdir() if one.is_dir()]
    work.rename(shop.place / "elsewhere")
    work.symlink_to(shop.place / "elsewhere")
    with pytest.raises(SyncError, match="belongs to somebody else"):
        shop.sync()


def test_nothing_is_deleted_where_versions_were_turned_off_meanwhile(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.sync()
    shop.drop(shop.live, "z.bin")
    found = iter([True, False])
    monkeypatch.setattr(Bucket, "keeps", lambda _self: {"versioned": next(found), "object_lock": None})
    with pytest.raises(SyncError, match="has stopped keeping versions"):
        shop.sync()
    assert shop.read(shop.mirror, "z.bin") == FILES["z.bin"]


def test_a_damaged_copy_is_not_vouched_for_by_its_note(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([False, _bucket_work.DamagedError("read back, it is another")])

    def prove(*_arguments: Any) -> bool:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with monkeypatch.context() as patched:
        patched.setattr(_bucket_work, "prove", prove)
        with pytest.raises(S3Error, match="read back"):
            shop.sync(copy="stream", jobs=1, only=["a-b.txt"])
    assert shop.read(shop.mirror, "a-b.txt") is None
    assert shop.sync(copy="stream")["mirror"]["copied"] == len(FILES)


def test_a_backup_job_mirrors_a_bucket_and_fails_where_the_source_has_lost_too_much(shop: Shop) -> None:
    keys = {"access_key": "AK", "secret_key": SECRET, "endpoint": shop.storage.endpoint, "region": "us-east-1"}
    buckets = [
        {"name": "media", "bucket": shop.live, "mirror": "copy", **keys},
        {"name": "copy", "bucket": shop.mirror, **keys},
    ]
    item = {"name": "daily", "made_by": "collection", "directory": "/b", "keep": {"last": 3}, "buckets": ["media"]}
    tasks = plan_tasks({"backups": [item], "buckets": buckets})
    for task in tasks:
        task["options"].update(work_directory=str(shop.place), retry_seconds=1)
    log = shop.place / "backup.log"
    jobs = {"daily": {"tasks": tasks, "log": str(log), "success": "daily backup completed"}}
    secrets = {f"bucket:{name}:{key}": keys[key] for name in ("media", "copy") for key in ("access_key", "secret_key")}

    def night() -> str:
        run_job({"jobs": jobs, "attempts": 1, "retry_seconds": 0}, secrets, "daily")
        return log.read_text(encoding="utf-8").splitlines()[-1]

    assert "daily backup completed: media mirrored" in night()
    assert shop.holds(shop.mirror, FILES)
    assert "daily backup completed: nothing was due" in night()
    shop.drop(shop.live, *FILES)
    said = night()
    assert "daily backup failed: bucket_sync media:" in said and SECRET not in said
    assert shop.holds(shop.mirror, FILES)
