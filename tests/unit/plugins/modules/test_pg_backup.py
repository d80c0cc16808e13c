# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation says what the code takes and returns."""

from __future__ import annotations

import yaml
from ansible_collections.runbook.ops.plugins.doc_fragments.postgresql import ModuleDocFragment
from ansible_collections.runbook.ops.plugins.module_utils._pg_backup import ARGUMENTS
from ansible_collections.runbook.ops.plugins.module_utils._pg_backup_result import result
from ansible_collections.runbook.ops.plugins.modules import pg_backup

OWN = yaml.safe_load(pg_backup.DOCUMENTATION)["options"]
SHARED = {
    **yaml.safe_load(ModuleDocFragment.SERVER)["options"],
    **yaml.safe_load(ModuleDocFragment.CONNECTION)["options"],
}


def test_every_option_is_documented_with_its_default():
    documented = {**OWN, **SHARED}
    assert set(documented) == set(ARGUMENTS)
    for name, spec in ARGUMENTS.items():
        for key in ("type", "default", "choices", "required"):
            assert documented[name].get(key) == spec.get(key), f"{name}: {key}"


def test_suboptions_are_documented():
    spec = ARGUMENTS["encryption"]["options"]
    for name, said in OWN["encryption"]["suboptions"].items():
        assert {key: said.get(key) for key in ("type", "choices", "required")} == {
            key: spec[name].get(key) for key in ("type", "choices", "required")
        }


def test_what_is_returned_is_documented():
    documented = set(yaml.safe_load(pg_backup.RETURN))
    assert set(result(None, None, changed=False)) - {"changed", "diff"} == documented


def test_the_password_is_logged_nowhere():
    assert ARGUMENTS["login_password"]["no_log"]
