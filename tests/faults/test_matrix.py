# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each fault of the matrix is found, with the right name, value and limit; what else turns red is told as its consequence."""

from __future__ import annotations

import pytest

from ._matrix import NAMES, Fault, Patient, admit, differences, system_of

PAIRS = [pytest.param(name, fault, id=f"{name}: {fault.fault}") for name in NAMES for fault in system_of(name).faults]
_admitted: dict[str, Patient] = {}


@pytest.fixture
def patient(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Patient:
    """Return a host that is up and well."""
    name = request.param
    if name not in _admitted:
        _admitted[name] = admit(name, tmp_path_factory.mktemp("report"))
    return _admitted[name]


@pytest.mark.parametrize(("patient", "fault"), PAIRS, indirect=["patient"])
def test_a_fault_is_found_and_what_follows_is_told_as_such(patient: Patient, fault: Fault) -> None:
    with patient.suffering(fault):
        report = patient.check(fault)
    patient.recover(fault)
    assert differences(report["checks"], fault) == []
    assert report["seconds"] <= fault.within
