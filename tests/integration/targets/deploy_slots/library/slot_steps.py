#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For this test only: take the steps of a deployment with the slots of one service, and tell what each came to."""

from __future__ import annotations

import hashlib
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import DeployPaths
from ansible_collections.runbook.ops.plugins.module_utils._gate import GateError, GateWishes, pass_gate
from ansible_collections.runbook.ops.plugins.module_utils._release import Release
from ansible_collections.runbook.ops.plugins.module_utils._slot import SlotError, slots_of, standing_of

WISHES = {
    "health": {"url": "http://localhost:{port}/health", "json": {"status": "ok"}},
    "version": {"url": "http://localhost:{port}/version", "json": "commit", "is": "commit"},
    "smoke": [{"request": "/api/list", "json": {"host": "shop.example"}}],
    "url": "https://shop.example/",
    "start_timeout_seconds": 40,
    "stable_seconds": 1.5,
}


def as_release(params: dict[str, Any], kind: str) -> Release:
    """Return the release of a kind: see files/releases.py."""
    commit = hashlib.sha1(kind.encode()).hexdigest()  # noqa: S324  (a name, no secret)
    return Release(
        id=f"20260101T000000Z-{commit[:12]}",
        service=params["service"]["name"],
        kind="adopted" if kind == "adopted" else "git" if params["releases"] else "image",
        path=f"{params['releases']}/{commit[:12]}" if params["releases"] else None,
        commit=commit,
        ref="main",
        image=params["images"].get(kind),
        package_version=None,
        process=params["process"],
        environment_sha256=None,
        lock_sha256=None,
        migrations=[],
        built_at="2026-01-01T00:00:00Z",
        tools={},
    )


def take(step: dict[str, Any], slots: dict[str, Any], params: dict[str, Any], module: Any) -> Any:
    """Return what one step came to."""
    slot, act = slots[step.get("slot", "green")], step["act"]
    if act in ("start", "gate", "try"):
        release = as_release(params, step["kind"])
        if act != "gate":
            slot.start(release, params["environment"])
        if act != "start":
            return [
                check["id"] for check in pass_gate(slot, release, GateWishes(**{**WISHES, **step.get("wishes", {})}))
            ]
        return None
    if act == "standing_of":
        return standing_of(params["service"], step.get("directory"), module)._asdict()
    if act == "stop":
        return slot.stop(seconds=step.get("seconds", 3))
    found = getattr(slot, act)()
    return found._asdict() if hasattr(found, "_asdict") else found


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "service": {"type": "dict", "required": True},
            "root": {"type": "path", "required": True},
            "releases": {"type": "path"},
            "images": {"type": "dict", "default": {}},
            "process": {"type": "dict", "default": {}},
            "environment": {"type": "dict", "default": {}},
            "steps": {"type": "list", "elements": "dict", "required": True},
        }
    )
    paths = DeployPaths(module.params["service"]["name"], root=module.params["root"])
    paths.make()
    slots, results = slots_of(module.params["service"], paths, module), {}
    for step in module.params["steps"]:
        began, result = time.monotonic(), {"said": None, "refused": None, "details": {}}
        try:
            result["said"] = take(step, slots, module.params, module)
        except SlotError as exc:
            result["refused"] = str(exc)
        except GateError as exc:
            result.update(refused=str(exc), details=exc.details)
        result["seconds"] = round(time.monotonic() - began, 2)
        if step["act"] == "try":
            slots[step.get("slot", "green")].remove()
        results[step.get("as") or step.get("kind")] = result
    module.exit_json(changed=True, outcomes=results)


if __name__ == "__main__":
    main()
