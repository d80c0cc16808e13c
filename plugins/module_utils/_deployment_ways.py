# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""By whom a service is deployed: by slots on this host, or by Vercel. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Union

from ansible_collections.runbook.ops.plugins.module_utils._deployment_parts import HostParts, Task
from ansible_collections.runbook.ops.plugins.module_utils._deployment_plan import Live, Seen
from ansible_collections.runbook.ops.plugins.module_utils._live_options import as_deployed
from ansible_collections.runbook.ops.plugins.module_utils._release import listed
from ansible_collections.runbook.ops.plugins.module_utils._release_ledger import events, good
from ansible_collections.runbook.ops.plugins.module_utils._vercel_parts import VercelParts

if TYPE_CHECKING:
    from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import DeployPaths

MANAGERS = ("pm2", "compose", "vercel")

# What is in services that must be seen by nobody: an option of its own has Ansible take it out of logs and results.
SECRETS: dict[str, Any] = {"secrets": {"type": "list", "elements": "str", "no_log": True, "default": []}}

Parts = Union[HostParts, VercelParts]


def parts_of(task: Task, wanted: str | None = None) -> Parts:
    """Return the parts of the service that ``task`` is about.

    :param wanted: the release that is wished
    :raises TroubleError: its manager has none, or the description lacks something.
    """
    return VercelParts(task, wanted) if task.service["manager"] == "vercel" else HostParts(task)


def shown(parts: Parts, seen: Seen) -> Seen:
    """Return what is told of: at Vercel what the domains lead to is live, whoever has deployed it."""
    if seen.live is None and seen.adoptable and isinstance(parts, VercelParts):
        return seen._replace(live=Live(seen.adoptable, seen.adoptable))
    return seen


def deployed(services: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return those of ``services`` that are deployed by us."""
    return [as_deployed(one) for one in services if one.get("deploy") and one["manager"] in MANAGERS]


def releases_of(parts: Parts, paths: DeployPaths) -> list[dict[str, Any]]:
    """Return the releases that there are, the newest first.

    :raises TroubleError: it cannot be told.
    """
    if isinstance(parts, VercelParts):
        return parts.releases()
    known = good(events(paths))
    return [
        {
            "id": one.id,
            "commit": one.commit,
            "ref": one.ref,
            "version": one.package_version,
            "built_at": one.built_at,
            "good": one.id in known,
        }
        for one in reversed(listed(paths))
    ]
