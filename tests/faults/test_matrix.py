# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each fault of the matrix is found, with the right name, value and limit; what else turns red is told as its consequence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ._matrix import HOSTS, Fault, Patient, differences, system_of

NAMES = os.environ.get("RUNBOOK_TEST_HOSTS", "owlivion-12").split()
PAIRS = [pytest.param(name, fault, id=f"{name}: {fault.fault}") for name in NAMES for fault in system_of(name).faults]
_patients: dict[str, Patient] = {}


@pytest.fixture
def patient(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Patient:
    """Return a host that is up and well."""
    name = request.param
    if name not in _patients:
        subprocess.run([sys.executable, str(HOSTS), "up", name], check=True)
        _patients[name] = bring_in(name, tmp_path_factory.mktemp("report"))
    return _patients[name]


def bring_in(name: str, directory: Path) -> Patient:
    asked = [sys.executable, str(HOSTS), "inventory", name]
    inventory = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    patient = Patient(name, system_of(name), inventory, directory / "report.json")
    patient.run("clean")
    patient.before = {check["id"]: check for check in patient.recover()["checks"]}
    return patient


@pytest.mark.parametrize(("patient", "fault"), PAIRS, indirect=["patient"])
def test_a_fault_is_found_and_what_follows_is_told_as_such(patient: Patient, fault: Fault) -> None:
    with patient.suffering(fault):
        report = patient.check(fault)
    patient.recover(fault)
    assert differences(report["checks"], fault) == []
    assert report["seconds"] <= fault.within
