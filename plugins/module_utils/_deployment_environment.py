# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables that a release runs with. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import DeployPaths, read_json
from ansible_collections.runbook.ops.plugins.module_utils._environment_file import read_environment
from ansible_collections.runbook.ops.plugins.module_utils._release import Release
from ansible_collections.runbook.ops.plugins.module_utils._slot import Slot, standing_of


def environment_of(
    service: Mapping[str, Any],
    release: Release,
    source: Slot | None,
    paths: DeployPaths,
    *,
    fresh: bool,
    module: Any,
) -> dict[str, str]:
    """Return the variables for ``release``: those of its ecosystem file, and over them those of the described file.

    Without that file it gets those of what is live as well: an application that a person started has its secrets only there.

    :param source: the slot that is live
    :param fresh: whether to look anew; otherwise it keeps what it was started with
    """
    kept = read_json(paths.environment(release.id))
    if kept is not None and (not fresh or release.kind == "adopted"):
        return {str(key): str(value) for key, value in kept.items()}
    described = service["deploy"]["environment_file"]
    own = standing_of(service, release.path, module).environment if release.kind != "adopted" else {}
    if described:
        return {**own, **read_environment(described)}
    standing = source.standing() if source else None
    return {**(standing.environment if standing else {}), **own}
