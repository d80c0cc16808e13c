# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bucket of S3, or of what speaks it: reachable with these keys, and its newest object young and large enough. Private to this collection."""

from __future__ import annotations

import json
import re
import time
from datetime import datetime, timezone
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_check
from ansible_collections.runbook.ops.plugins.module_utils._http import HttpError, ask, split_url
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError, limits
from ansible_collections.runbook.ops.plugins.module_utils._s3 import (
    Object,
    element,
    read_page,
    refusal,
    request_url,
    sign,
)
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration, human_size

SECTION = "Storage"
OPTIONS = {
    "bucket": Option("str", "name of the bucket", required=True),
    "endpoint": Option("str", "URL of the service; without it that of AWS in this region"),
    "region": Option("str", "its region; R2 calls it auto", "us-east-1"),
    "access_key": Option("secret", "name of the access key's id among the secrets", required=True),
    "secret_key": Option("secret", "name of the access key's secret part among the secrets", required=True),
    "prefix": Option("str", "what the keys of the objects that are looked at begin with", ""),
    "seconds": Option("limits", "time until it has answered", limits(5)),
    "max_age_seconds": Option("float", "the newest object must be younger; without it no object is looked for"),
    "min_size_bytes": Option("int", "the newest object must be at least so large", 1),
    "most_objects": Option("int", "how many objects are looked through for the newest at most", 10000),
    "mirror_max_age_seconds": Option(
        "float", "it is a mirror, and the last run of bucket_sync into it must have finished within"
    ),
    "versioning": Option("bool", "whether it must keep versions"),
    "encryption": Option("bool", "whether it must encrypt by default"),
    "address": Option("str", "address or name to connect to instead of the endpoint's host"),
    "verify": Option("bool", "check the server's certificate", True),
    "ca_path": Option("str", "file of certificates to trust instead of the system's store"),
}
COMPLETE = "COMPLETE.json"
MIRRORED = ".bucket_sync.json"  # what bucket_sync writes down when it has finished
# A copy of a backup that the module backup_offsite made: <set>_<YYYYMMDD>T<HHMMSS>Z/, and files in it.
COPY = re.compile(r"(?:.*/)?[A-Za-z0-9][A-Za-z0-9._-]*_\d{8}T\d{6}Z/")
SETTINGS = {  # what is said where it is on, where it is off, and what to do then
    "versioning": (
        "versions are kept",
        "no versions are kept",
        "turn it on at the provider: without it, what is overwritten or deleted is gone",
    ),
    "encryption": (
        "objects are encrypted",
        "objects are not encrypted by default",
        "turn it on at the provider",
    ),
}


