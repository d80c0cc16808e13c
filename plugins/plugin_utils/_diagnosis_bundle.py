# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make one file of what the hosts gave: whole, or not there. Private to this collection; runs on the controller only."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import shutil
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._diagnose_summary import as_text, file_of
from ansible_collections.runbook.ops.plugins.plugin_utils._diagnosis_page import page

SCHEMA = 1


def put_aside(directory: Path, host: str, content: Mapping[str, Any]) -> None:
    """Write what ``host`` gave, readable by its owner only; a reader never sees half of it."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / f"{safe(host)}.json"
    partial = path.with_suffix(".partial")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump({**content, "host": host}, file, ensure_ascii=False)
    partial.replace(path)


def read_aside(directory: Path, hosts: Iterable[str]) -> list[dict[str, Any]]:
    """Return what each of ``hosts`` gave; of one that gave nothing, that."""
    found = []
    for host in hosts:
        try:
            found.append(json.loads((directory / f"{safe(host)}.json").read_text(encoding="utf-8")))
        except (OSError, ValueError):
            found.append({"host": host, "error": "nothing came from it: it failed before, or was not asked"})
    return found


def safe(name: str) -> str:
    """Return ``name`` as a file may be called."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".") or "_"


def files_of(hosts: Sequence[Mapping[str, Any]], *, title: str, system: str, run: str, at: float) -> dict[str, bytes]:
    """Return all files of a bundle by name, the manifest last."""
    named = [{**host, "host": safe(host["host"])} for host in hosts]
    texts = {"summary.txt": as_text(title, named, at=at), "summary.html": page(title, named, at=at)}
    for host in named:
        if "checks" in host:
            texts[f"{host['host']}/checks.json"] = json.dumps(host["checks"], ensure_ascii=False, indent=1) + "\n"
        for topic in host.get("topics") or []:
            texts[file_of(host["host"], topic)] = _topic(topic)
    files = {name: text.encode("utf-8", "replace") for name, text in texts.items()}
    manifest = {
        "schema": SCHEMA,
        "system": system,
        "run": run,
        "at": at,
        "hosts": {
            host["host"]: {
                "error": host.get("error"),
                "seconds": host.get("seconds"),
                "summary": host.get("summary"),
                "topics": {
                    topic["topic"]: {"status": topic["status"], "error": topic["error"], "cut": topic["cut"]}
                    for topic in host.get("topics") or []
                },
            }
            for host in named
        },
        "files": {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in files.items()
        },
    }
    return {**files, "manifest.json": (json.dumps(manifest, ensure_ascii=False, indent=1) + "\n").encode()}


def _topic(topic: Mapping[str, Any]) -> str:
    head = [topic["title"], "=" * len(topic["title"])]
    head += [f"FAILED: {topic['error']}"] if topic["error"] else []
    head += ["There was more than is kept: what is missing is older."] if topic["cut"] else []
    return "\n".join([*head, "", topic.get("text") or "", ""])


def write_bundle(path: Path, files: Mapping[str, bytes], *, aside: Path, at: float) -> str:
    """Write a tar.gz of ``files`` and return its sha256; what is at ``path`` is whole at any time.

    :param aside: a directory on the same disk, which is removed in the end
    """
    root = path.name.removesuffix(".gz").removesuffix(".tar").removesuffix(".tgz")
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=int(at)) as compressed,
        tarfile.open(fileobj=compressed, mode="w") as archive,
    ):
        for name, data in files.items():
            member = tarfile.TarInfo(f"{root}/{name}")
            member.size, member.mode, member.mtime = len(data), 0o600, int(at)
            archive.addfile(member, io.BytesIO(data))
    data = packed.getvalue()
    partial = aside / "bundle.partial"
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    shutil.rmtree(aside, ignore_errors=True)
    return hashlib.sha256(data).hexdigest()
