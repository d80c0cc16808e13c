# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person had started before the first deployment, as the first release. Private to this collection."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._command import Command, CommandError
from ansible_collections.runbook.ops.plugins.module_utils._release import Release, package_version
from ansible_collections.runbook.ops.plugins.module_utils._slot import ADOPTED, Slot, SlotError, Standing


def adopted_release(service: Mapping[str, Any], slot: Slot, module: Any) -> tuple[Release, dict[str, str]]:
    """Return what runs in ``slot`` as a release, and the variables it runs with.

    :raises SlotError: nothing runs there.
    """
    standing = slot.standing()
    if standing is None:
        raise SlotError(f"nothing runs in slot {slot.name} of {service['name']}: start it, then deploy")
    commit = _commit(standing.path, service.get("user"), module)
    source = commit or _digest(standing)
    manifest = ""
    if standing.path:
        with suppress(OSError):
            manifest = Path(standing.path, "package.json").read_text(encoding="utf-8", errors="replace")
    return Release(
        id=f"{ADOPTED}-{source[:12]}",
        service=service["name"],
        kind=ADOPTED,
        path=standing.path,
        commit=commit,
        ref=None,
        image=standing.image,
        package_version=package_version(manifest),
        process=standing.process,
        environment_sha256=None,
        lock_sha256=None,
        migrations=[],
        built_at=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        tools={},
    ), dict(standing.environment)


def _digest(standing: Standing) -> str:
    if standing.image and ":" in standing.image:
        return standing.image.rpartition(":")[2]
    return hashlib.sha256(json.dumps([standing.path, standing.process], sort_keys=True).encode()).hexdigest()


def _commit(path: str | None, user: str | None, module: Any) -> str | None:
    """Return the commit that is checked out in ``path``, asked as the account that owns it; None where that is not known."""
    if not path:
        return None
    try:
        found = Command(module, "git", user=user)("-C", path, "rev-parse", "HEAD", accept=(0, 128)).strip()
    except CommandError:
        return None
    return found if len(found) >= 40 and all(letter in "0123456789abcdef" for letter in found) else None