class _BucketError(Exception):
    """The service says no: see :func:`refusal`."""

    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__(answer["detail"])
        self.answer = answer


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return how long the first answer took, the newest object, when it was mirrored, and the settings that were asked for."""
    deadline = time.monotonic() + options["timeout_seconds"]
    began = time.monotonic()
    wants_newest = options["max_age_seconds"] is not None
    try:
        first = _ask(options, list_query(options["prefix"], 1000 if wants_newest else 1), deadline)
        seconds = round(time.monotonic() - began, 4)
        newest, seen, is_all = _newest(options, first, deadline) if wants_newest else (None, 0, True)
        settings = {key: _setting(options, key, deadline) for key in SETTINGS if options[key] is not None}
        mirrored = _mirrored(options, deadline) if options["mirror_max_age_seconds"] is not None else None
    except _BucketError as exc:
        if exc.answer["down"]:
            return {"error": str(exc), "remedy": exc.answer["remedy"]}
        raise ProbeError(f"{options['bucket']}: {exc}", exc.answer["remedy"]) from exc
    except HttpError as exc:
        return {"error": str(exc), "remedy": "see the network, and the provider's status page"}
    return {
        "error": None,
        "seconds": seconds,
        "newest": newest and newest._asdict(),
        "seen": seen,
        "all": is_all,
        "now": time.time(),
        "mirrored": mirrored,
        **settings,
    }


def list_query(prefix: str, most: int, token: str | None = None) -> dict[str, str]:
    """Return the query that lists objects."""
    more = {"continuation-token": token} if token else {}
    return {"list-type": "2", "max-keys": str(most), "prefix": prefix, **more}


def _ask(options: dict[str, Any], query: dict[str, str], deadline: float, key: str = "") -> str:
    endpoint = options["endpoint"] or f"https://s3.{options['region']}.amazonaws.com"
    url = request_url(endpoint, options["bucket"], query, key)
    try:
        scheme, host, port, _target = split_url(url)
    except ValueError as exc:
        raise ProbeError(str(exc), "correct endpoint") from exc
    usual = port == (443 if scheme == "https" else 80)
    named = f"[{host}]" if ":" in host else host
    keys = {key: options[key] for key in ("access_key", "secret_key", "region")}
    headers = sign(url, host=named if usual else f"{named}:{port}", now=datetime.now(timezone.utc), **keys)
    door = {key: options[key] for key in ("address", "verify", "ca_path")}
    left = deadline - time.monotonic()
    if left <= 0:
        raise HttpError(f"no answer within {options['timeout_seconds']:g} s")
    answer = ask(url, timeout_seconds=left, headers=headers, body_limit_bytes=4 << 20, **door)
    body = answer.body.decode(errors="replace")
    if answer.status != 200:
        raise _BucketError(refusal(answer.status, body, options["bucket"]))
    return body


def _newest(options: dict[str, Any], body: str, deadline: float) -> tuple[Object | None, int, bool]:
    found: list[Object] = []
    seen = 0
    while True:
        try:
            page = read_page(body)
        except ValueError as exc:
            raise ProbeError(f"{options['bucket']}: {exc}", "correct endpoint") from exc
        seen += len(page.objects)
        files = [one for one in page.objects if COPY.match(one.key)]
        # Consoles make empty objects that stand for directories.
        plain = [one for one in page.objects if not COPY.match(one.key) and not one.key.endswith(("/", MIRRORED))]
        found += [*files, *sorted(plain, key=lambda one: one.modified_at)[-1:]]
        if page.next_token is None or seen >= options["most_objects"]:
            newest = max(whole(found), key=lambda one: one.modified_at, default=None)
            return newest, seen, page.next_token is None
        body = _ask(options, list_query(options["prefix"], 1000, page.next_token), deadline)


def whole(objects: list[Object]) -> list[Object]:
    """Return ``objects`` with the files of each copy of a backup taken together; a copy that is not complete is left out.

    A copy is as young as its mark, which is written last.
    """
    told, copies = [], dict[str, list[Object]]()
    for one in objects:
        copy = COPY.match(one.key)
        if copy:
            copies.setdefault(copy[0], []).append(one)
        else:
            told.append(one)
    for name, files in copies.items():
        told += [
            Object(name, sum(file.size for file in files), mark.modified_at)
            for mark in files
            if mark.key == f"{name}{COMPLETE}"
        ]
    return told


def _setting(options: dict[str, Any], key: str, deadline: float) -> Any:
    """Return whether the bucket has the setting, or in a few words why it does not tell."""
    try:
        body = _ask(options, {key: ""}, deadline)
    except _BucketError as exc:
        if "ServerSideEncryptionConfigurationNotFoundError" in str(exc):
            return False
        return str(exc)
    return element(body, "Status") == "Enabled" if key == "versioning" else bool(re.search(r"<SSEAlgorithm>", body))


def _mirrored(options: dict[str, Any], deadline: float) -> Any:
    """Return when the last run into a mirror finished, in seconds since 1970, or in a few words why that is not known."""
    prefix = options["prefix"].strip("/")
    try:
        said = json.loads(_ask(options, {}, deadline, f"{prefix}/{MIRRORED}" if prefix else MIRRORED))
        return datetime.fromisoformat(said["finished_at"]).timestamp()
    except _BucketError as exc:
        if "NoSuchKey" in str(exc) or "HTTP 404" in str(exc):
            return "no run has finished yet"
        raise
    except (ValueError, TypeError, KeyError):
        return f"{MIRRORED} is damaged"


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a check of the bucket, of its newest object, of what mirrors into it, and of each setting that it must have."""
    name, section = options["name"] or options["bucket"], options["section"]
    identity = f"bucket:{name}"
    if measured["error"]:
        more = {"detail": measured["error"], "remedy": measured["remedy"]}
        return [make_check(identity, name=name, section=section, status="critical", **more)]
    status, limit = judge_high(measured["seconds"], **options["seconds"])
    checks = [
        make_check(
            identity,
            name=name,
            section=section,
            status=status,
            value=measured["seconds"],
            unit="s",
            limit=limit,
            detail=f"listed in {measured['seconds'] * 1000:.0f} ms",
            remedy="see the network, and the provider's status page",
        )
    ]
    if options["max_age_seconds"] is not None:
        checks.append(_newest_check(identity, name, measured, options))
    if options["mirror_max_age_seconds"] is not None:
        checks.append(_mirror_check(identity, name, measured, options))
    for key in SETTINGS:
        if options[key] is not None:
            checks.append(_setting_check(key, name, measured[key], options))
    return checks


