# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The code of the modules that a backup job runs, one import a function, and what their options are without a word. Private to this collection.

Who packs it for a host finds by reading what it needs.
"""

# ruff: noqa: PLC0415  # an import inside each function is what this file is for
from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

Options = Mapping[str, Any]
Core = Callable[[Options], Mapping[str, Any]]


def _backup_rotate(options: Options) -> Mapping[str, Any]:
    from ansible_collections.runbook.ops.plugins.module_utils import _backup_rotate

    # The names of a script's files hold local time without a zone, so that is what they are compared with.
    return _backup_rotate.rotate(options, now=datetime.now(), check_mode=False)


CORES: dict[str, Core] = {
    "backup_rotate": _backup_rotate,
}
# What the modules' argument specifications say; a test compares them.
DEFAULTS: dict[str, dict[str, Any]] = {
    "backup_rotate": {
        **{"pattern": None, "set": None, "date_format": None, "minimum": 3, "minimum_verified": 3},
        **{"min_size": "1B", "max_age": None, "max_delete_percent": 90, "names_limit": 20},
    },
}


def complete(module: str, options: Options) -> dict[str, Any]:
    """Return ``options`` with the defaults of ``module``.

    :raises ValueError: there is no such module, or it has no such option.
    """
    if module not in CORES:
        raise ValueError(f"no backup job runs the module {module!r}: known are {', '.join(sorted(CORES))}")
    return {**DEFAULTS[module], **options}
