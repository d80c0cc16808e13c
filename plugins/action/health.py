# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the module health on the host, and write what it found on the controller, within one task.

A second task for the file, skipped or not, costs the controller as much for each host as the probes cost the host.
"""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

KEPT = ("status", "summary", "msg", "seconds", "checks")


def write_report(path: Path, host: str, result: Mapping[str, Any]) -> None:
    """Write the result of ``host`` as JSON, readable by its owner only; a reader never sees half of it."""
    # A run that never came to look has only a message: it is written too, for whoever waits for the file.
    content = {"host": host, **{key: result.get(key) for key in KEPT}}
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file, ensure_ascii=False, indent=2)
            file.write("\n")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def no_cycle_collector() -> Iterator[None]:
    """Do without Python's search for dead cycles, in this worker and for as long as it packs the module and waits for it.

    To find what it has to pack, Ansible parses a hundred files: each search walks all those trees, and finds nothing. That is
    half of the packing, and more than all probes take on the host. Memory without cycles is freed as ever.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class ActionModule(ActionBase):
    """The module, and its report on the controller."""

    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        report = arguments.pop("report_path", None)
        with no_cycle_collector():
            looked = self._execute_module(module_name="runbook.ops.health", module_args=arguments, task_vars=task_vars)
        result.update(looked)
        if report and not self._task.check_mode:
            path = Path(os.path.expanduser(str(report)))  # noqa: PTH111  # of no user: the text stays as it is
            try:
                write_report(path, (task_vars or {}).get("inventory_hostname", ""), result)
            except OSError as exc:
                result["failed"] = True
                result["msg"] = (
                    f"{result.get('msg', '')}; the report could not be written to {path}: {exc.strerror}".lstrip("; ")
                )
        return result
