# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the certificates on disk are the ones that are served, asked under each of their names. Private to this collection."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._certbot import SECTION
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError
from ansible_collections.runbook.ops.plugins.module_utils._x509 import X509Error, parse_certificate, pem_to_der
from ansible_collections.runbook.ops.plugins.module_utils.probes import certificate as probe

PROOFS = 3  # looks in a row, under each name
PAUSE_SECONDS = 0.1
ANY_LABEL = "runbook-ops"  # stands for the star of a wildcard: any label is asked for in the same way
AT_ONCE = 8


class Trust(NamedTuple):
    """What the looks go by."""

    timeout_seconds: float
    verify: bool
    ca_path: str | None


class Look(NamedTuple):
    """A certificate as it is served under all of its names."""

    name: str
    on_disk: str | None  # fingerprint
    changed_at: float  # when the file became what it is, in seconds since 1970
    uncovered: list[str]  # names that it should be valid for
    wrong: list[str]  # a line for each place and name that is not served as it should be
    others: int  # how many of them serve another certificate, which a reload may mend
    asked: int

    @property
    def is_right(self) -> bool:
        return not (self.wrong or self.uncovered) and self.on_disk is not None


def look(certificate: Mapping[str, Any], trust: Trust) -> Look:
    """Ask for a certificate under each of its names, at each of its places."""
    path = Path(certificate["path"])
    try:
        mine = parse_certificate(pem_to_der(path.read_text(encoding="ascii", errors="replace"))[0])
        changed_at = max(path.lstat().st_ctime, path.stat().st_ctime)  # certbot moves the link, or writes the file
    except (OSError, X509Error, IndexError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "it holds no certificate"
        return Look(certificate["name"], None, 0.0, [], [f"{path} cannot be read: {why}"], 0, 0)
    pairs = [(place, name) for place in certificate["served_at"] for name in certificate["domains"]]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        seen = list(pool.map(lambda pair: _ask(certificate, pair, mine["fingerprint_sha256"], trust), pairs))
    return Look(
        certificate["name"],
        mine["fingerprint_sha256"],
        changed_at,
        [name for name in certificate["domains"] if not _covers(name, mine["names"])],
        [line for line, _other in seen if line],
        sum(other for _line, other in seen),
        len(pairs),
    )


def _covers(name: str, names: list[str]) -> bool:
    return name.lower() in [known.lower() for known in names] or (
        not name.startswith("*") and probe.covers(name, names)
    )


def _ask(certificate: Mapping[str, Any], pair: tuple[str, str], mine: str, trust: Trust) -> tuple[str | None, bool]:
    """Return what is wrong with what is served at a place under a name, and whether it is another certificate."""
    place, name = pair
    asked = name.replace("*", ANY_LABEL)
    options = {"served_at": place, "server_name": asked, "path": None, "address": certificate.get("address")}
    try:
        found = probe.measure({**options, **trust._asdict()})
    except ProbeError as exc:
        return f"{place} as {asked}: {exc}", False
    if found["error"]:
        return f"{place} as {asked}: {found['error']}", False
    if found["fingerprint"] != mine:
        until = found["expires_at"][:10]
        return (
            f"{place} as {asked}: another certificate is served ({found['fingerprint'][:12]}…, valid until {until})",
            True,
        )
    if found["distrust"]:
        return f"{place} as {asked}: not trusted: {found['distrust']}", False
    return None, False


def prove(certificates: Sequence[Mapping[str, Any]], trust: Trust, *, seconds: float) -> dict[str, Look]:
    """Ask until each is right a few times in a row, or the time is over, and return the last looks by name."""
    end, good = time.monotonic() + seconds, 0
    while True:
        found = {one["name"]: look(one, trust) for one in certificates}
        good = good + 1 if all(seen.is_right or not seen.asked for seen in found.values()) else 0
        if good >= PROOFS or time.monotonic() >= end:
            return found
        time.sleep(PAUSE_SECONDS)


def judge(seen: Look, failure: str | None) -> dict[str, Any]:
    """Return whether what is served is what is on disk.

    :param failure: why the server did not load it
    """
    right = seen.asked - len(seen.wrong)
    problems = [*([failure] if failure else []), *seen.wrong]
    if seen.uncovered:
        problems.append(f"not valid for {', '.join(seen.uncovered)}")
    status = "critical" if problems else "ok" if seen.asked else "unknown"
    detail = f"{(seen.on_disk or '')[:12]}… is served under {seen.asked} of {seen.asked} names"
    if not seen.asked:
        detail = "nobody said where it is served (served_at), so that was not looked at"
    return make_check(
        f"certificate_served:{seen.name}",
        name=f"{seen.name} as served",
        section=SECTION,
        status=status,
        value=max(right, 0),
        unit="names",
        limit=seen.asked,
        detail="; ".join(problems) or detail,
        remedy="mend what is named, then run this again" if problems else "say where it is served: served_at",
    )


def servers_of(
    certificates: Sequence[Mapping[str, Any]],
) -> list[tuple[tuple[str, ...], tuple[str, ...], list[Mapping[str, Any]]]]:
    """Return the servers, by the commands that test and reload them, with the certificates of each; nginx has none."""
    found: dict[tuple[tuple[str, ...], tuple[str, ...]], list[Mapping[str, Any]]] = {}
    for one in certificates:
        key = (tuple(one.get("test_command") or ()), tuple(one.get("reload_command") or ()))
        found.setdefault(key, []).append(one)
    return [(test, command, members) for (test, command), members in found.items()]
