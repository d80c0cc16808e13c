# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the directories of services tell of deployments. Private to this collection."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._diagnose import Found, event
from ansible_collections.runbook.ops.plugins.module_utils._diagnose_changes import listed
from ansible_collections.runbook.ops.plugins.module_utils._probe_program import run_program


def releases(options: dict[str, Any]) -> Found:
    """Collect what of each service's directory tells of a deployment: commits, checkouts, release directories."""
    since = float(options["changes_since"])
    events, parts = [], []
    for service in options.get("services") or []:
        path = Path(service["path"])
        if not path.is_dir():
            parts.append(f"{service['name']}: {path} does not exist")
            continue
        own = [event(at, "release", f"{service['name']}: {name}") for name, at in _release_directories(path)]
        log = _commits(path, service.get("user"))
        parts.append(f"{service['name']} in {path} → {path.resolve()}\n{log}")
        for name in ("HEAD", "ORIG_HEAD"):
            marker = path / ".git" / name
            if marker.exists():
                own.append(event(marker.stat().st_mtime, "checkout", f"{service['name']}: .git/{name} was written"))
        for name in (service.get("entry_point"), "package.json", "package-lock.json", service.get("compose_file")):
            if name and (path / name).exists():
                own.append(event((path / name).stat().st_ctime, "file", f"{service['name']}: {name} was written"))
        events += [one for one in own if one["at"] >= since]
    found = listed(events, "no release")
    return Found(f"{found.text}\n\n" + "\n\n".join(parts), note=found.note, events=events)


def _release_directories(path: Path) -> Iterable[tuple[str, float]]:
    for folder in dict.fromkeys((path / "releases", path.parent / "releases", path.resolve().parent)):
        if folder.name == "releases" and folder.is_dir():
            for entry in itertools.islice(folder.iterdir(), 200):
                yield str(entry), entry.lstat().st_mtime


def _commits(path: Path, user: str | None) -> str:
    if not (path / ".git").exists():
        return "not a Git checkout"
    # As its owner: what a repository configures, Git may run.
    owner = user or path.owner()
    argv = [
        "git",
        "-c",
        "core.fsmonitor=false",
        "-c",
        "core.hooksPath=/dev/null",
        "-C",
        str(path),
        "--no-pager",
        "log",
        "-8",
        "--no-show-signature",
        "--format=%cI %h %s",
    ]
    done = run_program(argv, timeout_seconds=4, user=owner, environment={"GIT_OPTIONAL_LOCKS": "0"})
    return done.out.strip() or done.err.strip()[:300]
