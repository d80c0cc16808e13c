# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option C(fence) of modules that work for long on what is live. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._change_lock import Fence, keeping

FENCE: dict[str, Any] = {
    "fence": {
        "type": "dict",
        "options": {
            "directory": {"type": "path", "required": True},
            "number": {"type": "int", "required": True},
            "owner": {"type": "str", "required": True},
        },
    }
}


def fence_of(params: Mapping[str, Any]) -> Fence:
    """Return what a module was given to prove itself by; where it was given nothing, no lock is demanded."""
    return Fence(**params["fence"]) if params["fence"] else Fence("", 0, "")


@contextmanager
def fenced(params: Mapping[str, Any], *, check_mode: bool) -> Iterator[None]:
    """Do all of a module's work with the lock of changes in hand: its lease is renewed until that has ended.

    :raises LockError: another run has taken over, so nothing is begun.
    """
    if check_mode or not params["fence"]:
        yield
        return
    with keeping(fence_of(params)):
        yield
