# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make three whole backups of the set shop in a directory, as any program could: make_sets.py DIRECTORY."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path


def make(directory: Path, days: int, sizes: dict[str, int]) -> None:
    at = datetime.now(timezone.utc) - timedelta(days=days)
    path = directory / f"shop_{at:%Y%m%dT%H%M%SZ}"
    (path / "dump").mkdir(parents=True)
    files = []
    for name, size in sizes.items():
        data = os.urandom(size)
        (path / name).write_bytes(data)
        files.append({"path": name, "size": size, "sha256": hashlib.sha256(data).hexdigest()})
    manifest = {"format": 1, "set": "shop", "name": path.name, "kind": "files", "host": "web-1", "files": files}
    text = json.dumps({**manifest, "size": sum(sizes.values()), "content": {}})
    (path / "manifest.json").write_text(text)
    sums = {one["path"]: one["sha256"] for one in files} | {"manifest.json": hashlib.sha256(text.encode()).hexdigest()}
    (path / "SHA256SUMS").write_text("".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())))


for age in (3, 2):
    make(Path(sys.argv[1]), age, {"dump/small.dat": 1000})
make(Path(sys.argv[1]), 1, {"dump/empty ü & +.dat": 0, "dump/large.dat": 12_000_000, "dump/small.dat": 2000})