def _newest_check(identity: str, name: str, measured: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    found, section, oldest = measured["newest"], options["section"], options["max_age_seconds"]
    where = f"{options['bucket']}/{options['prefix']}"
    remedy = "see the job that uploads it, its log and its keys"
    more: dict[str, Any] = {"name": f"{name} newest object", "section": section, "limit": oldest, "unit": "s"}
    if not found:
        detail = f"there is no object in {where}"
        return make_check(f"{identity}:newest", status="critical", detail=detail, remedy=remedy, **more)
    age = max(0.0, round(measured["now"] - found["modified_at"], 1))
    is_old, is_small = age >= oldest, found["size"] < options["min_size_bytes"]
    detail = f"{found['key']}: {human_duration(age)} old, {human_size(found['size'])}"
    status = "critical" if is_old or is_small else "ok"
    if is_small:
        detail += f", at least {human_size(options['min_size_bytes'])} are expected"
    if not measured["all"] and is_old:
        status, remedy = "unknown", "name a narrower prefix, or raise most_objects"
        detail = f"more than {measured['seen']} objects in {where}, the newest of them is {human_duration(age)} old"
    return make_check(f"{identity}:newest", status=status, value=age, detail=detail, remedy=remedy, **more)


def _mirror_check(identity: str, name: str, measured: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    found, limit = measured["mirrored"], options["mirror_max_age_seconds"]
    age = None if isinstance(found, str) else max(0.0, round(measured["now"] - found, 1))
    return make_check(
        f"{identity}:mirror",
        name=f"{name} last mirrored",
        section=options["section"],
        status="critical" if age is None or age >= limit else "ok",
        value=age,
        unit="s",
        limit=limit,
        detail=found if age is None else f"the last run finished {human_duration(age)} ago",
        remedy="run the playbook mirror_buckets, and see why the last run did not finish",
    )


def _setting_check(key: str, name: str, found: Any, options: dict[str, Any]) -> dict[str, Any]:
    more = {"name": f"{name} {key}", "section": options["section"]}
    if not isinstance(found, bool):
        remedy = "allow this access key to read the setting"
        return make_check(f"bucket:{name}:{key}", status="unknown", detail=found, remedy=remedy, **more)
    yes, no, remedy = SETTINGS[key]
    status = "ok" if found or not options[key] else "warning"
    return make_check(
        f"bucket:{name}:{key}", status=status, value=found, detail=yes if found else no, remedy=remedy, **more
    )
