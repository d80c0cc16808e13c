# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module is told, where not Ansible calls it: an engine, a test. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def with_defaults(params: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``params`` for all of ``arguments``: what is not given, or is null, has its default. Others are left out."""
    return {name: spec.get("default") if params.get(name) is None else params[name] for name, spec in arguments.items()}
