# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renew lineages one by one, so that one that fails keeps no other from it. Private to this collection."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._certbot_files import CertbotError, Known, know, lineages_of
from ansible_collections.runbook.ops.plugins.module_utils._certbot_plan import Step, trial_of
from ansible_collections.runbook.ops.plugins.module_utils._certbot_words import (
    failed_hooks,
    is_locked,
    lines_of,
    reason_of,
)
from ansible_collections.runbook.ops.plugins.module_utils._command import ESCAPES, Command
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached

ALWAYS = ("--non-interactive", "--no-random-sleep-on-renew")
LOOK_SECONDS = 2.0


class Way(NamedTuple):
    """How a lineage is tried."""

    dry_run: str
    staging: str | None


class Outcome(NamedTuple):
    """What became of one lineage."""

    step: Step
    status: str  # renewed | kept | failed | tried | untried
    reason: str
    hooks: tuple[str, ...] = ()  # that failed
    said: tuple[str, ...] = ()
    seconds: float | None = None


class Certbot(Command):
    """certbot, which says what went wrong half on its output and half on its error output."""

    def say(self, *arguments: str) -> tuple[int, str]:
        """Return the exit code and all that it said."""
        code, out, err = self._run(
            [*self._prefix, *arguments], binary_data=True, environ_update=self._environment, cwd="/"
        )
        return code, ESCAPES.sub("", f"{out}\n{err}")


class Host(NamedTuple):
    """Where certbot works, and with what."""

    config: Path
    arguments: tuple[str, ...]  # that name its directories
    certbot: Certbot | None  # None: it is not installed
    redact: Callable[[str], str]
    lock_seconds: float
    now: Callable[[], datetime]

    def lineages(self) -> dict[str, Known]:
        """Return all lineages by name.

        :raises CertbotError: they may not be read.
        """
        try:
            return {name: know(self.config, name, now=self.now()) for name in lineages_of(self.config)}
        except PermissionError as exc:
            raise CertbotError(f"{exc.filename} may not be read: these files belong to root, use become") from exc

    def run(self, name: str, *arguments: str) -> tuple[int, str]:
        """Return what ``certbot renew`` of one lineage says; while another certbot works, that one is waited for."""
        if self.certbot is None:
            return 127, "certbot is not installed on this host"
        end = time.monotonic() + self.lock_seconds
        while True:
            code, said = self.certbot.say("renew", "--cert-name", name, *ALWAYS, *self.arguments, *arguments)
            if not is_locked(said) or time.monotonic() >= end:
                return code, said
            time.sleep(LOOK_SECONDS)


def attempt(host: Host, step: Step, known: Known, way: Way) -> Outcome:
    """Try a renewal against a staging service; nothing is kept of it."""
    arguments, why_not = trial_of(known, dry_run=way.dry_run, staging=way.staging)
    if why_not:
        return Outcome(step, "untried", why_not)
    began = time.monotonic()
    code, said = host.run(step.name, "--dry-run", *arguments)
    seconds = round(time.monotonic() - began, 1)
    if code == 0:
        return Outcome(step, "tried", "a renewal would succeed", tuple(failed_hooks(said)), seconds=seconds)
    reason = reason_of(said, redact=host.redact, code=code)
    return Outcome(
        step, "failed", reason, tuple(failed_hooks(said)), tuple(lines_of(said, redact=host.redact)), seconds
    )


def renew(host: Host, step: Step, known: Known, way: Way) -> Outcome:
    """Renew one lineage; one that is not due is tried first, for what fails then would be used up."""
    if step.is_early and way.dry_run != "never":
        first = attempt(host, step, known, way)
        if first.status == "failed":
            return first._replace(reason=f"a dry run failed, so nothing was asked for: {first.reason}")
    began = time.monotonic()
    code, said = host.run(step.name, *(["--force-renewal"] if step.is_early else []))
    reached("certbot_renewal:renewed")
    seconds = round(time.monotonic() - began, 1)
    is_new = know(host.config, step.name, now=host.now()).found["serial"] != known.found["serial"]
    hooks = tuple(failed_hooks(said))
    if is_new:
        return Outcome(step, "renewed", step.reason, hooks, seconds=seconds)
    if code == 0:
        return Outcome(step, "kept", "certbot itself does not hold it due yet", hooks, seconds=seconds)
    reason = reason_of(said, redact=host.redact, code=code)
    return Outcome(step, "failed", reason, hooks, tuple(lines_of(said, redact=host.redact)), seconds)


def carry_out(
    host: Host,
    steps: list[Step],
    lineages: Mapping[str, Known],
    *,
    dry_run: str,
    staging: Mapping[str, str],
    check: bool,
) -> list[Outcome]:
    """Return what became of each of ``steps``, in check mode of a dry run of each."""
    found = []
    for step in steps:
        known, way = lineages.get(step.name), Way(dry_run, staging.get(step.name))
        if step.does == "refuse" or known is None:
            found.append(Outcome(step, "failed", step.reason))
        elif check:
            tried = dry_run != "never"
            found.append(attempt(host, step, known, way) if tried else Outcome(step, "untried", "not asked for"))
        elif step.does == "renew":
            found.append(renew(host, step, known, way))
        else:
            found.append(Outcome(step, "kept", step.reason))
    return found


def summary(outcome: Outcome, known: Known | None) -> dict[str, Any]:
    """Return what a caller is told of one lineage."""
    found = known.found if known else {}
    return {
        "name": outcome.step.name,
        "step": outcome.step.does,
        "status": outcome.status,
        "why": outcome.step.reason,
        "reason": outcome.reason,
        "expires_at": found.get("expires_at"),
        "days_left": found.get("days_left"),
        "fingerprint_sha256": found.get("fingerprint_sha256"),
        "failed_hooks": list(outcome.hooks),
        "said": list(outcome.said),
    }
