# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run any number of probes at once, each within its time. Private to this collection.

Ansible is not needed: ``python3 -m ansible_collections.runbook.ops.plugins.module_utils._health`` reads
``{"probes": [...], "secrets": {...}, "timeout_seconds": 30}`` as JSON and prints the result as JSON.
"""

from __future__ import annotations

import faulthandler
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import STATUSES, make_check, worst_status
from ansible_collections.runbook.ops.plugins.module_utils._consequences import explain, thing_of
from ansible_collections.runbook.ops.plugins.module_utils._live_options import at_live, lasting, read_slot
from ansible_collections.runbook.ops.plugins.module_utils._probe_index import PROBES
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError, nearest, read_options

GRACE_SECONDS = 0.25  # a probe's own word on what it waited for is better than ours, and comes a moment after its limit

# Beyond the limit of all: an expression that never ends holds the interpreter, and with it every thread that could say so.
LAST_RESORT_SECONDS = 15.0


def check_health(
    specs: Sequence[Mapping[str, Any]],
    *,
    secrets: Mapping[str, str] | None = None,
    timeout_seconds: float = 30.0,
    probes: Mapping[str, Callable[[], Any]] | None = None,
) -> dict[str, Any]:
    """Return ``checks`` in the order of ``specs``, their worst ``status``, ``summary``, ``msg`` and ``seconds``.

    :param specs: ``probe`` and its options, each; see docs/health.md
    :param secrets: what options of kind secret name
    :param timeout_seconds: the limit for all of it; what has no answer by then is unknown
    :raises ValueError: a probe or an option is not known or not of its type; nothing was looked at.
    """
    began = time.monotonic()
    # Its own thread needs no interpreter, and says on the error output in which probe the process ended.
    faulthandler.dump_traceback_later(timeout_seconds + LAST_RESORT_SECONDS, exit=True, file=2)
    try:
        return _check(specs, secrets or {}, began + timeout_seconds, PROBES if probes is None else probes)
    finally:
        faulthandler.cancel_dump_traceback_later()


def _check(
    specs: Sequence[Mapping[str, Any]], secrets: Mapping[str, str], end: float, known: Mapping[str, Callable[[], Any]]
) -> dict[str, Any]:
    began = time.monotonic()
    jobs = [_prepare(spec, index, secrets, known) for index, spec in enumerate(specs)]
    order = list(known)
    for job in sorted(jobs, key=lambda job: order.index(job.options["probe"])):
        job.start()
    found = [(check, job) for job in jobs for check in job.collect(end)]
    checks = _unique([check for check, _job in found])
    explain([(check, thing_of(check, job.options["about"])) for check, job in found], _needs(jobs))
    summary = {status: sum(check["status"] == status for check in checks) for status in STATUSES}
    return {
        "checks": checks,
        "status": worst_status(checks),
        "summary": summary,
        "msg": verdict(checks, summary),
        "seconds": round(time.monotonic() - began, 3),
    }


def verdict(checks: Sequence[Mapping[str, Any]], summary: Mapping[str, int]) -> str:
    """Return one line for people: how many checks are in which status, and which are the worst."""
    if not checks:
        return "nothing was checked: no probe was asked for"
    counts = ", ".join(f"{count} {status}" for status, count in reversed(list(summary.items())) if count)
    worst = worst_status(dict(check) for check in checks)
    if worst == "ok":
        return counts
    bad = [check for check in checks if check["status"] == worst]
    roots = [check for check in bad if not check.get("because")] or bad
    named = [f"{check['name']} ({check['detail']})" for check in roots]
    more = f" and {len(named) - 3} more" if len(named) > 3 else ""
    follow = f", from which {len(bad) - len(roots)} more follow" if len(bad) > len(roots) else ""
    return f"{counts}; {worst}: {', '.join(named[:3])}{more}{follow}"


def fails(status: str, fail_on: str) -> bool:
    """Return whether ``status`` is as bad as ``fail_on``, one of the statuses or ``never``."""
    return fail_on != "never" and STATUSES.index(status) >= STATUSES.index(fail_on)


class _Job:
    """One probe, what it was told, and the thread it runs in."""

    def __init__(self, probe: Any, options: dict[str, Any], names: Mapping[str, str], trouble: str | None) -> None:
        """:param names: what stands in ids for the name and port of the slot that is looked at; see ``_live_options``"""
        self.probe, self.options, self.names, self.trouble = probe, options, names, trouble
        self.checks: list[dict[str, Any]] = []
        # A daemon: a thread that the kernel holds, on a dead network mount for example, must not hold the result.
        self.thread = threading.Thread(target=self.look, daemon=True)
        self.started = 0.0

    def start(self) -> None:
        self.started = time.monotonic()
        self.thread.start()

    def look(self) -> None:
        try:
            if self.trouble:
                raise ProbeError(self.trouble, "run it as root")
            found = self.probe.judge(self.probe.measure(self.options), self.options)
            self.checks = [{**one, "id": lasting(one["id"], self.names)} for one in found] if self.names else found
        except ProbeError as exc:
            self.checks = [self.unknown(str(exc), exc.remedy)]
        except OSError as exc:
            self.checks = [self.unknown(f"{exc.filename or 'looking'}: {exc.strerror or exc}")]
        except Exception as exc:  # a probe that breaks must never take the others down
            self.checks = [self.unknown(f"the probe broke: {type(exc).__name__}: {exc}".splitlines()[0])]

    def collect(self, end: float) -> list[dict[str, Any]]:
        limit = min(self.started + self.options["timeout_seconds"] + GRACE_SECONDS, end)
        self.thread.join(max(0.0, limit - time.monotonic()))
        if self.thread.is_alive():
            waited = time.monotonic() - self.started
            return [self.unknown(f"no answer within {waited:.1f} s", "look by hand, or raise timeout_seconds")]
        if self.options["worst"] == "warning":
            return [{**check, "status": "warning"} if check["status"] == "critical" else check for check in self.checks]
        return self.checks

    def unknown(self, detail: str, remedy: str | None = None) -> dict[str, Any]:
        probe, name = self.options["probe"], self.options["name"]
        return make_check(
            f"{probe}:{name}" if name else probe,
            name=name or probe,
            section=self.options["section"],
            status="unknown",
            detail=detail,
            remedy=remedy,
        )


def _prepare(
    spec: Mapping[str, Any], index: int, secrets: Mapping[str, str], probes: Mapping[str, Callable[[], Any]]
) -> _Job:
    name = str(spec.get("probe") or "")
    if name not in probes:
        wrong = f"there is no probe {name!r}{nearest(name, probes)}" if name else "probe is missing"
        raise ValueError(f"probes[{index}]: {wrong}; allowed are {', '.join(sorted(probes))}")
    where = f"probes[{index}] ({name})"
    probe = probes[name]()
    names: dict[str, str] = {}
    trouble = None
    if spec.get("live"):
        try:
            spec, names = at_live(spec, read_slot)
        except ValueError as exc:
            trouble = str(exc)
            spec, names = at_live(spec, lambda _service: None)
    options = read_options(spec, probe.OPTIONS, where=where)
    options["section"] = options["section"] or probe.SECTION
    for key, option in probe.OPTIONS.items():
        if option.kind == "secret" and options[key] is not None:
            if options[key] not in secrets:
                raise ValueError(f"{where}: {key} names {options[key]!r}, which is not among the secrets")
            options[key] = secrets[options[key]]
    return _Job(probe, options, names, trouble)


def _needs(jobs: Sequence[_Job]) -> dict[str, list[str]]:
    """Return what each thing needs, as the probes were told."""
    needs: dict[str, list[str]] = {}
    for job in jobs:
        about, needed = job.options["about"], job.options["needs"]
        if needed is None or about is None:
            continue
        for thing in {about} if isinstance(about, str) else set(about.values()):
            things = needed if isinstance(needed, list) else needed.get(thing, [])
            needs[thing] = [*needs.get(thing, []), *things]
    return needs


def _unique(checks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return ``checks`` with ids that differ: the second of the same id gets ``#2``."""
    seen: dict[str, int] = {}
    for check in checks:
        seen[check["id"]] = seen.get(check["id"], 0) + 1
        if seen[check["id"]] > 1:
            check["id"] += f"#{seen[check['id']]}"
    return checks


def main() -> int:
    """Answer the question on standard input; return 2 where it cannot be understood, else 0."""
    import json  # noqa: PLC0415  # only a run without Ansible needs these two
    import sys  # noqa: PLC0415

    try:
        asked = json.load(sys.stdin)
        result = check_health(
            asked["probes"], secrets=asked.get("secrets"), timeout_seconds=float(asked.get("timeout_seconds", 30.0))
        )
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        sys.stderr.write(f"health: {exc}\n")
        return 2
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
