# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies backups into object storage that fails in every way, is refused, and is killed in the middle; looks at what is left.

Run it by hand: ``python3 tests/campaign/offsite_faults.py [--kills 40] [--seed 1]``. It installs moto for itself. After each failure
nothing half may be listed, the message must be one line without a secret, and the next run must converge without sending again
what is there. Ends with 1 when anything was violated.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "collections"))
sys.path.insert(0, str(Path(__file__).resolve().parent))
from ansible_collections.runbook.ops.plugins.module_utils._backup_draft import Draft
from ansible_collections.runbook.ops.plugins.module_utils._backup_proof import check, read_proof
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import SetError, leftovers, list_backups
from ansible_collections.runbook.ops.plugins.module_utils._offsite_plan import OffsiteError
from ansible_collections.runbook.ops.plugins.module_utils._offsite_run import run
from ansible_collections.runbook.ops.plugins.module_utils._s3_storage import S3Error
from storage import Storage

BUCKET, SET, SECRET = "backups", "shop", "a-very/secret+key="
NOW = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(hours=1)  # later than all that is written
PART = 5 << 20
PAYLOAD = {"dump/toc.dat": 1000, "dump/empty ü & +.dat": 0, "dump/3001.dat": 90_000, "dump/large.dat": 2 * PART + 1234}
OPTIONS: dict[str, Any] = {
    "state": "copied", "set": SET, "name": "latest", "newest": None, "keep": None, "minimum": 3, "max_delete_percent": 90,
    "incomplete_after": "0s", "max_age": None, "bucket": BUCKET, "region": "us-east-1", "access_key": "AK", "secret_key": SECRET,
    "session_token": None, "verify": True, "ca_path": None, "compare": "content", "server_side_encryption": None, "kms_key_id": None,
    "storage_class": None, "checksums": True, "part_size": "5MiB", "jobs": 3, "timeout_seconds": 1, "retry_seconds": 1,
}  # fmt: skip
FOREVER = 10**9
DESCRIPTIONS = 3000  # bytes of manifest.json and SHA256SUMS, at most
LARGE, SMALL, MARKER = "large[.]dat", "3001", "COMPLETE"
COMPLETE_UPLOAD = "large.*[?]uploadId="
POINTS = {"copied": ["uploaded", "compared", "marked"], "fetched": ["fetched", "named"], "pruned": ["unmarked"]}


class Case(NamedTuple):
    """A fault, and what is to come of it: words of the failure, or none where the run gets over it."""

    fault: str
    method: str
    match: str
    times: int
    words: str | None
    options: Mapping[str, Any] = {}
    seconds: float = 0
    resent_most: int = FOREVER  # bytes that the next run may send


CASES = [
    Case("500", "GET", "list-type", 2, None, {"retry_seconds": 5}),
    Case("500", "GET", "list-type", FOREVER, "cannot list the bucket .* HTTP 500 InternalError; tried .* times"),
    Case("500", "PUT", SMALL, 1, None),
    Case("500", "PUT", SMALL, FOREVER, "HTTP 500 InternalError; tried"),
    Case("503", "PUT", LARGE, 1, None),
    Case("503", "PUT", LARGE + ".*partNumber=3", FOREVER, "HTTP 503 SlowDown: it asks for fewer requests; tried", resent_most=2 * PART),
    Case("503", "PUT", MARKER, FOREVER, "cannot write .*COMPLETE.json", resent_most=0),
    Case("slow", "PUT", SMALL, 1, None, {}, 1.5),
    Case("slow", "PUT", SMALL, FOREVER, "no answer within 1 s", {}, 1.5),
    Case("slow", "GET", LARGE + "$", FOREVER, "no answer within 1 s", {}, 1.5, resent_most=0),
    Case("trickle", "GET", SMALL, FOREVER, "not done within 4 s", {"timeout_seconds": 1, "retry_seconds": 1}, 0.5),
    Case("close", "PUT", LARGE, 1, None),
    Case("close", "PUT", SMALL, FOREVER, "closed the connection|reset by peer|Broken pipe"),
    Case("lost", "PUT", SMALL, 1, None),
    Case("lost", "PUT", LARGE, FOREVER, "closed the connection"),
    Case("lost", "POST", COMPLETE_UPLOAD, 1, None),
    Case("lost", "PUT", MARKER, 1, None),
    Case("late", "POST", COMPLETE_UPLOAD, 1, None),
    Case("late", "POST", COMPLETE_UPLOAD, FOREVER, "HTTP 500 InternalError", resent_most=0),
    Case("short", "GET", LARGE + "$", 2, None, {"retry_seconds": 5}),
    Case("short", "GET", "list-type", FOREVER, "closed the connection after"),
    Case("less", "GET", SMALL, FOREVER, "ends after .* of 90000 bytes; tried 3 times", {"retry_seconds": 5}),
    Case("less", "PUT", SMALL, 1, None),
    Case("digest", "PUT", SMALL, 1, None),
    Case("digest", "PUT", SMALL, FOREVER, "BadDigest: it arrived damaged; tried 3 times", {"retry_seconds": 9}),
    Case("damage", "PUT", SMALL, 1, "not what was sent: read back, it has another SHA-256|arrived damaged"),
    Case("damage", "GET", SMALL, 1, "not what was sent: read back, it has another SHA-256"),
    Case("damage", "PUT", LARGE + ".*partNumber=2", 1, "not what was sent: read back", {"compare": "checksum"}),
]  # fmt: skip


