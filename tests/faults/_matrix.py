# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault matrix: faults as data (matrix/*.yml), what the health check must say of each, and how to try one."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
HOSTS = ROOT / "tests" / "hosts" / "hosts.py"
MATRIX = Path(__file__).parent / "matrix"
# A container that starts, or what a restore did, keeps a host busy for a moment: that is judged by one fault only.
BUSY = {"cpu_percent": {"warning": None, "critical": None}}
RESTORED_SECONDS = 180.0
NAMES = os.environ.get("RUNBOOK_TEST_HOSTS", "owlivion-12").split()
SIGNS = {">=": "__ge__", "<=": "__le__", ">": "__gt__", "<": "__lt__"}

Check = dict[str, Any]


@dataclass(frozen=True, repr=False)
class Fault:
    """One thing that is broken on purpose, and what is to be found of it."""

    fault: str
    inject: str
    restore: str
    found: list[dict[str, Any]]
    follows: list[str] = field(default_factory=list)
    also: list[str] = field(default_factory=list)
    thresholds: dict[str, Any] = field(default_factory=dict)
    probes: list[dict[str, Any]] = field(default_factory=list)
    within: float = 30.0


@dataclass(frozen=True, repr=False)
class System:
    """A system of the matrix: its hosts, and what all of its scripts may use."""

    system: str
    hosts: list[str]
    logs: list[str]
    faults: list[Fault]
    functions: str = ""

    def description(self) -> dict[str, Any]:
        """Return what the inventory says of the system."""
        group = ROOT / "inventories" / self.system / "group_vars" / self.system / "main.yml"
        return yaml.safe_load(group.read_text(encoding="utf-8"))


@cache
def systems() -> dict[str, System]:
    """Return all systems of the matrix by name."""
    found = {}
    for path in sorted(MATRIX.glob("*.yml")):
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        faults = [Fault(**fault) for fault in data.pop("faults")]
        found[path.stem] = System(system=path.stem, faults=faults, **data)
    return found


