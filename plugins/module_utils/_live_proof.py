# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What proves through nginx that the right release answers. Private to this collection."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ansible_collections.runbook.ops.plugins.module_utils._http import HttpError, ask
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError, read_options
from ansible_collections.runbook.ops.plugins.module_utils.probes import http

if TYPE_CHECKING:
    from ansible_collections.runbook.ops.plugins.module_utils._release import Release

SHORTEST_COMMIT = 7


class Proof:
    """Requests through nginx; it remembers when all of them were first answered rightly."""

    def __init__(
        self, requests: Sequence[Mapping[str, Any]], version: Mapping[str, Any] | None, release: Release | None
    ) -> None:
        self._requests = [read_options({"probe": "http", **one}, http.OPTIONS, where="deploy") for one in requests]
        self._version, self._release = version, release
        self.right_at: float | None = None

    def __call__(self) -> str | None:
        """Return what is wrong; None where nothing is."""
        wrong = self._ask()
        if wrong is None and self.right_at is None:
            self.right_at = time.monotonic()
        return wrong

    def renewed(self) -> Proof:
        """Return this proof, which has seen nothing yet."""
        self.right_at = None
        return self

    def seconds_since(self, began: float) -> float | None:
        """Return how long it took from ``began`` to the first right answers."""
        return None if self.right_at is None else round(self.right_at - began, 4)

    def _ask(self) -> str | None:
        for options in self._requests:
            try:
                (check,) = http.judge(http.measure(options), options)
            except ProbeError as exc:
                return str(exc)
            if check["status"] == "critical":
                return f"{options['url']}: {check['detail']}"
        if self._version is None or self._release is None:
            return None
        told = told_version(self._version)
        if told is None:
            return f"{self._version['url']} does not tell {self._version['json']} any more"
        if not is_version(told, self._version["is"], self._release):
            return f"{self._version['url']} is answered by {told[:40]!r}, which is not {self._release.id}"
        return None


def make_proof(
    requests: Sequence[Mapping[str, Any]], version: Mapping[str, Any] | None, release: Release | None
) -> Proof:
    """Return the proof; the version is asked for only where nginx passes its URL on already.

    :raises ValueError: a request is described wrongly.
    """
    if version is not None and (release is None or told_version(version) is None):
        version = None
    return Proof(requests, version, release)


def told_version(version: Mapping[str, Any]) -> str | None:
    """Return what stands at the key of the JSON answer; None where there is no such answer."""
    keys = ("address", "verify", "timeout_seconds", "headers")
    try:
        answer = ask(version["url"], **{key: version[key] for key in keys if key in version})
        if answer.status != 200:
            return None
        found = json.loads(answer.body)
    except (HttpError, ValueError):
        return None
    for key in str(version["json"]).split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return None if found is None or isinstance(found, (Mapping, list)) else str(found)


def is_version(told: str, kind: str, release: Release) -> bool:
    """Return whether ``told`` is the version of ``release``; what is not known of it is not held against it."""
    wanted = {"commit": release.commit, "package": release.package_version, "tag": release.ref}[kind]
    if wanted is None:
        return True
    if kind == "commit":
        return len(told) >= SHORTEST_COMMIT and wanted.startswith(told)
    return told == wanted
