# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables that a release runs with. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import DeployPaths, read_json
from ansible_collections.runbook.ops.plugins.module_utils._release import Release
from ansible_collections.runbook.ops.plugins.module_utils._slot import Slot


def environment_of(
    service: Mapping[str, Any], release: Release, source: Slot | None, paths: DeployPaths, *, fresh: bool
) -> dict[str, str]:
    """Return the variables for ``release``: those that it was built with, which are those of the described file and its ecosystem's.

    Without that file, its first start adds those of what is live: an application that a person started has its secrets only there.

    :param source: the slot that is live
    :param fresh: whether it is started for the first time; otherwise it keeps what it was started with
    """
    kept = {str(key): str(value) for key, value in (read_json(paths.environment(release.id)) or {}).items()}
    if not fresh or release.kind == "adopted" or service["deploy"]["environment_file"]:
        return kept
    standing = source.standing() if source else None
    return {**(standing.environment if standing else {}), **kept}