def login(host: str) -> list[str]:
    """Return the command that logs in to a host: what ``hosts.py ssh`` does, which takes ten times as long to start."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = os.environ.get("RUNBOOK_OPS_CACHE") or f"{caches}/runbook-ops"
    return ["ssh", "-F", f"{cache}/ssh/config", host]


def system_of(host: str) -> System:
    return next(system for system in systems().values() if host in system.hosts)


def meets(value: Any, wanted: Any) -> bool:
    """Return whether ``value`` is ``wanted``: a comparison such as ``>= 90``, several of them by commas, or a list of choices."""
    if isinstance(wanted, list):
        return value in wanted
    if not isinstance(wanted, str) or wanted[:1] not in "<>":
        return bool(value == wanted)
    if not isinstance(value, (int, float)):
        return False
    pairs = [re.fullmatch(r"\s*(>=|<=|>|<)\s*(-?[\d.]+)\s*", part) for part in wanted.split(",")]
    return all(pair and getattr(float(value), SIGNS[pair[1]])(float(pair[2])) for pair in pairs)


def differences(checks: list[Check], fault: Fault) -> list[str]:
    """Return in words where ``checks`` are other than the matrix says: nothing, if all is as it must be."""
    by_id = {check["id"]: check for check in checks}
    roots = {wanted["id"] for wanted in fault.found}
    wrong = []
    for wanted in fault.found:
        check = by_id.get(wanted["id"])
        if check is None:
            wrong.append(f"{wanted['id']} is missing")
            continue
        for key, condition in wanted.items():
            met = re.search(condition, check[key]) if key == "detail" else meets(check[key], condition)
            if not met:
                wrong.append(f"{wanted['id']}: {key} is {check[key]!r}, not {condition!r}")
        if not (check["name"] and check["detail"] and check["remedy"]):
            wrong.append(f"{wanted['id']} says neither what nor what to do: {check}")
        if check.get("because") and check["because"] not in roots:
            wrong.append(f"{wanted['id']} is said to follow from {check['because']}")
    for check in checks:
        if (
            check["status"] == "ok"
            or check["id"] in roots
            or any(fnmatchcase(check["id"], glob) for glob in fault.also)
        ):
            continue
        told = f"{check['id']} is {check['status']} ({check['detail']})"
        if not any(fnmatchcase(check["id"], glob) for glob in fault.follows):
            wrong.append(f"{told} too, because of {check.get('because')}")
        elif not _begins_with(check, by_id) & roots:
            wrong.append(f"{told}, and is not said to follow: because of {check.get('because')}")
    return wrong


def _begins_with(check: Check, by_id: Mapping[str, Check]) -> set[str]:
    """Return the ids of the checks that ``check`` is said to follow from, directly or not."""
    seen: set[str] = set()
    because = check.get("because")
    while because and because not in seen:
        seen.add(because)
        because = by_id[because].get("because") if because in by_id else None
    return seen


@dataclass(repr=False)
class Patient:
    """A host that faults are tried on."""

    host: str
    system: System
    inventory: str
    report: Path
    before: dict[str, Check] = field(default_factory=dict)

    def run(self, script: str) -> str:
        """Run a script on the host as root, with the functions of the matrix."""
        library = (MATRIX / "functions.sh").read_text(encoding="utf-8")
        logs = f"LOGS='{' '.join(self.system.logs)}'\n"
        done = subprocess.run(
            [*login(self.host), "sudo", "bash", "-s"],
            input=f"{library}{logs}{self.system.functions}\n{script}",
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"on {self.host} ({done.returncode}): {done.stderr}{done.stdout}\n{script}")
        return done.stdout

    def check(self, fault: Fault | None = None) -> dict[str, Any]:
        """Run the health check as its user does, and return the report."""
        self.report.unlink(missing_ok=True)
        done = subprocess.run(
            [
                "ansible-playbook",
                "playbooks/health_check.yml",
                *("-i", f"inventories/{self.system.system}", "-i", self.inventory),
                *("-e", json.dumps({**self.variables(fault), "health_report_path": str(self.report)})),
            ],
            cwd=ROOT,
            env=os.environ | {"NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        text = done.stdout + done.stderr
        assert self.report.exists(), text
        report = json.loads(self.report.read_text(encoding="utf-8"))
        assert (done.returncode != 0) == (report["status"] == "critical"), text
        return report

    def variables(self, fault: Fault | None) -> dict[str, Any]:
        """Return what the inventory says, with the thresholds and probes that ``fault`` asks for."""
        if fault is None:
            return {}
        known = self.system.description().get("ops_thresholds") or {}
        probes = {"ops_probes": self._filled(fault.probes)} if fault.probes else {}
        return {"ops_thresholds": {**known, **BUSY, **self._filled(fault.thresholds)}, **probes}

    def _filled(self, data: Any) -> Any:
        """Return ``data`` with ``{before: id, plus: number}`` replaced by the value that the healthy host had, and more."""
        if isinstance(data, dict) and "before" in data:
            return round(self.before[data["before"]]["value"] + data["plus"], 2)
        if isinstance(data, dict):
            return {key: self._filled(value) for key, value in data.items()}
        return [self._filled(value) for value in data] if isinstance(data, list) else data

    @contextlib.contextmanager
    def suffering(self, fault: Fault) -> Iterator[None]:
        """Inject ``fault``, and put all in order again afterwards, whatever happens."""
        try:
            self.run(f"remember\n{fault.inject}")
            yield
        finally:
            self.run(f"{fault.restore}\nforget")

    def recover(self, fault: Fault | None = None) -> dict[str, Any]:
        """Return the report of a host that is all in order; wait for it, but not for ever.

        :raises AssertionError: it did not get there.
        """
        end = time.monotonic() + RESTORED_SECONDS
        while True:
            report = self.check()
            bad = [f"{check['id']}: {check['detail']}" for check in report["checks"] if check["status"] != "ok"]
            if not bad:
                return report
            assert time.monotonic() < end, f"after {fault.fault if fault else 'all'}, {self.host} is not well: {bad}"
            self.run("sleep 1; forget; settle")  # what an application wrote about the fault after it was restored


def admit(name: str, directory: Path) -> Patient:
    """Return a host that is up and well, with what is found on it when it is."""
    subprocess.run([sys.executable, str(HOSTS), "up", name], check=True)
    asked = [sys.executable, str(HOSTS), "inventory", name]
    inventory = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    patient = Patient(name, system_of(name), inventory, directory / "report.json")
    patient.run("clean; settle")
    patient.before = {check["id"]: check for check in patient.recover()["checks"]}
    return patient