class Campaign:
    """One directory of backups, one bucket, and what went wrong."""

    def __init__(self, storage: Storage, place: Path, seed: int) -> None:
        self.storage, self.random, self.problems = storage, random.Random(seed), list[str]()
        self.directory, self.back = place / "backups", place / "back"
        self.directory.mkdir()
        self.back.mkdir()
        for days in (3, 2, 1):
            payload = PAYLOAD if days == 1 else {"dump/toc.dat": 500}
            self.make(NOW - timedelta(days=days), payload)
        self.names = [backup.name for backup in list_backups(self.directory, SET)]

    def make(self, at: datetime, payload: Mapping[str, int], wanted: str = SET) -> None:
        with Draft.begin(self.directory, wanted, at) as draft:
            for path, size in payload.items():
                with draft.create(path) as file:
                    file.write(self.random.randbytes(size))
            draft.seal({"kind": "postgresql", "host": "web-1", "content": {}})

    def options(self, prefix: str, **more: Any) -> dict[str, Any]:
        place = {"directory": str(self.directory), "endpoint": self.storage.endpoint, "prefix": prefix}
        return {**OPTIONS, **place, **more}

    def go(self, prefix: str, **more: Any) -> dict[str, Any]:
        return run(self.options(prefix, **more), now=lambda: NOW, check_mode=False)

    def refused(self, what: str, words: str, prefix: str, **more: Any) -> None:
        """Run, and note where it does not fail in these words."""
        try:
            self.go(prefix, **more)
        except (OffsiteError, S3Error, SetError) as exc:
            text = str(exc)
            if not re.search(words, text) or "\n" in text or more.get("secret_key", SECRET) in text:
                self.problems.append(f"{what}: it says {text!r}, not {words!r}")
        else:
            self.problems.append(f"{what}: it did not fail")

    def expect(self, what: str, found: object, right: object) -> None:
        if found != right:
            self.problems.append(f"{what}: {found!r} instead of {right!r}")

    def fault(self, number: int, case: Case) -> None:
        """Let a copy meet one fault, then none."""
        what = f"{case.fault} {case.method} {case.match} x{case.times}"
        prefix = f"case-{number}/of many"
        wish = {"newest": 1, **case.options}
        fault = {"fault": case.fault, "method": case.method, "match": case.match, "times": case.times}
        self.storage.fail({**fault, "seconds": case.seconds})
        if case.words is None:
            self.expect(what, [one["name"] for one in self.go(prefix, **wish)["copies"]], self.names[-1:])
        else:
            self.refused(what, case.words, prefix, **wish)
            self.storage.fail()
            self.expect(f"{what}, listed", self.go(prefix, state="listed")["copies"], [])
            again = self.go(prefix, **wish)
            self.expect(f"{what}, again", [one["name"] for one in again["copies"]], self.names[-1:])
            if again["bytes_sent"] > case.resent_most + DESCRIPTIONS:
                self.problems.append(f"{what}: {again['bytes_sent']} bytes were sent again")
        self.storage.fail()
        self.expect(f"{what}, a last time", self.go(prefix, **wish)["changed"], False)

    def refusals(self) -> None:
        """Wrong names, keys and permissions. Signatures are checked by moto with botocore's own code."""
        self.refused("no bucket", "there is no bucket nowhere", "p", bucket="nowhere")
        self.refused("no server", "refused; tried", "p", endpoint="http://127.0.0.1:9")
        self.refused("no backup", "there is no whole backup of other", "p", set="other")
        self.make(NOW - timedelta(days=1), {"plain.dat": 1000}, "plain")  # moto decodes signs in a URL before it checks
        good = dict(zip(("access_key", "secret_key"), self.storage.make_user("writer", ["s3:*"])))
        reader = dict(
            zip(("access_key", "secret_key"), self.storage.make_user("reader", ["s3:ListBucket", "s3:GetObject"]))
        )
        self.storage.check_keys(yes=True)
        try:
            self.refused(
                "wrong secret", "the secret key is wrong", "", set="plain", **{**good, "secret_key": "wr0ng/secret"}
            )
            self.refused(
                "unknown key", "access key is not known", "", set="plain", **{**good, "access_key": "AKIAUNKNOWN"}
            )
            self.refused("denied", "this access key may not write plain_", "", set="plain", **reader)
            self.expect("signed", len(self.go("", set="plain", **good)["copies"]), 1)
        finally:
            self.storage.check_keys(yes=False)

    def encryption(self) -> None:
        more = {"server_side_encryption": "AES256", "storage_class": "STANDARD_IA", "newest": 1}
        self.expect("encrypted", len(self.go("sse", **more)["copies"]), 1)
        self.expect("still encrypted", self.go("sse", **more)["changed"], False)

    def damages_here(self) -> None:
        """A backup that is damaged on the host is not copied."""
        path = self.directory / self.names[-1] / "dump" / "3001.dat"
        good = path.read_bytes()
        path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        try:
            self.refused("damaged here", "3001.dat is damaged", "damaged", newest=1)
            self.expect("damaged here, listed", self.go("damaged", state="listed")["copies"], [])
        finally:
            path.write_bytes(good)

    def damages_there(self) -> None:
        """What is changed, cut or missing in the bucket is not fetched."""
        self.go("there")
        name = self.names[-1]
        self.storage.send("PUT", f"/{BUCKET}/there/{name}/dump/3001.dat", b"x" * 90_000)
        self.refused(
            "replaced there", "3001.dat of the copy .* is damaged", "there", state="fetched", directory=str(self.back)
        )
        self.storage.send("PUT", f"/{BUCKET}/there/{name}/dump/3001.dat", b"x")
        listed = self.go("there", state="listed")
        self.expect("cut there", [one["name"] for one in listed["copies"]], self.names[:-1])
        self.expect("cut there, the check", listed["checks"][0]["status"], "warning")
        self.storage.send("DELETE", f"/{BUCKET}/there/{name}/COMPLETE.json")
        self.refused(
            "unmarked there", "not complete: its COMPLETE.json is missing", "there", state="fetched", name=name
        )
        self.expect("nothing came", sorted(path.name for path in self.back.iterdir()), [f".{SET}.lock"])
        mended = self.go("there")
        self.expect("mended", (mended["copies"][-1]["name"], mended["bytes_sent"]), (name, 90_000))

    def prune(self) -> None:
        """Old copies go by rule, their marker first; versions and foreign objects stay."""
        self.storage.make_bucket("versions", versions=True)
        at = {"bucket": "versions", "keep": {"last": 1}, "minimum": 1}
        self.go("old", bucket="versions")
        for key in (
            "old/notes.txt",
            f"old/other_{self.names[0][5:]}/x",
            f"{self.names[0]}/x",
            f"older/{self.names[0]}/x",
        ):
            self.storage.send("PUT", f"/versions/{key}", b"foreign")
        before = self.storage.versions_of("versions", "")
        self.storage.fail({"fault": "500", "method": "DELETE", "match": "toc", "times": FOREVER})
        self.refused("cannot delete", "cannot delete old/.*toc.dat .*HTTP 500", "old", state="pruned", **at)
        self.storage.fail()
        half = self.go("old", state="listed", bucket="versions")
        self.expect("half deleted", [one["name"] for one in half["copies"]], self.names[1:])
        done = self.go("old", state="pruned", **at)
        self.expect("pruned", [one["name"] for one in done["copies"]], self.names[2:])
        self.expect("rest", (done["incomplete"], done["versioned"]), ([], True))
        self.expect("versions", self.storage.versions_of("versions", ""), before)
        self.expect("pruned again", self.go("old", state="pruned", **at)["changed"], False)
        self.expect("not copied back", self.go("old", **at)["changed"], False)

    def full_disk(self) -> None:
        """A file that cannot be written ends the fetch at once, and leaves nothing."""
        self.go("full", newest=1)
        options = self.options("full", state="fetched", directory=str(self.back))
        code, said = self.child(options, file_limit=PART)
        self.expect("full disk", (code, bool(re.search("cannot write .*large.dat .File too large", said))), (1, True))
        self.expect("full disk, left", sorted(path.name for path in self.back.iterdir()), [f".{SET}.lock"])

    def child(
        self, options: dict[str, Any], *, point: str = "", after: float | None = None, file_limit: int = 0
    ) -> tuple[int, str]:
        """Run in a process of its own, which is killed at a point or after so many seconds."""
        argv = [sys.executable, __file__, "--child", json.dumps(options)]
        limit = (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))) if file_limit else None
        process = subprocess.Popen(
            argv,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "RUNBOOK_OPS_KILL_AT": point},
            preexec_fn=limit,  # noqa: PLW1509  # this process has one thread
        )
        try:
            said = process.communicate(timeout=60 if after is None else after)[0]
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            said = process.communicate()[0]
        return process.returncode, said

    def kill(self, number: int) -> str:
        """Kill a run somewhere, and let the next one finish; return where."""
        state = ("copied", "fetched", "pruned")[number % 3]
        prefix, back = f"kill-{number}", self.back / str(number)
        back.mkdir()
        if state != "copied":
            self.go(prefix)
        more = {"keep": {"last": 1}, "minimum": 1} if state == "pruned" else {}
        target = {"directory": str(back)} if state == "fetched" else {}
        options = self.options(prefix, state=state, **more, **target)
        named = number % 2 == 0
        point = f"backup_offsite:{self.random.choice(POINTS[state])}" if named else ""
        after = None if named else self.random.uniform(0.12, 0.7)
        code, said = self.child(options, point=point, after=after)
        what = f"kill {number} {state} {point or f'after {after:.3f} s'}"
        if code not in (-signal.SIGKILL, 0) or (named and code == 0):
            self.problems.append(f"{what}: ended with {code}: {said}")
        for backup in list_backups(back, SET):
            self.expect(f"{what}, there", check(backup).problems, [])
        listed = self.go(prefix, state="listed")["copies"]
        for one in listed if state == "copied" else []:  # it must be whole
            self.go(prefix, state="fetched", name=one["name"], directory=str(back))
        if state == "pruned" and self.names[-1] not in [one["name"] for one in listed]:
            self.problems.append(f"{what}: the newest copy is gone")
        done = run(options, now=lambda: NOW, check_mode=False)
        right = self.names[-1:] if state == "pruned" else self.names
        self.expect(f"{what}, then", ([one["name"] for one in done["copies"]], done["incomplete"]), (right, []))
        self.expect(f"{what}, at last", run(options, now=lambda: NOW, check_mode=False)["changed"], False)
        self.expect(f"{what}, left over", leftovers(back, SET), [])
        for backup in list_backups(back, SET):
            right_one = next(one for one in list_backups(self.directory, SET) if one.name == backup.name)
            self.expect(f"{what}, fetched", (check(backup).problems, backup.identity), ([], right_one.identity))
        if state == "fetched":
            proof = read_proof(list_backups(back, SET)[0])
            self.expect(f"{what}, proof", bool(proof and len(proof["files"]) == len(PAYLOAD)), True)
        shutil.rmtree(back)
        return "killed" if code else "too late"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--faults", type=int, default=len(CASES), help="so many of the cases, chosen by the seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        return child(json.loads(given.child))
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="runbook-offsite-") as place, Storage() as storage:
        campaign = Campaign(storage, Path(place), given.seed)
        storage.make_bucket(BUCKET)
        chosen = sorted(random.Random(given.seed).sample(range(len(CASES)), min(given.faults, len(CASES))))
        for number in chosen:
            try:
                campaign.fault(number, CASES[number])
            except (OffsiteError, S3Error, SetError) as exc:
                campaign.problems.append(f"{CASES[number]}: {exc}")
        campaign.refusals()
        campaign.encryption()
        campaign.damages_here()
        campaign.damages_there()
        campaign.prune()
        campaign.full_disk()
        ends = [campaign.kill(number) for number in range(given.kills)]
    for problem in campaign.problems:
        print(problem)
    print(
        f"faults: {len(chosen)}; kills: {given.kills} ({ends.count('killed')} in time); violations: {len(campaign.problems)}; "
        f"seed: {given.seed}; {time.monotonic() - began:.0f} s"
    )
    return 1 if campaign.problems else 0


def child(options: dict[str, Any]) -> int:
    """Be the process that is killed."""
    try:
        run(options, now=lambda: NOW, check_mode=False)
    except (OffsiteError, S3Error, SetError) as exc:
        print(exc)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
